//! Cancelling: a job that waits is answered `CANCELLED` and taken out of its queue. Whoever is proving it
//! hears of that answer, wherever it runs, and kills its own process.

use std::time::Duration;

use async_nats::{Client, Message};
use futures_util::StreamExt;
use tracing::info;

use super::Shared;
use super::desk::listen;
use super::leader::{self, ReadError};
use super::settle::{Queued, code_of};
use super::streams::jobs_stream;
use crate::broker::{Backoff, answers_stream};
use crate::job::{JobId, Tenant};
use crate::wire::{CancelReply, CancelResult, Code, VERSION};

/// How many requests are answered at once.
const REQUESTS_MAX: usize = 16;
/// How often a request that the broker leaves in doubt is tried, and the waits between.
const TRIES: u32 = 4;
const RETRY_WAIT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Answers requests to cancel for as long as the connection lives.
pub(super) async fn serve(client: &Client, shared: &Shared) {
    let Some(requests) = listen(client, shared.config.prefix.cancels()).await else { return };
    requests.for_each_concurrent(REQUESTS_MAX, |request| answer(request, client, shared)).await;
}

async fn answer(request: Message, client: &Client, shared: &Shared) {
    let Some((tenant, job)) = shared.config.prefix.parse_cancel(&request.subject) else { return };
    let (result, code) = if shared.config.tenants.contains(&tenant) {
        cancel(&tenant, &job, shared).await
    } else {
        (CancelResult::NotFound, None)
    };
    shared.metrics.jobs.cancel(result);
    info!(%job, result = result.as_str(), "asked to cancel");
    let reply = CancelReply { version: VERSION.to_owned(), tenant, job, result, code };
    // Cannot panic: a struct of strings.
    let payload = serde_json::to_vec(&reply).expect("a reply serialises");
    if let Some(inbox) = request.reply {
        let _ = client.publish(inbox, payload.into()).await;
    }
}

/// Until it is known what became of the job, within bounds.
async fn cancel(tenant: &Tenant, job: &JobId, shared: &Shared) -> (CancelResult, Option<Code>) {
    let mut waits = Backoff::new(RETRY_WAIT);
    for _ in 0..TRIES {
        match cancel_once(tenant, job, shared).await {
            Some((_, Some(Code::Cancelled))) => return (CancelResult::Cancelled, Some(Code::Cancelled)),
            Some(known) => return known,
            None => waits.pause().await,
        }
    }
    (CancelResult::Unavailable, None)
}

/// In this order: the job is read from the leader, so that nothing is written for a job that is not there;
/// it is answered where nobody has; and only then is it removed.
async fn cancel_once(tenant: &Tenant, job: &JobId, shared: &Shared) -> Option<(CancelResult, Option<Code>)> {
    let subject = shared.config.prefix.job_anywhere(tenant, job);
    let queued = leader::last_on(&shared.client, &jobs_stream(tenant), &subject).await.ok()?;
    let queued = queued.and_then(|stored| {
        let subject = shared.config.prefix.parse_job(&stored.subject).ok()?;
        Some(Queued::of(subject, &stored))
    });
    match queued {
        Some(queued) => {
            let code = queued.answer(Code::Cancelled, shared).await.ok()?;
            Some((CancelResult::Answered, Some(code)))
        }
        None => found_answered(tenant, job, shared).await.ok(),
    }
}

/// A job that is not in its queue has an answer, or was never there.
async fn found_answered(
    tenant: &Tenant,
    job: &JobId,
    shared: &Shared,
) -> Result<(CancelResult, Option<Code>), ReadError> {
    let subject = shared.config.prefix.answer(tenant, job);
    let answer = leader::last_on(&shared.client, &answers_stream(tenant), &subject).await?;
    Ok(match answer {
        Some(answer) => (CancelResult::Answered, code_of(&answer)),
        None => (CancelResult::NotFound, None),
    })
}
