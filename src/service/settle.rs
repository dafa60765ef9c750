//! Settling: the answer is stored by compare-and-set on an empty subject, and only then is the job
//! acknowledged.
//!
//! Two things permit the acknowledgement: our own publish acknowledged, or an answer read from the
//! stream's leader. Every error means "look, else try again".

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Shared;
use super::delivery::Job;
use super::lease::{Lease, acknowledge};
use crate::broker::{Backoff, PublishError, answers_stream, header_map, jobs_stream, leader_get, publish};
use crate::clock::unix_now;
use crate::job::JobSubject;
use crate::metrics::{BrokerEvent, Phase};
use crate::wire::{AnswerHeader, Code, GRACE_SECONDS, LIFETIME_SECONDS_MAX};

/// The first and the longest wait before an answer is offered again.
const RETRY_WAIT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often the acknowledgement of a settled job is tried; after that, redelivery finds the answer.
const ACK_TRIES: u32 = 5;

/// A job that has its answer, and was acknowledged or will be found answered.
#[must_use]
pub(super) struct Settled(());

/// An answer in hand, made for a delivery.
pub(super) struct Finished {
    pub(super) job: Job,
    pub(super) lease: Lease,
    pub(super) header: AnswerHeader,
    pub(super) payload: Vec<u8>,
    /// The broker keeps no copy of this payload: a witness came in clear.
    pub(super) erase: bool,
}

impl Finished {
    /// Stores the answer and acknowledges the job.
    pub(super) async fn settle(mut self, shared: &Shared) -> Settled {
        let started = Instant::now();
        let (circuit, lane) = (self.job.subject.circuit.clone(), self.job.subject.lane);
        let job = self.job.subject.job.clone();
        match self.store(shared).await {
            Stored::Ours => {
                shared.metrics.answered(&circuit, lane, self.header.code.outcome());
                info!(%job, %circuit, code = %self.header.code, delivery = self.job.delivered, "answered");
            }
            Stored::Theirs => shared.metrics.race_lost(),
            Stored::TooLate => {
                warn!(%job, "no answer could be stored in the job's life");
                return Settled(());
            }
        }
        if self.erase {
            self.erase_job(shared).await;
        }
        acknowledge_settled(&self.job, &self.lease, shared).await;
        shared.metrics.phase(&circuit, Phase::Settled, started.elapsed());
        Settled(())
    }

    /// Until somebody's answer is there, for as long as the job may live.
    async fn store(&mut self, shared: &Shared) -> Stored {
        let JobSubject { tenant, job, .. } = self.job.subject.clone();
        let (subject, stream) = (shared.config.prefix.answer(&tenant, &job), answers_stream(&tenant));
        let until = self.job.stored_at_ms / 1000 + LIFETIME_SECONDS_MAX + GRACE_SECONDS;
        let mut waits = Backoff::new(RETRY_WAIT);
        loop {
            let mut headers = header_map(self.header.to_headers());
            headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
            headers.insert(async_nats::header::NATS_EXPECTED_STREAM, stream.as_str());
            let Err(cause) = publish(&shared.client, subject.clone(), headers, self.payload.clone()).await
            else {
                return Stored::Ours;
            };
            if is_too_large(&cause) && self.header.code != Code::WitnessTooLarge {
                self.header = AnswerHeader::unauthenticated(Code::WitnessTooLarge);
                self.payload = self.job.error_document(Code::WitnessTooLarge);
                continue;
            }
            if let Ok(Some(_)) = leader_get(&shared.context, &stream, &subject).await {
                return Stored::Theirs;
            }
            shared.metrics.broker(BrokerEvent::RequestFailed);
            warn!(%job, %cause, "the answer is not stored yet");
            if unix_now() > until {
                return Stored::TooLate;
            }
            waits.pause().await;
        }
    }

    /// Overwrites the message in the broker's store.
    async fn erase_job(&self, shared: &Shared) {
        let stream = shared.context.get_stream_no_info(jobs_stream(&self.job.subject.tenant)).await;
        if let Ok(stream) = stream
            && stream.delete_message(self.job.sequence).await.is_err()
        {
            warn!(job = %self.job.subject.job, "a payload in clear could not be erased from the broker");
        }
    }
}

/// Acknowledges a job that was found answered.
pub(super) async fn settle_answered(job: &Job, lease: &Lease, shared: &Shared) -> Settled {
    info!(job = %job.subject.job, "found answered");
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
        shared.metrics.broker(BrokerEvent::RequestFailed);
        waits.pause().await;
    }
}

/// Whose answer is in the stream.
enum Stored {
    Ours,
    Theirs,
    TooLate,
}

/// JetStream's "message size exceeds maximum allowed".
const MESSAGE_TOO_LARGE: u64 = 10054;

/// Whether an answer can never be stored: it is then answered by its code alone.
fn is_too_large(cause: &PublishError) -> bool {
    matches!(cause, PublishError::TooLarge | PublishError::Refused { err_code: MESSAGE_TOO_LARGE, .. })
}
