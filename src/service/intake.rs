//! Taking jobs from the broker: one message for each free slot, never more.
//!
//! Queues are first asked in their order, without waiting; when all are empty, all are asked to wait, and
//! the first message wins. A message that comes on another queue in that same moment goes back at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::delivery::Delivery;
use super::line::Line;
use super::pull::{Pull, PullError, Queue};
use super::room::Room;
use super::{Shared, Stopping, lifecycle, streams, unreadable};
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
    let slots = Arc::new(Semaphore::new(shared.config.service.slots));
    let mut turns = Turns::new(&shared.config.tenants, shared.config.service.standard_turn);
    let mut waits = Backoff::new(PULL_WAIT);
    let mut line = tokio::select! {
        line = Line::open(shared) => line,
        () = stopping.wait() => return,
    };
    while !stopping.has_come() {
        let slot = tokio::select! {
            slot = free_slot(shared, &slots) => slot,
            () = stopping.wait() => return,
        };
        match next(shared, &line, &mut turns, stopping).await {
            Ok(None) => return,
            Ok(Some(delivery)) => {
                waits = Backoff::new(PULL_WAIT);
                shared.readiness.pulls(true);
                let shared = shared.clone();
                shared.metrics.slot_taken();
                jobs.spawn(async move {
                    lifecycle::see_through(delivery, &shared).await;
                    shared.metrics.slot_freed();
                    drop(slot);
                });
            }
            Err(cause) => {
                shared.metrics.broker(BrokerEvent::RequestFailed);
                shared.readiness.pulls(false);
                warn!(%cause, "no jobs for the moment");
                tokio::select! {
                    () = recover(&cause, &mut line, &mut waits, shared) => {}
                    () = stopping.wait() => return,
                }
            }
        }
        while jobs.try_join_next().is_some() {}
    }
}

/// A slot, once there is a chamber for it.
async fn free_slot(shared: &Shared, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    shared.chamber.ready().await;
    // Cannot panic: the semaphore is never closed.
    slots.clone().acquire_owned().await.expect("slots are open")
}

/// The next job; waits until there is one. `None` when the service is to stop.
async fn next(
    shared: &Shared,
    line: &Line,
    turns: &mut Turns,
    stopping: &Stopping,
) -> Result<Option<Delivery>, PullError> {
    while !stopping.has_come() {
        let queues = turns.next(&shared.room);
        for queue in &queues {
            let found = tokio::select! {
                found = Pull::now(&line.client, queue) => found?,
                () = line.broken() => return Err(queue.broken("the connection is gone")),
            };
            if let Some(delivery) = found {
                return Ok(Some(delivery));
            }
        }
        if let Some(delivery) = wait(line, &queues, stopping).await? {
            return Ok(Some(delivery));
        }
        shared.readiness.pulls(true);
    }
    Ok(None)
}

/// Asks all queues to wait; the first message wins, and all other requests are withdrawn.
async fn wait(line: &Line, queues: &[Queue], stopping: &Stopping) -> Result<Option<Delivery>, PullError> {
    let mut pulls = Vec::new();
    for queue in queues {
        pulls.push(Pull::waiting(&line.client, queue).await?);
    }
    let mut answers: FuturesUnordered<_> = pulls
        .iter_mut()
        .enumerate()
        .map(|(index, pull)| async move { (index, pull.answer().await) })
        .collect();
    let first = tokio::select! {
        first = answers.next(), if !queues.is_empty() => first,
        () = tokio::time::sleep(ROOM_WAIT), if queues.is_empty() => None,
        () = line.broken() => queues.first().map(|queue| (0, Err(queue.broken("the connection is gone")))),
        () = stopping.wait() => None,
    };
    drop(answers);
    let (answered, answer) = first.map_or((None, Ok(None)), |(index, answer)| (Some(index), answer));
    for (_, pull) in pulls.into_iter().enumerate().filter(|(index, _)| Some(*index) != answered) {
        pull.take_back(&line.client).await;
    }
    answer
}

/// After a pull that came to nothing. Where the connection broke, a job may have broken it.
async fn recover(cause: &PullError, line: &mut Line, waits: &mut Backoff, shared: &Shared) {
    if cause.broken {
        unreadable::answer_all(shared).await;
        *line = Line::open(shared).await;
    } else {
        waits.pause().await;
        restore(&cause.queue, shared).await;
    }
}

/// Makes a queue's consumer again, if it has gone missing.
async fn restore(queue: &Queue, shared: &Shared) {
    let restored = streams::restore_consumer(&shared.context, &shared.config, &queue.tenant, queue.lane);
    match tokio::time::timeout(RESTORE_TIMEOUT, restored).await {
        Ok(Ok(true)) => {
            shared.metrics.broker(BrokerEvent::ConsumerRestored);
            warn!(%queue, "its consumer was gone and is made again");
        }
        // The broker is away or elects a leader: the next pull will tell.
        Ok(Ok(false)) | Err(_) => {}
        Ok(Err(cause)) => error!(%queue, %cause, "its consumer cannot be looked after"),
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
