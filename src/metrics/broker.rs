//! Metrics of the connections to the broker.

use prometheus::{Gauge, IntCounterVec};

use super::labels::BrokerEvent;
use super::registry::{Label, Registry};

/// Metrics of the connections to the broker.
pub struct BrokerMetrics {
    events: IntCounterVec,
    clock_offset: Gauge,
}

impl BrokerMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        BrokerMetrics {
            events: registry.counters(
                ("sealprove_broker_events_total", "What happened on the connections to the broker?"),
                &[Label::new("event", BrokerEvent::ALL)],
            ),
            clock_offset: registry.gauge_f64((
                "sealprove_clock_offset_seconds",
                "How far ahead of the broker's clock is this machine's? Deadlines are checked by both.",
            )),
        }
    }

    /// Counts an event.
    pub fn event(&self, event: BrokerEvent) {
        self.events.with_label_values(&[event.as_str()]).inc();
    }

    /// Sets the time by which this machine's clock is ahead of the broker's, in seconds. Negative if it is behind.
    pub fn clock_offset(&self, seconds: f64) {
        self.clock_offset.set(seconds);
    }
}
