//! Looking for the next job: the queues are asked in the order in which it is their turn; when all are empty, a
//! request waits at each, and the first message wins.
//!
//! A deployment may have hundreds of queues, most of them empty. So a queue is not asked while a request waits
//! there; where there are many, one that was found empty rests, and those that have rested are looked at many
//! at once before any is asked.

use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use futures_util::StreamExt;
use futures_util::stream;

use super::pull::{Pulled, Pulls, Queue};
use super::{Shared, streams};

/// Up to so many queues are asked one after the other.
const FEW_QUEUES: usize = 16;
/// Where there are more, one that was found empty rests for so long for each of them, so that looking at empty
/// queues takes a service a small part of its time.
const REST: Duration = Duration::from_millis(5);
/// How long a queue rests that has as much in flight as it may: only a job that was given back can come of it.
const REST_AT_LIMIT: Duration = Duration::from_secs(1);
/// How many queues are looked at in the same moment.
const LOOKS: usize = 64;
/// How long a look may take. A queue that gives no sign of life rests as if it were empty.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is looked whether a tenant may be served again.
const MAY_WAIT: Duration = Duration::from_secs(1);

/// Asks the queues in their order; when all are empty, waits at each for a moment, and takes what comes first.
pub(super) async fn find(pulls: &mut Pulls, queues: &[Queue], shared: &Shared) -> Pulled {
    if let Some(found) = pulls.arrived()? {
        return Ok(Some(found));
    }
    for queue in worth_asking(pulls, queues, shared).await {
        if let Some(found) = pulls.now(&queue, is_limited(&queue, shared)).await? {
            return Ok(Some(found));
        }
    }
    wait_at(pulls, queues).await
}

/// Has a request wait at every queue, until the first of them is answered.
async fn wait_at(pulls: &mut Pulls, queues: &[Queue]) -> Pulled {
    for queue in queues {
        pulls.ask(queue).await?;
    }
    match pulls.next().await {
        Some(pulled) => pulled,
        // No tenant may be served: answers would find no room, or are in flight as many as may be.
        None => {
            tokio::time::sleep(MAY_WAIT).await;
            Ok(None)
        }
    }
}

/// The queues that may have a job, in their order.
async fn worth_asking(pulls: &mut Pulls, queues: &[Queue], shared: &Shared) -> Vec<Queue> {
    let many = queues.len() > FEW_QUEUES;
    let rest = if many { REST * u32::try_from(queues.len()).unwrap_or(u32::MAX) } else { Duration::ZERO };
    let mut worth: Vec<Queue> = queues.iter().filter(|queue| !pulls.is_empty(queue, rest)).cloned().collect();
    let is_looked_at = |queue: &&Queue| is_limited(queue, shared) || (many && !pulls.had_one(queue));
    let looked_at: Vec<Queue> = worth.iter().filter(is_looked_at).cloned().collect();
    let mut at_limit = None;
    for (queue, state) in look_at(looked_at, shared).await {
        match state {
            State::Unknown | State::HasOne => continue,
            State::Empty => pulls.found_empty(&queue),
            State::InFlight if !is_limited(&queue, shared) => continue,
            // Asking may have to wait a moment, so one is asked and the others come later.
            State::InFlight if at_limit.is_none() && !pulls.is_empty(&queue, REST_AT_LIMIT) => {
                at_limit = Some(queue);
                continue;
            }
            State::InFlight => {}
        }
        worth.retain(|other| *other != queue);
    }
    worth
}

/// What a queue has, as its consumer says.
enum State {
    /// The broker says nothing good of it. The queue is asked, and what is wrong with it will be seen.
    Unknown,
    Empty,
    /// A job that may be delivered.
    HasOne,
    /// Jobs in flight alone, of which one may be due again.
    InFlight,
}

impl State {
    fn of(info: &Info) -> Self {
        let in_flight = i64::try_from(info.num_ack_pending).unwrap_or(i64::MAX);
        match (info.num_pending, in_flight) {
            (0, 0) => State::Empty,
            (1.., in_flight) if in_flight < info.config.max_ack_pending => State::HasOne,
            _ => State::InFlight,
        }
    }
}

/// Looks at queues, many at once. Nothing is taken.
async fn look_at(queues: Vec<Queue>, shared: &Shared) -> Vec<(Queue, State)> {
    let look = |queue: Queue| async move {
        let info = streams::lane_info(&shared.context, &queue.tenant, queue.lane);
        let state = match tokio::time::timeout(LOOK_TIMEOUT, info).await {
            Ok(Some(info)) => State::of(&info),
            Ok(None) => State::Unknown,
            Err(_) => State::Empty,
        };
        (queue, state)
    };
    stream::iter(queues).map(look).buffered(LOOKS).collect().await
}

/// Whether the tenant has a limit of what is in flight.
fn is_limited(queue: &Queue, shared: &Shared) -> bool {
    shared.config.tenants.in_flight_max(&queue.tenant).is_some()
}
