//! The worker: everything that a job needs on its path, and the way back to the queue for a job that cannot end here.

use std::time::Duration;

use tokio::sync::watch;
use tracing::info;

use super::answer_notices::AnswerNotices;
use super::settle::{Finished, Settler};
use crate::backoff::Waits;
use crate::config::Tenants;
use crate::jetstream::{LeasedJob, MAX_DELIVER};
use crate::protocol::{Code, JOB_LIFETIME_MAX, UnixSeconds, millis};
use crate::service::status::Work;

/// Waits before a job that was handed back is delivered again.
const HAND_BACK_WAITS: Waits = Waits::between(Duration::from_secs(1), Duration::from_secs(60));
/// Crashes of a job's own process that are its answer. One may be the machine's fault. After two, in two processes, the
/// witness is the likely cause, and every further try would cost a proof and a slot.
pub(super) const CRASHES_MAX: u32 = 2;

/// The parts of a service that see deliveries through to their end.
pub(crate) struct Worker {
    pub(crate) settler: Settler,
    pub(crate) notices: AnswerNotices,
    pub(crate) tenants: Tenants,
    pub(crate) ack_wait: Duration,
    /// Becomes true when running jobs are to be handed back.
    pub(crate) hand_back: watch::Receiver<bool>,
}

impl Worker {
    /// Hands the job back, after `delay` or a wait that grows with its deliveries. The last delivery is answered
    /// instead.
    pub(super) async fn hand_back(
        &self,
        job: LeasedJob,
        deadline: UnixSeconds,
        reason: &'static str,
        delay: Option<Duration>,
    ) {
        // The broker would keep the message and deliver it to no service any more.
        if i64::from(job.delivered()) >= MAX_DELIVER {
            let work = Work { attempt: job.delivered(), ..Work::default() };
            let finished = Finished::with_code(job, deadline, Code::AttemptsExhausted, work);
            return self.settler.settle(finished).await;
        }
        // By deliveries and not by tries of this service: the fault may affect every service, and the job's
        // deliveries must last until it is over.
        let deliveries_before = job.delivered().saturating_sub(1) as usize;
        let delay = delay.unwrap_or_else(|| HAND_BACK_WAITS.nth(deliveries_before));
        self.settler.ledger.metrics.jobs.handed_back();
        info!(job = %job.subject().job, reason, delay_ms = millis(delay), "handed back");
        job.nak(delay).await;
    }

    /// Waits until running jobs are to be handed back.
    pub(super) async fn stopping(&self) {
        // A sender that is gone never ordered it.
        if self.hand_back.clone().wait_for(|hand_back| *hand_back).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Returns the latest deadline that a job can have: a day after it was stored.
pub(super) fn latest_deadline(job: &LeasedJob) -> UnixSeconds {
    job.stored_at().to_seconds() + JOB_LIFETIME_MAX
}
