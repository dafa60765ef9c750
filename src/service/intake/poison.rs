//! Poison messages: jobs whose headers no NATS library can read. The broker stores and delivers such a message all the
//! same, and a service that receives it loses the connection.
//!
//! They are read from the stream's leader, which returns headers as bytes, answered by their subject, and erased. This
//! happens on the service's own connection, while the one for jobs is closed.

use std::time::Duration;

use tracing::{debug, warn};

use crate::config::Tenants;
use crate::jetstream::{LaneState, ReadError, StoredMessage};
use crate::protocol::{Code, Lane, Tenant};
use crate::service::job::{QueuedJob, Settler};

/// Limit of messages of a lane that are read after one lost connection.
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

/// Answers the poison messages of a lane.
async fn answer_lane(
    tenant: &Tenant,
    lane: Lane,
    state: LaneState,
    settler: &Settler,
) -> Result<(), ReadError> {
    // The message that ended the connection was delivered and is not acknowledged, so it lies above this floor. Between
    // floor and newest delivery there are about as many messages as jobs in work, however long the queue is.
    let mut from = state.ack_floor + 1;
    for _ in 0..BATCH {
        let Some(message) = settler.broker.queued_in_lane_from(tenant, lane, from).await? else { break };
        from = message.sequence + 1;
        if !message.is_readable() {
            answer(tenant, &message, settler).await;
        } else if message.sequence > state.delivered {
            // Poison directly behind the newest delivery is answered too: each message would cost one more connection.
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
