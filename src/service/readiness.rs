//! Whether the service takes jobs, and if not, what it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::room::Room;
use crate::metrics::{BrokerEvent, Missing};

/// What must hold before a job is taken.
pub(super) struct Readiness {
    tenants: usize,
    room: Arc<Room>,
    chamber: AtomicBool,
    broker: AtomicBool,
    streams: AtomicBool,
    pulls: AtomicBool,
    requests: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Of a service for so many tenants, of which nothing holds yet.
    pub(super) fn new(tenants: usize, room: Arc<Room>) -> Self {
        let not_yet = AtomicBool::default;
        Readiness {
            tenants,
            room,
            chamber: not_yet(),
            broker: not_yet(),
            streams: not_yet(),
            pulls: AtomicBool::new(true),
            requests: not_yet(),
            stopping: not_yet(),
        }
    }

    /// Keys are loaded and every proving key is built.
    pub(super) fn chamber(&self, holds: bool) {
        self.chamber.store(holds, Ordering::Relaxed);
    }

    /// Something happened to the connection that answers are stored on.
    pub(super) fn heard(&self, event: BrokerEvent) {
        match event {
            BrokerEvent::Connected => self.broker.store(true, Ordering::Relaxed),
            BrokerEvent::Disconnected | BrokerEvent::Closed => self.broker.store(false, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Streams and consumers are as they must be.
    pub(super) fn streams(&self, hold: bool) {
        self.streams.store(hold, Ordering::Relaxed);
    }

    /// The broker serves pulls.
    pub(super) fn pulls(&self, serves: bool) {
        self.pulls.store(serves, Ordering::Relaxed);
    }

    /// Requests for the bundle and to cancel are heard.
    pub(super) fn requests(&self, are_heard: bool) {
        self.requests.store(are_heard, Ordering::Relaxed);
    }

    /// The service takes no more jobs.
    pub(super) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// What is missing; nothing, when jobs are taken.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let held = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let (streams, stopping) = (held(&self.streams), held(&self.stopping));
        // One tenant without room is that tenant's trouble; it stands in log and metrics.
        let has_room = self.room.full().len() < self.tenants;
        let found = [
            (Missing::Chamber, held(&self.chamber)),
            (Missing::Broker, held(&self.broker)),
            (Missing::Streams, streams),
            (Missing::Pulls, held(&self.pulls) || !streams),
            (Missing::Requests, held(&self.requests) || !streams),
            (Missing::Room, has_room),
            (Missing::Stopping, !stopping),
        ];
        found.into_iter().filter(|(_, holds)| !holds).map(|(missing, _)| missing).collect()
    }
}

/// For whoever asks why.
pub(super) fn says(missing: Missing) -> &'static str {
    match missing {
        Missing::Chamber => "the chamber has not built every proving key",
        Missing::Broker => "the broker does not answer",
        Missing::Streams => "streams or consumers are not as they must be; see the log",
        Missing::Pulls => "the broker serves no pulls; see the log",
        Missing::Requests => "requests for the bundle are not heard yet",
        Missing::Room => "the answer stream is full, so that no job is taken; see the log",
        Missing::Stopping => "the service is stopping",
    }
}
