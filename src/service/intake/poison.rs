//! Poison messages: jobs whose headers no NATS library can read. The broker stores and delivers such a message all the
//! same, and whoever receives it loses the connection. So they are read from the leader in JSON, where bytes are bytes,
//! answered by their subject, and erased.

use std::time::Duration;

use tracing::{debug, warn};

use crate::config::Tenants;
use crate::jetstream::{LaneState, ReadError, StoredMessage};
use crate::protocol::{Code, Lane, Tenant};
use crate::service::job::{QueuedJob, Settler};

/// Limit of messages that are looked at in one go.
const BATCH: usize = 5000;
/// Time limit for one tenant, in case the broker is away for other reasons.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers the poison messages of all tenants, among the deliveries so far and directly behind them.
pub(super) async fn answer_all(settler: &Settler, tenants: &Tenants) {
    for tenant in tenants.names() {
        match tokio::time::timeout(TIMEOUT, answer_tenant(tenant, settler)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => debug!(%cause, "the queue cannot be read"),
            Err(_) => debug!(%tenant, "the queue cannot be read in time"),
        }
    }
}

async fn answer_tenant(tenant: &Tenant, settler: &Settler) -> Result<(), ReadError> {
    for lane in Lane::ALL {
        if let Some(state) = settler.broker.lane_state(tenant, lane).await {
            answer_lane(tenant, lane, state, settler).await?;
        }
    }
    Ok(())
}

/// Answers the poison messages of a lane. What it has in flight lies behind its acknowledgement floor, which is as
/// little as there are jobs in work, however long the queues are.
async fn answer_lane(
    tenant: &Tenant,
    lane: Lane,
    state: LaneState,
    settler: &Settler,
) -> Result<(), ReadError> {
    let mut from = state.ack_floor + 1;
    for _ in 0..BATCH {
        let Some(message) = settler.broker.queued_in_lane_from(tenant, lane, from).await? else { break };
        from = message.sequence + 1;
        if !message.is_readable() {
            answer(tenant, &message, settler).await;
        } else if message.sequence > state.delivered {
            break;
        }
    }
    Ok(())
}

/// Answers one message, or only erases it where its subject names no job, so that no one can be answered.
async fn answer(tenant: &Tenant, message: &StoredMessage, settler: &Settler) {
    let sequence = message.sequence;
    let Ok(subject) = settler.broker.subjects().parse_job(&message.subject) else {
        settler.ledger.metrics.jobs.not_a_job();
        warn!(%tenant, sequence, "a message names no job and has unreadable headers; it is erased");
        return settler.broker.erase_unnamed(tenant, sequence).await;
    };
    let job = subject.job.clone();
    match settler.answer_queued(&QueuedJob::new(subject, message), Code::MalformedJob).await {
        Ok(_) => warn!(%job, "a job has unreadable headers; it is refused"),
        Err(cause) => warn!(%job, %cause, "a job has unreadable headers and is not answered yet"),
    }
}
