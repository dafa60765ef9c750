//! Jobs whose headers no NATS library can read. The broker stores and delivers such a message all the same,
//! and whoever it is delivered to loses the connection. So they are read from the leader in JSON, where
//! bytes are bytes, answered by their subject, and erased.

use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use tracing::{debug, warn};

use super::Shared;
use super::leader::{self, Found, ReadError};
use super::settle::{Queued, erase};
use super::streams::{self, jobs_stream};
use crate::job::{Lane, Tenant};
use crate::wire::Code;

/// How many messages are looked at in one go.
const BATCH: usize = 5000;
/// How long looking may take, while the broker is away for other reasons.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers all that has been delivered so far, and what follows next.
pub(super) async fn answer_all(shared: &Shared) {
    for tenant in shared.config.tenants.names() {
        match tokio::time::timeout(TIMEOUT, answer_of(tenant, shared)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => debug!(%cause, "the queue cannot be read"),
            Err(_) => debug!("the queue cannot be read in time"),
        }
    }
}

async fn answer_of(tenant: &Tenant, shared: &Shared) -> Result<(), ReadError> {
    for lane in Lane::ALL {
        if let Some(consumer) = streams::lane_info(&shared.context, tenant, lane).await {
            answer_lane(tenant, lane, &consumer, shared).await?;
        }
    }
    Ok(())
}

/// What a lane has in flight lies behind its acknowledgement floor: as little as there are jobs in work, however
/// long its queue is, and the other lane's.
async fn answer_lane(tenant: &Tenant, lane: Lane, consumer: &Info, shared: &Shared) -> Result<(), ReadError> {
    let (stream, subject) = (jobs_stream(tenant), shared.config.prefix.lane(tenant, lane));
    let mut from = consumer.ack_floor.stream_sequence + 1;
    for _ in 0..BATCH {
        let Some(found) = leader::first_from(&shared.client, &stream, &subject, from).await? else { break };
        from = found.sequence + 1;
        if found.is_readable() && found.sequence > consumer.delivered.stream_sequence {
            break;
        }
        if !found.is_readable() {
            answer(tenant, &found, shared).await;
        }
    }
    Ok(())
}

/// One whose subject names no job can be answered to nobody, and is only erased.
async fn answer(tenant: &Tenant, found: &Found, shared: &Shared) {
    let sequence = found.sequence;
    let Ok(subject) = shared.config.prefix.parse_job(&found.subject) else {
        shared.metrics.jobs.not_a_job();
        warn!(sequence, "a message on a job subject names no job and cannot be read; it is erased");
        return erase(tenant, sequence, shared).await;
    };
    let job = subject.job.clone();
    match Queued::of(subject, found).answer(Code::MalformedJob, shared).await {
        Ok(_) => warn!(%job, "the headers of a job cannot be read"),
        Err(cause) => warn!(%job, %cause, "the headers of a job cannot be read, and it is not answered yet"),
    }
}
