//! What the audit log is told of a job at its end. All of it is known to the broker, or is how long and how much
//! it took.

use std::time::Duration;

use super::Shared;
use super::delivery::Job;
use super::leader::Found;
use super::settle::{Queued, code_of};
use crate::audit::{JobEnd, SettledBy};
use crate::clock::millis;
use crate::envelope::Scheme;
use crate::job::{AnswerMode, JobSubject, KeyId};
use crate::wire::{AnswerHeader, Code, Timings};

/// What working on a job took here.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "when the last attempt was is for spans alone"))]
pub(super) struct Work {
    pub(super) attempt: u32,
    /// When the last attempt began, in Unix milliseconds, and how long it took.
    pub(super) began_ms: Option<u64>,
    pub(super) took_last: Duration,
    /// All attempts together.
    pub(super) took: Duration,
    /// As the process of the last attempt said, no more than it can have been.
    pub(super) timings: Timings,
    pub(super) sealed_ms: Option<u64>,
    pub(super) peak_bytes: Option<u64>,
}

/// An answer that is in its stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stored {
    code: Option<Code>,
    mode: Option<AnswerMode>,
    bytes: Option<u64>,
}

impl Stored {
    /// One of ours.
    pub(super) fn ours(header: &AnswerHeader, payload: &[u8]) -> Self {
        let bytes = Some(payload.len() as u64);
        Stored { code: Some(header.code), mode: Some(header.mode), bytes }
    }

    /// Somebody else's.
    pub(super) fn theirs(found: &Found) -> Self {
        let header = AnswerHeader::parse(|name| found.header(name));
        let mode = header.map(|header| header.mode);
        Stored { code: code_of(found), mode, bytes: Some(found.payload.len() as u64) }
    }
}

/// The end of a job that had a delivery here.
pub(super) fn of_delivery(
    job: &Job,
    work: &Work,
    settled_by: SettledBy,
    stored: Stored,
    shared: &Shared,
) -> JobEnd {
    JobEnd {
        attempt: work.attempt,
        stored_at_ms: Some(job.stored_at_ms),
        queued_ms: Some(job.queued_ms),
        worked_ms: (work.took > Duration::ZERO).then(|| millis(work.took)),
        opened_ms: work.timings.opened,
        checked_ms: work.timings.checked,
        proved_ms: work.timings.proved,
        verified_ms: work.timings.verified,
        sealed_ms: work.sealed_ms,
        job_bytes: Some(job.payload_bytes() as u64),
        peak_bytes: work.peak_bytes,
        trace: job.trace().map(|trace| trace.as_str().to_owned()),
        ..of(&job.subject, job.key(), settled_by, stored, shared)
    }
}

/// The end of a job that was answered in its queue.
pub(super) fn of_queued(queued: &Queued, settled_by: SettledBy, stored: Stored, shared: &Shared) -> JobEnd {
    JobEnd {
        stored_at_ms: Some(queued.stored_at_ms),
        job_bytes: Some(queued.bytes),
        trace: queued.trace.as_ref().map(|trace| trace.as_str().to_owned()),
        ..of(&queued.subject, queued.key.clone(), settled_by, stored, shared)
    }
}

fn of(
    subject: &JobSubject,
    key: Option<KeyId>,
    settled_by: SettledBy,
    stored: Stored,
    shared: &Shared,
) -> JobEnd {
    let JobSubject { tenant, lane, circuit, job } = subject.clone();
    let signed = shared.published.now();
    let scheme = key.as_ref().and_then(|key| scheme_of(key, shared));
    JobEnd {
        tenant,
        lane,
        job,
        settled_by,
        outcome: stored.code.map(Code::outcome),
        code: stored.code,
        answer: stored.mode,
        key,
        scheme,
        verifying_key: signed.bundle.circuit(&circuit).map(|circuit| circuit.verifying_key),
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
        answer_bytes: stored.bytes,
        peak_bytes: None,
        trace: None,
    }
}

/// How a key is sealed to that the chamber or the bundle has.
fn scheme_of(key: &KeyId, shared: &Shared) -> Option<Scheme> {
    let of_chamber = shared.chambers.live().and_then(|chamber| chamber.keys.scheme_of(key));
    let signed = shared.published.now();
    of_chamber
        .or_else(|| signed.bundle.keys.iter().find(|listed| listed.id == *key).map(|listed| listed.scheme))
}
