//! Settling: the answer is stored by compare-and-set on an empty subject, and only then is the job acknowledged.
//!
//! This is the last step of a job's path. The acknowledgement needs a [`Settled`], which comes from our own
//! acknowledged publish or from an answer read from the stream's leader. On every error the leader is read, and then
//! the answer is offered again; it is never made a second time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::audit_record;
use super::queued::QueuedJob;
use crate::audit::SettledBy;
use crate::backoff::Waits;
use crate::jetstream::{Broker, LeasedJob, Offer, PublishError, Settled};
use crate::metrics::{BrokerEvent, Phase, Winner};
use crate::protocol::{ANSWER_GRACE, Code, JobSubject, Timings, UnixMillis, UnixSeconds, millis};
use crate::service::prover::Prover;
use crate::service::status::{AnswerCapacity, Ledger, Times, Work};

/// Waits before an answer is offered again.
const STORE_WAITS: Waits = Waits::between(Duration::from_millis(100), Duration::from_secs(5));

/// Stores answers and acknowledges jobs.
#[derive(Clone)]
pub(crate) struct Settler {
    pub(crate) broker: Broker,
    pub(crate) prover: Prover,
    pub(crate) ledger: Ledger,
    pub(crate) capacity: Arc<AnswerCapacity>,
}

/// A job with its answer in hand. It keeps its slot until the answer is stored, so that a service never holds more
/// answers than it has slots.
pub(super) struct Finished {
    job: LeasedJob,
    /// Latest moment for an answer, before the protocol's grace.
    deadline: UnixSeconds,
    offer: Offer,
    work: Work,
    /// True when the broker must overwrite the payload: a witness came in clear.
    erase: bool,
}

impl Finished {
    pub(super) fn new(job: LeasedJob, deadline: UnixSeconds, offer: Offer, work: Work) -> Self {
        Finished { job, deadline, offer, work, erase: false }
    }

    /// Returns a job whose answer is a code alone.
    pub(super) fn with_code(job: LeasedJob, deadline: UnixSeconds, code: Code, work: Work) -> Self {
        let offer = code_offer(&job, code);
        Finished { job, deadline, offer, work, erase: code == Code::PlaintextRejected }
    }
}

fn code_offer(job: &LeasedJob, code: Code) -> Offer {
    let timings = Timings { queued: Some(millis(job.age())), ..Timings::default() };
    Offer::code(job.subject(), code, job.delivered(), timings)
}

impl Settler {
    /// Stores a job's answer and acknowledges the job.
    pub(super) async fn settle(&self, mut finished: Finished) {
        let (started, settling) = (Instant::now(), UnixMillis::now());
        #[cfg(sealprove_wrong = "acknowledges_first")]
        finished.job.acknowledge_too_early().await;
        let Some(settled) = self.store(&mut finished).await else {
            // Neither acknowledged nor handed back: the sweeper of a service that reaches the broker answers it.
            let job = &finished.job.subject().job;
            return warn!(%job, "the answer could not be stored before the job's deadline");
        };
        self.record_answer(&finished, &settled);
        let Finished { job, work, erase, .. } = finished;
        let settled_by = if settled.is_ours() { SettledBy::Delivery } else { SettledBy::Other };
        let end = audit_record::leased(&job, &work, settled_by, settled.stored(), &self.prover);
        // Before the acknowledgement: if this process dies first, the job is delivered to another, which finds the
        // answer and records it. After it, a job could end without a line.
        self.ledger.audit.record_job(|| end.clone()).await;
        // Before the acknowledgement too, which would remove the message and leave the witness on the broker's disk.
        if erase {
            self.broker.erase(job.subject(), job.sequence(), &settled).await;
        }
        let (circuit, trace) = (job.subject().circuit.clone(), job.trace());
        let stored = job.stored_at();
        let taken = stored + Duration::from_millis(job.queued_ms());
        let times = Times { stored, taken, settling };
        // If this fails, the next delivery finds the answer and acknowledges.
        job.ack(&settled).await;
        self.ledger.metrics.jobs.phase(&circuit, Phase::Settled, started.elapsed());
        self.ledger.traces.job(trace, || end, &work, times);
    }

    /// Acknowledges a job that has its answer already.
    pub(super) async fn settle_found(&self, job: LeasedJob, settled: Settled, work: Work) {
        info!(job = %job.subject().job, "the job has its answer already");
        self.ledger
            .audit
            .record_job(|| {
                audit_record::leased(&job, &work, SettledBy::Found, settled.stored(), &self.prover)
            })
            .await;
        job.ack(&settled).await;
    }

    /// Answers a job in its queue, unless it has an answer, and removes it. Returns the code that is its answer.
    ///
    /// # Errors
    /// When nothing is known yet.
    pub(crate) async fn answer_queued(&self, queued: &QueuedJob, code: Code) -> Result<Code, PublishError> {
        let JobSubject { tenant, lane, circuit, job } = &queued.subject;
        let offer = Offer::code(&queued.subject, code, 0, Timings::default());
        let stored = self.broker.store_answer(&queued.subject, &offer, queued.trace.as_ref()).await;
        let settled = stored.inspect_err(|cause| self.note_full(tenant, cause))?;
        let settled_by = if settled.is_ours() {
            self.ledger.metrics.jobs.answered(circuit, *lane, code);
            self.ledger.activity.answered(code);
            info!(%job, %circuit, %code, "answered in the queue");
            SettledBy::Queue
        } else {
            SettledBy::Found
        };
        self.ledger
            .audit
            .record_job(|| audit_record::queued(queued, settled_by, settled.stored(), &self.prover))
            .await;
        // Erased, since there is no delivery here that could be acknowledged.
        self.broker.erase(&queued.subject, queued.sequence, &settled).await;
        // An answer that is not of this protocol has no code, and the job will have no other answer.
        Ok(settled.stored().code.unwrap_or(Code::MalformedJob))
    }

    /// Offers the answer until one is stored; returns `None` once the job's life is over.
    async fn store(&self, finished: &mut Finished) -> Option<Settled> {
        // Whether the lease is still held does not matter: compare-and-set makes a late offer harmless, and the
        // answer in hand may save another service a proof.
        let subject = finished.job.subject().clone();
        let trace = finished.job.trace();
        let mut waits = STORE_WAITS.start();
        loop {
            let cause = match self.broker.store_answer(&subject, &finished.offer, trace.as_ref()).await {
                Ok(settled) => return Some(settled),
                Err(cause) => cause,
            };
            self.note_full(&subject.tenant, &cause);
            // No further try would make it smaller, and a job must not stay without an answer.
            if cause.is_too_large() && finished.offer.header.code != Code::WitnessTooLarge {
                finished.offer = code_offer(&finished.job, Code::WitnessTooLarge);
                continue;
            }
            self.ledger.metrics.broker.event(BrokerEvent::RequestFailed);
            warn!(job = %subject.job, %cause, "the answer is not stored yet; trying again");
            // By then a client has reported the job as lost. An answer after that would contradict it.
            if UnixSeconds::now() > finished.deadline + ANSWER_GRACE {
                return None;
            }
            waits.pause().await;
        }
    }

    fn note_full(&self, tenant: &crate::protocol::Tenant, cause: &PublishError) {
        if cause.is_full() {
            self.capacity.mark_full(tenant);
        }
    }

    /// Counts and logs the answer of a job that was worked on here.
    fn record_answer(&self, finished: &Finished, settled: &Settled) {
        let JobSubject { lane, circuit, job, .. } = finished.job.subject();
        let jobs = &self.ledger.metrics.jobs;
        if !settled.is_ours() {
            jobs.race_lost(winner(settled));
            return info!(%job, "another answer was stored first");
        }
        let code = finished.offer.header.code;
        jobs.answered(circuit, *lane, code);
        if code == Code::Ok {
            jobs.proved(circuit, *lane, finished.job.age());
        }
        self.ledger.activity.answered(code);
        info!(%job, %circuit, %code, delivery = finished.job.delivered(), "answered");
    }
}

/// Returns who stored an answer that is not ours.
pub(super) fn winner(settled: &Settled) -> Winner {
    if settled.stored().code == Some(Code::Cancelled) { Winner::Cancel } else { Winner::Service }
}
