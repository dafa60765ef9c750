//! Readiness: the conditions under which the service takes jobs, and those that do not hold.
//!
//! `/readyz`, `/top.json` and the metrics all read it. Nothing in the service waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answer_capacity::AnswerCapacity;
use crate::metrics::{BrokerEvent, Missing};

/// The conditions under which a job is taken.
pub(crate) struct Readiness {
    tenants: usize,
    capacity: Arc<AnswerCapacity>,
    chamber: AtomicBool,
    broker: AtomicBool,
    streams: AtomicBool,
    pulls: AtomicBool,
    requests: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Creates the readiness state of a service with `tenants` tenants. Nothing is ready yet.
    pub(crate) fn new(tenants: usize, capacity: Arc<AnswerCapacity>) -> Self {
        Readiness {
            tenants,
            capacity,
            chamber: AtomicBool::new(false),
            broker: AtomicBool::new(false),
            streams: AtomicBool::new(false),
            // A pull that was never tried has not been refused.
            pulls: AtomicBool::new(true),
            requests: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// Records whether a chamber has loaded its keys and built every proving key.
    pub(crate) fn set_chamber(&self, ready: bool) {
        self.chamber.store(ready, Ordering::Relaxed);
    }

    /// Records an event of the connection that answers are stored on.
    pub(crate) fn connection_event(&self, event: BrokerEvent) {
        match event {
            BrokerEvent::Connected => self.broker.store(true, Ordering::Relaxed),
            BrokerEvent::Disconnected | BrokerEvent::Closed => self.broker.store(false, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Records whether streams and consumers are as the configuration needs them.
    pub(crate) fn set_streams(&self, ready: bool) {
        self.streams.store(ready, Ordering::Relaxed);
    }

    /// Records whether the broker serves pulls.
    pub(crate) fn set_pulls(&self, served: bool) {
        self.pulls.store(served, Ordering::Relaxed);
    }

    /// Records whether the service listens for bundle and cancel requests.
    pub(crate) fn set_requests(&self, listening: bool) {
        self.requests.store(listening, Ordering::Relaxed);
    }

    /// Records that the service takes no more jobs.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Returns the conditions that do not hold: none when jobs are taken.
    pub(crate) fn missing(&self) -> Vec<Missing> {
        let (streams, stopping) = (held(&self.streams), held(&self.stopping));
        // A single full tenant does not make the service unready: an orchestrator might then replace a service that
        // proves for all others. Log and metrics show it.
        let has_room = self.capacity.full_tenants().len() < self.tenants;
        let found = [
            (Missing::Chamber, held(&self.chamber)),
            (Missing::Broker, held(&self.broker)),
            (Missing::Streams, streams),
            // Both follow from missing streams. Only the cause is reported.
            (Missing::Pulls, held(&self.pulls) || !streams),
            (Missing::Requests, held(&self.requests) || !streams),
            (Missing::Room, has_room),
            (Missing::Stopping, !stopping),
        ];
        found.into_iter().filter(|(_, holds)| !holds).map(|(missing, _)| missing).collect()
    }
}

fn held(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// Returns the sentence for people about a condition that does not hold.
pub(crate) fn explain(missing: Missing) -> &'static str {
    match missing {
        Missing::Chamber => "the chamber has not built every proving key",
        Missing::Broker => "the broker does not answer",
        Missing::Streams => "streams or consumers are missing or differ from the configuration; see the log",
        Missing::Pulls => "the broker refuses pull requests; see the log",
        Missing::Requests => "the service does not listen for bundle requests yet",
        Missing::Room => "the answer stream of every tenant is full, so no job is taken; see the log",
        Missing::Stopping => "the service is stopping",
    }
}
