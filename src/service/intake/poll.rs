//! Polling: finding the next job in the order of the queues. When all are empty, a request waits at each, and the
//! first message wins.
//!
//! A deployment may have hundreds of queues, most of them empty. So a queue is not polled while a request waits there.
//! Where there are many queues, an empty one rests, and those that have rested are inspected many at once before any
//! of them is polled.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::config::Tenants;
use crate::jetstream::{Broker, LaneState, Pulled, Pulls, Queue};

/// Queues that are polled one after the other without an inspection.
const FEW_QUEUES: usize = 16;
/// Rest of an empty queue for each queue there is, where there are many: inspecting empty queues takes a service a
/// small part of its time.
const REST: Duration = Duration::from_millis(5);
/// Rest of a queue that has reached its in-flight limit. Only a handed-back job can appear there.
const REST_AT_LIMIT: Duration = Duration::from_secs(1);
/// Inspections at the same time.
const INSPECTIONS: usize = 64;
/// Time limit of one inspection. A queue that does not answer rests as if it were empty.
const INSPECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause while no tenant may be served.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// One round of polling.
pub(super) struct Poll<'a> {
    pub(super) pulls: &'a mut Pulls,
    pub(super) broker: &'a Broker,
    pub(super) tenants: &'a Tenants,
}

/// A queue as its consumer reports it.
enum Backlog {
    /// The broker does not answer well. The queue is polled, and the error shows then.
    Unknown,
    Empty,
    /// There is a job that may be delivered.
    Deliverable,
    /// All jobs are in flight; one of them may be due again.
    InFlight,
}

impl Poll<'_> {
    /// Polls the queues in their order. When all are empty, waits at each for a moment and takes the first message;
    /// returns `None` when there was none.
    pub(super) async fn next_delivery(&mut self, queues: &[Queue]) -> Pulled {
        // First, since the lease of a job that has arrived is running.
        if let Some(found) = self.pulls.arrived()? {
            return Ok(Some(found));
        }
        for queue in self.queues_to_poll(queues).await {
            let limited = self.is_limited(&queue);
            if let Some(found) = self.pulls.now(&queue, limited).await? {
                return Ok(Some(found));
            }
        }
        self.wait_at(queues).await
    }

    /// Has a request wait at every queue until the first of them is answered.
    async fn wait_at(&mut self, queues: &[Queue]) -> Pulled {
        for queue in queues {
            self.pulls.ask(queue).await?;
        }
        match self.pulls.next().await {
            Some(pulled) => pulled,
            // No tenant may be served: its answers would find no room, or it is at its in-flight limit.
            None => {
                tokio::time::sleep(IDLE_PAUSE).await;
                Ok(None)
            }
        }
    }

    /// Returns the queues that may have a job, in their order.
    async fn queues_to_poll(&mut self, queues: &[Queue]) -> Vec<Queue> {
        let many = queues.len() > FEW_QUEUES;
        // In proportion to the queues, so that a service with hundreds of them asks the broker no more often.
        let rest = if many { REST * u32::try_from(queues.len()).unwrap_or(u32::MAX) } else { Duration::ZERO };
        let mut to_poll: Vec<Queue> =
            queues.iter().filter(|queue| !self.pulls.is_empty(queue, rest)).cloned().collect();
        // A queue that has just had a job likely has another, and polling it finds out in one round trip. Polling one
        // that has reached its in-flight limit takes the whole waiting time of the request.
        let to_inspect: Vec<Queue> = to_poll
            .iter()
            .filter(|queue| self.is_limited(queue) || (many && !self.pulls.had_job(queue)))
            .cloned()
            .collect();
        let mut at_limit = None;
        for (queue, backlog) in self.inspect(to_inspect).await {
            match backlog {
                Backlog::Unknown | Backlog::Deliverable => continue,
                Backlog::Empty => self.pulls.mark_empty(&queue),
                // A job that was handed back counts as in flight until it is delivered again.
                Backlog::InFlight if !self.is_limited(&queue) => continue,
                // Polling it may take a moment, so one such queue is polled and the others come later.
                Backlog::InFlight if at_limit.is_none() && !self.pulls.is_empty(&queue, REST_AT_LIMIT) => {
                    at_limit = Some(queue);
                    continue;
                }
                Backlog::InFlight => {}
            }
            to_poll.retain(|other| *other != queue);
        }
        to_poll
    }

    /// Inspects queues, many at once. Nothing is taken.
    async fn inspect(&self, queues: Vec<Queue>) -> Vec<(Queue, Backlog)> {
        stream::iter(queues)
            .map(async |queue| {
                let state = self.broker.lane_state(&queue.tenant, queue.lane);
                let backlog = match tokio::time::timeout(INSPECT_TIMEOUT, state).await {
                    Ok(Some(state)) => Backlog::from(state),
                    Ok(None) => Backlog::Unknown,
                    Err(_) => Backlog::Empty,
                };
                (queue, backlog)
            })
            .buffered(INSPECTIONS)
            .collect()
            .await
    }

    /// Returns whether the tenant has an in-flight limit.
    fn is_limited(&self, queue: &Queue) -> bool {
        self.tenants.in_flight_max(&queue.tenant).is_some()
    }
}

impl From<LaneState> for Backlog {
    fn from(state: LaneState) -> Self {
        match (state.waiting, state.in_flight) {
            (0, 0) => Backlog::Empty,
            (1.., in_flight) if in_flight < state.in_flight_max => Backlog::Deliverable,
            _ => Backlog::InFlight,
        }
    }
}
