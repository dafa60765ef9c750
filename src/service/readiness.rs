//! Whether the service takes jobs, and if not, what it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::room::Room;
use crate::metrics::BrokerEvent;

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
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let held = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let mut missing = Vec::new();
        if !held(&self.chamber) {
            missing.push("the chamber has not built every proving key");
        }
        if !held(&self.broker) {
            missing.push("the broker does not answer");
        }
        if !held(&self.streams) {
            missing.push("streams or consumers are not as they must be; see the log");
        }
        if held(&self.streams) && !held(&self.pulls) {
            missing.push("the broker serves no pulls; see the log");
        }
        if held(&self.streams) && !held(&self.requests) {
            missing.push("requests for the bundle are not heard yet");
        }
        // One tenant without room is that tenant's trouble; it stands in log and metrics.
        if self.room.full().len() == self.tenants {
            missing.push("the answer stream is full, so that no job is taken; see the log");
        }
        if held(&self.stopping) {
            missing.push("the service is stopping");
        }
        missing
    }
}
