//! Taking jobs from the broker: one message for each free slot, never more.
//!
//! Queues are first asked in their order, without waiting; when all are empty, a request waits at each, and
//! the first message wins. One that comes on another queue when no slot is free goes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::delivery::Delivery;
use super::line::Line;
use super::pull::{self, PullError, Pulls, Queue};
use super::room::Room;
use super::{Shared, Stopping, lease, lifecycle, streams, unreadable};
use crate::broker::Backoff;
use crate::job::{Lane, Tenant};
use crate::metrics::BrokerEvent;

/// The first and the longest wait after a pull that came to nothing.
const PULL_WAIT: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(2)];
/// How long looking after a missing consumer may take.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether a full answer stream has room again.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// Takes one job for each free slot, until the service is to stop.
pub(super) async fn take_jobs(shared: &Arc<Shared>, jobs: &mut JoinSet<()>, stopping: &Stopping) {
    let mut intake = tokio::select! {
        line = Line::dial(shared) => Intake::new(line, shared.clone()),
        () = stopping.wait() => return,
    };
    let slots = Arc::new(Semaphore::new(shared.config.service.slots));
    while !stopping.has_come() {
        let taken = tokio::select! {
            taken = intake.take(&slots) => taken,
            () = stopping.wait() => break,
        };
        match taken {
            Ok((slot, delivery)) => {
                intake.waits = Backoff::new(PULL_WAIT);
                shared.readiness.pulls(true);
                shared.metrics.processes.slot_taken();
                let shared = shared.clone();
                jobs.spawn(async move {
                    lifecycle::see_through(delivery, &shared).await;
                    shared.metrics.processes.slot_freed();
                    drop(slot);
                });
            }
            Err(cause) => {
                shared.metrics.broker.event(BrokerEvent::RequestFailed);
                shared.readiness.pulls(false);
                warn!(%cause, "no jobs for the moment");
                tokio::select! {
                    () = intake.recover(&cause) => {}
                    () = stopping.wait() => break,
                }
            }
        }
        while jobs.try_join_next().is_some() {}
    }
    jobs.spawn(intake.end());
}

/// What jobs are taken with.
struct Intake {
    shared: Arc<Shared>,
    line: Line,
    pulls: Pulls,
    turns: Turns,
    waits: Backoff,
}

impl Intake {
    fn new(line: Line, shared: Arc<Shared>) -> Self {
        let turns = Turns::new(&shared.config.tenants, shared.config.service.standard_turn);
        Intake { pulls: Pulls::on(line.client.clone()), waits: Backoff::new(PULL_WAIT), shared, line, turns }
    }

    /// The next job, with the slot that it gets; waits for both.
    async fn take(&mut self, slots: &Arc<Semaphore>) -> Result<(OwnedSemaphorePermit, Delivery), PullError> {
        let slot = loop {
            tokio::select! {
                slot = free_slot(&self.shared, slots) => break slot,
                early = self.pulls.next_delivery() => give_back(&early, pull::EXPIRES, &self.shared).await,
            }
        };
        Ok((slot, self.next().await?))
    }

    /// The next job; waits until there is one.
    async fn next(&mut self) -> Result<Delivery, PullError> {
        loop {
            let queues = self.turns.next(&self.shared.room);
            tokio::select! {
                found = find(&mut self.pulls, &queues) => if let Some(delivery) = found? {
                    return Ok(delivery);
                },
                () = self.line.broken() => return Err(PullError::Broken("interrupted".to_owned())),
            }
            self.shared.readiness.pulls(true);
        }
    }

    /// After a pull that came to nothing. Where the connection broke, a job may have broken it.
    async fn recover(&mut self, cause: &PullError) {
        match cause {
            PullError::Broken(_) => {
                unreadable::answer_all(&self.shared).await;
                self.line = Line::dial(&self.shared).await;
                self.pulls = Pulls::on(self.line.client.clone());
            }
            PullError::Refused { queue, .. } => {
                self.waits.pause().await;
                restore(queue, &self.shared).await;
            }
        }
    }

    /// Gives back at once whatever the requests bring that still wait.
    async fn end(mut self) {
        while let Some(pulled) = self.pulls.next().await {
            if let Ok(Some(delivery)) = pulled {
                give_back(&delivery, Duration::ZERO, &self.shared).await;
            }
        }
    }
}

/// A slot, once there is a chamber for it.
async fn free_slot(shared: &Shared, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    shared.chambers.ready().await;
    // Cannot panic: the semaphore is never closed.
    slots.clone().acquire_owned().await.expect("slots are open")
}

/// Asks all queues in their order; when all are empty, waits at each for a moment, and takes what comes
/// first.
async fn find(pulls: &mut Pulls, queues: &[Queue]) -> Result<Option<Delivery>, PullError> {
    for queue in queues {
        if let Some(delivery) = pulls.now(queue).await? {
            return Ok(Some(delivery));
        }
    }
    for queue in queues {
        pulls.ask(queue).await?;
    }
    match pulls.next().await {
        Some(pulled) => pulled,
        // No tenant's answers would find room.
        None => {
            tokio::time::sleep(ROOM_WAIT).await;
            Ok(None)
        }
    }
}

/// Hands a delivery back that there is no slot for.
async fn give_back(delivery: &Delivery, delay: Duration, shared: &Shared) {
    shared.metrics.jobs.handed_back();
    debug!("a delivery that there is no slot for goes back");
    if !lease::give_back(&shared.client, delivery.reply(), delay).await {
        warn!("a delivery could not be handed back; its lease will run out");
    }
}

/// Makes a queue's consumer again, if it has gone missing.
async fn restore(queue: &Queue, shared: &Shared) {
    let restored = streams::restore_consumer(&shared.context, &shared.config, &queue.tenant, queue.lane);
    match tokio::time::timeout(RESTORE_TIMEOUT, restored).await {
        Ok(Ok(true)) => {
            shared.metrics.broker.event(BrokerEvent::ConsumerRestored);
            warn!(%queue, "its consumer was gone and is made again");
        }
        // The broker is away or elects a leader: the next pull will tell.
        Ok(Ok(false)) | Err(_) => {}
        Ok(Err(cause)) => warn!(%queue, %cause, "its consumer cannot be looked after"),
    }
}

/// In which order the queues are asked: express before standard, but the other way round at every
/// `standard_turn`th turn, so that express can never starve standard; and tenants one after the other.
struct Turns {
    tenants: Vec<Tenant>,
    standard_turn: u32,
    turn: u32,
}

impl Turns {
    fn new(tenants: &[Tenant], standard_turn: u32) -> Self {
        Turns { tenants: tenants.to_vec(), standard_turn, turn: 0 }
    }

    /// The queues of the next turn, without those whose answers would find no room.
    fn next(&mut self, room: &Room) -> Vec<Queue> {
        self.turn = self.turn.wrapping_add(1);
        let mut lanes = Lane::ALL;
        if self.turn.is_multiple_of(self.standard_turn) {
            lanes.reverse();
        }
        let first = self.turn as usize % self.tenants.len().max(1);
        let (head, tail) = self.tenants.split_at(first);
        let tenants: Vec<&Tenant> = tail.iter().chain(head).filter(|tenant| room.has(tenant)).collect();
        let of_lane = |lane| tenants.iter().map(move |tenant| Queue { tenant: (*tenant).clone(), lane });
        lanes.into_iter().flat_map(of_lane).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn express_comes_first_but_for_every_eighth_turn() {
        let mut turns = Turns::new(&[Tenant::default()], 8);
        let first = |turns: &mut Turns| turns.next(&Room::default())[0].lane;
        let lanes: Vec<Lane> = (0..80).map(|_| first(&mut turns)).collect();
        assert_eq!(lanes.iter().filter(|lane| **lane == Lane::Standard).count(), 10);
        assert_eq!(lanes[..7], [Lane::Express; 7]);
    }

    #[test]
    fn tenants_take_turns_and_one_without_room_is_left_out() {
        let tenants: Vec<Tenant> = ["a", "b", "c"].map(|name| name.parse().unwrap()).to_vec();
        let mut turns = Turns::new(&tenants, 8);
        let room = Room::default();
        let mut firsts: Vec<Tenant> = (0..3).map(|_| turns.next(&room)[0].tenant.clone()).collect();
        firsts.sort();
        assert_eq!(firsts, tenants);
        room.is_full(&tenants[1]);
        assert!(turns.next(&room).iter().all(|queue| queue.tenant != tenants[1]));
    }
}
