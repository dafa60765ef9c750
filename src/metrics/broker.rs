//! The broker, as it is seen from here.

use prometheus::{Gauge, IntCounterVec};

use super::book::{Book, Label};
use super::labels::BrokerEvent;

/// What does the broker do?
pub struct Broker {
    events: IntCounterVec,
    clock_offset: Gauge,
}

impl Broker {
    pub(super) fn new(book: &Book) -> Self {
        Broker {
            events: book.counters(
                ("sealprove_broker_events_total", "What happened on the connections to the broker?"),
                &[Label::of("event", BrokerEvent::ALL, BrokerEvent::as_str)],
            ),
            clock_offset: book.gauge_f64((
                "sealprove_clock_offset_seconds",
                "How far ahead of the broker's clock is this machine's? Deadlines are checked by both.",
            )),
        }
    }

    /// Something happened.
    pub fn event(&self, event: BrokerEvent) {
        self.events.with_label_values(&[event.as_str()]).inc();
    }

    /// This clock is so many seconds ahead of the broker's, or behind it.
    pub fn clock_offset(&self, seconds: f64) {
        self.clock_offset.set(seconds);
    }
}
