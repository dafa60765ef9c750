//! Cancel requests: a waiting job is answered `CANCELLED` and taken out of its queue. The service that is proving it is
//! notified of that answer, wherever it runs, and kills its process.

use std::time::Duration;

use async_nats::{Client, Message};
use futures_util::StreamExt;
use tracing::info;

use super::listen::listen;
use crate::backoff::Waits;
use crate::config::Tenants;
use crate::jetstream::ReadError;
use crate::protocol::{CancelReply, CancelResult, Code, JobId, Tenant, VERSION};
use crate::service::job::{QueuedJob, Settler};

/// Requests that are handled at the same time.
const REQUESTS_MAX: usize = 16;
/// Tries of a request that the broker leaves in doubt.
const TRIES: u32 = 4;
/// Waits between these tries.
const RETRY_WAITS: Waits = Waits::between(Duration::from_millis(100), Duration::from_secs(1));

/// Answers cancel requests for as long as the connection lives.
pub(super) async fn serve(client: &Client, settler: &Settler, tenants: &Tenants) {
    let Some(requests) = listen(client, settler.broker.subjects().cancels()).await else { return };
    requests.for_each_concurrent(REQUESTS_MAX, |request| answer(request, client, settler, tenants)).await;
}

async fn answer(request: Message, client: &Client, settler: &Settler, tenants: &Tenants) {
    let Some((tenant, job)) = settler.broker.subjects().parse_cancel(&request.subject) else { return };
    let (result, code) = if tenants.contains(&tenant) {
        cancel(&tenant, &job, settler).await
    } else {
        (CancelResult::NotFound, None)
    };
    settler.ledger.metrics.jobs.cancel(result);
    info!(%job, result = result.as_str(), "cancel request handled");
    let reply = CancelReply { version: VERSION.to_owned(), tenant, job, result, code };
    // Cannot panic: a struct of strings.
    let payload = serde_json::to_vec(&reply).expect("a reply serialises");
    if let Some(inbox) = request.reply {
        let _ = client.publish(inbox, payload.into()).await;
    }
}

/// Cancels a job, with a few tries until its state is known.
async fn cancel(tenant: &Tenant, job: &JobId, settler: &Settler) -> (CancelResult, Option<Code>) {
    let mut waits = RETRY_WAITS.start();
    for _ in 0..TRIES {
        match cancel_once(tenant, job, settler).await {
            // Also where an earlier try or another request has cancelled it: the job is cancelled, as the client asked.
            Some((_, Some(Code::Cancelled))) => return (CancelResult::Cancelled, Some(Code::Cancelled)),
            Some(known) => return known,
            None => waits.pause().await,
        }
    }
    (CancelResult::Unavailable, None)
}

/// Cancels in this order: the job is read from the leader, so that nothing is written for a job that is not there; it
/// is answered if it has no answer; only then is it removed. Returns `None` while nothing is known.
async fn cancel_once(
    tenant: &Tenant,
    job: &JobId,
    settler: &Settler,
) -> Option<(CancelResult, Option<Code>)> {
    // The client names no lane and no circuit, since it cancels by the job's id alone. Both are in the subject found
    // here.
    let stored = settler.broker.queued_job(tenant, job).await.ok()?;
    let queued = stored.and_then(|stored| {
        let subject = settler.broker.subjects().parse_job(&stored.subject).ok()?;
        Some(QueuedJob::new(subject, &stored))
    });
    match queued {
        Some(queued) => {
            let code = settler.answer_queued(&queued, Code::Cancelled).await.ok()?;
            Some((CancelResult::Answered, Some(code)))
        }
        None => find_answer(tenant, job, settler).await.ok(),
    }
}

/// Looks for the answer of a job that is not in its queue: it has one, or the job was never there.
async fn find_answer(
    tenant: &Tenant,
    job: &JobId,
    settler: &Settler,
) -> Result<(CancelResult, Option<Code>), ReadError> {
    Ok(match settler.broker.find_answer(tenant, job).await? {
        Some(settled) => (CancelResult::Answered, settled.stored().code),
        None => (CancelResult::NotFound, None),
    })
}
