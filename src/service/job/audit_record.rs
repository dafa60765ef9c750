//! A job's line in the audit log: facts that the broker can learn too, durations and sizes.
//!
//! Nothing derived from a plaintext is in a line.

use std::time::Duration;

use super::queued::QueuedJob;
use crate::audit::{JobEnd, SettledBy};
use crate::jetstream::{LeasedJob, StoredAnswer};
use crate::protocol::{Code, JobSubject, KeyId, millis};
use crate::service::prover::Prover;
use crate::service::status::Work;

/// Returns the line of a job that was delivered here.
pub(super) fn leased(
    job: &LeasedJob,
    work: &Work,
    settled_by: SettledBy,
    answer: StoredAnswer,
    prover: &Prover,
) -> JobEnd {
    JobEnd {
        attempt: work.attempt,
        stored_at_ms: Some(job.stored_at()),
        queued_ms: Some(job.queued_ms()),
        // Left out, not 0, where no process had the job.
        worked_ms: (work.all_attempts > Duration::ZERO).then(|| millis(work.all_attempts)),
        opened_ms: work.timings.opened,
        checked_ms: work.timings.checked,
        proved_ms: work.timings.proved,
        verified_ms: work.timings.verified,
        sealed_ms: work.sealed_ms,
        job_bytes: Some(job.payload().len() as u64),
        peak_bytes: work.peak_bytes,
        trace: job.trace().map(|trace| trace.as_str().to_owned()),
        ..line(job.subject(), job.key(), settled_by, answer, prover)
    }
}

/// Returns the line of a job that was answered in its queue.
pub(super) fn queued(
    job: &QueuedJob,
    settled_by: SettledBy,
    answer: StoredAnswer,
    prover: &Prover,
) -> JobEnd {
    JobEnd {
        stored_at_ms: Some(job.stored_at),
        job_bytes: Some(job.payload_bytes),
        trace: job.trace.as_ref().map(|trace| trace.as_str().to_owned()),
        ..line(&job.subject, job.key.clone(), settled_by, answer, prover)
    }
}

fn line(
    subject: &JobSubject,
    key: Option<KeyId>,
    settled_by: SettledBy,
    answer: StoredAnswer,
    prover: &Prover,
) -> JobEnd {
    let JobSubject { tenant, lane, circuit, job } = subject.clone();
    JobEnd {
        tenant,
        lane,
        job,
        settled_by,
        outcome: answer.code.map(Code::outcome),
        code: answer.code,
        answer: answer.mode,
        // A job names only its key. The log has to state the scheme even when the key is long destroyed.
        scheme: key.as_ref().and_then(|key| prover.scheme(key)),
        key,
        verifying_key: prover.verifying_key(&circuit),
        circuit,
        attempt: 0,
        stored_at_ms: None,
        queued_ms: None,
        worked_ms: None,
        opened_ms: None,
        checked_ms: None,
        proved_ms: None,
        verified_ms: None,
        sealed_ms: None,
        job_bytes: None,
        answer_bytes: Some(answer.bytes),
        peak_bytes: None,
        trace: None,
    }
}
