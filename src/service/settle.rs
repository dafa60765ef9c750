//! Settling: the answer is stored by compare-and-set on an empty subject, and only then is the job
//! acknowledged.
//!
//! Two things permit the acknowledgement: our own publish acknowledged, or an answer read from the
//! stream's leader. Every error means "look, else try again".

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Shared;
use super::delivery::Job;
use super::leader::{self, Found};
use super::lease::{Lease, acknowledge};
use super::record::{self, Stored, Work};
use super::streams::jobs_stream;
use super::traces::Times;
use crate::audit::SettledBy;
use crate::broker::{Backoff, PublishError, answers_stream, header_map, publish};
use crate::clock::{unix_now, unix_now_ms};
use crate::job::{JobId, JobSubject, KeyId, Tenant};
use crate::metrics::{BrokerEvent, Phase, Winner};
use crate::wire::{Answer, AnswerHeader, Code, GRACE_SECONDS, H_KEY, H_TRACE, Timings, TraceParent};

/// The first and the longest wait before an answer is offered again.
const RETRY_WAIT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often the acknowledgement of a settled job is tried; after that, redelivery finds the answer.
const ACK_TRIES: u32 = 5;

/// A job that has its answer, and was acknowledged or will be found answered.
#[must_use]
pub(super) struct Settled(());

/// An answer in hand, for whoever stores it first.
pub(super) struct Offer {
    pub(super) header: AnswerHeader,
    pub(super) payload: Vec<u8>,
}

/// Whose answer is in the stream.
pub(super) enum Answered {
    Ours,
    Theirs(Found),
}

impl Offer {
    /// An answer that the network side makes: its code, and nothing else.
    pub(super) fn of_code(subject: &JobSubject, code: Code, attempt: u32, timings: Timings) -> Self {
        Offer {
            header: AnswerHeader::unauthenticated(code),
            payload: Answer::error(subject, code, attempt, timings).to_json(),
        }
    }

    /// Offers the answer once: publishes it where no answer is, else looks whose is there. An error means
    /// that nothing is known.
    pub(super) async fn once(
        &self,
        tenant: &Tenant,
        job: &JobId,
        trace: Option<&TraceParent>,
        shared: &Shared,
    ) -> Result<Answered, PublishError> {
        let (subject, stream) = (shared.config.prefix.answer(tenant, job), answers_stream(tenant));
        let mut headers = header_map(self.header.to_headers());
        if let Some(trace) = trace {
            headers.insert(H_TRACE, trace.as_str());
        }
        if !cfg!(sealprove_wrong = "stores_without_compare") {
            headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        }
        headers.insert(async_nats::header::NATS_EXPECTED_STREAM, stream.as_str());
        let published = publish(&shared.client, subject.clone(), headers, self.payload.clone()).await;
        let Err(cause) = published else { return Ok(Answered::Ours) };
        if cause.is_full() {
            shared.room.is_full(tenant);
        }
        match leader::last_on(&shared.client, &stream, &subject).await {
            Ok(Some(theirs)) => Ok(Answered::Theirs(theirs)),
            _ => Err(cause),
        }
    }
}

/// An answer in hand, made for a delivery. It keeps its slot until it is stored, so that a service never
/// holds more answers than it has slots.
pub(super) struct Finished {
    pub(super) job: Job,
    pub(super) lease: Lease,
    pub(super) offer: Offer,
    pub(super) work: Work,
    /// The broker keeps no copy of this payload: a witness came in clear.
    pub(super) erase: bool,
}

impl Finished {
    /// Stores the answer and acknowledges the job.
    pub(super) async fn settle(mut self, shared: &Shared) -> Settled {
        let (started, settling) = (Instant::now(), unix_now_ms());
        let (circuit, lane) = (self.job.subject.circuit.clone(), self.job.subject.lane);
        let job = self.job.subject.job.clone();
        if cfg!(sealprove_wrong = "acknowledges_first") {
            acknowledge_settled(&self.job, &self.lease, shared).await;
        }
        let (settled_by, stored) = match self.store(shared).await {
            Some(Answered::Ours) => {
                let code = self.offer.header.code;
                shared.metrics.jobs.answered(&circuit, lane, code);
                if code == Code::Ok {
                    shared.metrics.jobs.proved(&circuit, lane, self.job.queued());
                }
                shared.board.answered(code);
                info!(%job, %circuit, %code, delivery = self.job.delivered, "answered");
                (SettledBy::Delivery, Stored::ours(&self.offer.header, &self.offer.payload))
            }
            Some(Answered::Theirs(theirs)) => {
                shared.metrics.jobs.race_lost(winner(&theirs));
                info!(%job, "somebody else's answer was there first");
                (SettledBy::Other, Stored::theirs(&theirs))
            }
            None => {
                warn!(%job, "no answer could be stored in the job's life");
                return Settled(());
            }
        };
        // Before the acknowledgement: should this process die first, another finds the answer, and says so.
        let end = || record::of_delivery(&self.job, &self.work, settled_by, stored, shared);
        shared.audit.job(end).await;
        if self.erase {
            erase(&self.job.subject.tenant, self.job.sequence, shared).await;
        }
        acknowledge_settled(&self.job, &self.lease, shared).await;
        shared.metrics.jobs.phase(&circuit, Phase::Settled, started.elapsed());
        let stored_at = self.job.stored_at_ms;
        let times = Times { stored: stored_at, taken: stored_at + self.job.queued_ms, settling };
        shared.traces.job(self.job.trace(), end, &self.work, times);
        Settled(())
    }

    /// Until somebody's answer is there; `None` once the job's life is over.
    async fn store(&mut self, shared: &Shared) -> Option<Answered> {
        let JobSubject { tenant, job, .. } = self.job.subject.clone();
        let trace = self.job.trace();
        let mut waits = Backoff::new(RETRY_WAIT);
        loop {
            let cause = match self.offer.once(&tenant, &job, trace.as_ref(), shared).await {
                Ok(answered) => return Some(answered),
                Err(cause) => cause,
            };
            if cause.is_too_large() && self.offer.header.code != Code::WitnessTooLarge {
                self.offer = self.job.offer(Code::WitnessTooLarge);
                continue;
            }
            shared.metrics.broker.event(BrokerEvent::RequestFailed);
            warn!(%job, %cause, "the answer is not stored yet");
            if unix_now() > self.job.deadline + GRACE_SECONDS {
                return None;
            }
            waits.pause().await;
        }
    }
}

/// Acknowledges a job that was found answered, before work or after.
pub(super) async fn settle_answered(job: &Job, lease: &Lease, work: &Work, shared: &Shared) -> Settled {
    info!(job = %job.subject.job, "found answered");
    if shared.audit.is_on() {
        let JobSubject { tenant, job: id, .. } = &job.subject;
        let subject = shared.config.prefix.answer(tenant, id);
        let found = leader::last_on(&shared.client, &answers_stream(tenant), &subject).await.ok().flatten();
        let stored = found.as_ref().map_or_else(Stored::default, Stored::theirs);
        shared.audit.job(|| record::of_delivery(job, work, SettledBy::Found, stored, shared)).await;
    }
    acknowledge_settled(job, lease, shared).await;
    Settled(())
}

async fn acknowledge_settled(job: &Job, lease: &Lease, shared: &Shared) {
    let mut waits = Backoff::new(RETRY_WAIT);
    for _ in 0..ACK_TRIES {
        // An acknowledgement without a lease could end somebody else's delivery: the answer is there, so
        // whoever has the job now will find it.
        if !lease.is_held() || acknowledge(&shared.client, &job.reply, "+ACK").await {
            return;
        }
        shared.metrics.broker.event(BrokerEvent::RequestFailed);
        waits.pause().await;
    }
}

/// A job as it lies in its queue, for those who answer it without a delivery of their own.
pub(super) struct Queued {
    pub(super) subject: JobSubject,
    pub(super) sequence: u64,
    pub(super) stored_at_ms: u64,
    /// The size of what was sealed.
    pub(super) bytes: u64,
    pub(super) key: Option<KeyId>,
    pub(super) trace: Option<TraceParent>,
}

impl Queued {
    /// The job of this subject, as the leader has it.
    pub(super) fn of(subject: JobSubject, found: &Found) -> Self {
        Queued {
            subject,
            sequence: found.sequence,
            stored_at_ms: found.stored_at_ms,
            bytes: found.payload.len() as u64,
            key: found.header(H_KEY).and_then(|key| key.parse().ok()),
            trace: TraceParent::only(found.all(H_TRACE)),
        }
    }

    /// Answers the job where nobody has, and takes it out of the queue. An error means that nothing is
    /// known yet.
    pub(super) async fn answer(&self, code: Code, shared: &Shared) -> Result<Code, PublishError> {
        let JobSubject { tenant, lane, circuit, job } = &self.subject;
        let offer = Offer::of_code(&self.subject, code, 0, Timings::default());
        let (code, settled_by, stored) = match offer.once(tenant, job, self.trace.as_ref(), shared).await? {
            Answered::Ours => {
                shared.metrics.jobs.answered(circuit, *lane, code);
                shared.board.answered(code);
                info!(%job, %circuit, %code, "answered in the queue");
                (code, SettledBy::Queue, Stored::ours(&offer.header, &offer.payload))
            }
            Answered::Theirs(found) => {
                // One that is not of this protocol is all the answer that there can be.
                let theirs = code_of(&found).unwrap_or(Code::MalformedJob);
                (theirs, SettledBy::Found, Stored::theirs(&found))
            }
        };
        shared.audit.job(|| record::of_queued(self, settled_by, stored, shared)).await;
        erase(tenant, self.sequence, shared).await;
        Ok(code)
    }
}

/// The code on a stored answer, where it is one of this protocol.
pub(super) fn code_of(stored: &Found) -> Option<Code> {
    AnswerHeader::parse(|name| stored.header(name)).map(|header| header.code)
}

/// Who has stored an answer that is not ours.
pub(super) fn winner(stored: &Found) -> Winner {
    if code_of(stored) == Some(Code::Cancelled) { Winner::Cancel } else { Winner::Service }
}

/// Overwrites an answered job's message in the broker's store. Where that fails, a delivery finds the
/// answer and acknowledges.
pub(super) async fn erase(tenant: &Tenant, sequence: u64, shared: &Shared) {
    let stream = shared.context.get_stream_no_info(jobs_stream(tenant)).await;
    if let Ok(stream) = stream
        && stream.delete_message(sequence).await.is_err()
    {
        warn!(sequence, "an answered job could not be erased from the queue");
    }
}
