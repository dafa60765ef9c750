//! The lines of the audit log. `docs/AUDIT.md` describes them, and `schemas/audit.schema.json` is their published form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::StartCause;
use crate::protocol::{
    AnswerMode, BadName, CircuitId, Code, Deployment, JobId, KeyId, Lane, Outcome, Scheme, Sha256Digest,
    Tenant, UnixMillis, UnixSeconds, VerifyingKeyDigest,
};

/// Version of the form of a line.
pub const VERSION: &str = "1";

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Version of this form.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Number of the line in its chain, from 0.
    pub seq: u64,
    /// Hash of the line before. Zeros in the first line.
    pub prev: Sha256Digest,
    /// Random id of the service's start that wrote it. It is the same in all lines of a chain.
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    pub instance: String,
    /// Time of the event (RFC 3339).
    pub at: String,
    /// Time of the event, in Unix milliseconds.
    pub at_ms: UnixMillis,
    /// Number of events before this one that are missing, because the log took no more lines.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A service has started. The first line of a chain, and no other.
    Start(Start),
    /// A job has its answer.
    Job(Box<JobEnd>),
    /// A chamber has a private key that the previous one did not have.
    KeyAppeared(Key),
    /// A chamber no longer has a private key that the previous one had.
    KeyGone(Key),
    /// A bundle is served from now on.
    BundleServed(BundleServed),
    /// A chamber takes jobs from now on.
    ChamberReady(ChamberReady),
    /// The service has stopped in order. The last line of a chain. If it is missing, the service was killed, or the end was
    /// cut off.
    Stop,
}

/// A service has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Deployment of the service.
    pub deployment: Deployment,
    /// Version of the program.
    pub program: String,
    /// Name of the machine or container.
    pub host: String,
    /// Number of jobs that it proves at once.
    pub slots: usize,
    /// Hash of the last line that the previous start left in the same folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Sha256Digest>,
}

/// A job has its answer. Unknown facts are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobEnd {
    /// Tenant of the job.
    pub tenant: Tenant,
    /// Queue that the job waited in.
    pub lane: Lane,
    /// Circuit of the job.
    pub circuit: CircuitId,
    /// The job.
    pub job: JobId,
    /// Origin of its answer. A job is billed once, however many lines name it.
    pub settled_by: SettledBy,
    /// Outcome of the job. Left out if a stored answer is not of this protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Code of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Form of its answer: sealed or open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerMode>,
    /// Key that the job was sealed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Scheme of the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Verifying key under which this service proves the circuit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifying_key: Option<VerifyingKeyDigest>,
    /// Number of the attempt, from 1. 0 if the job was answered in its queue.
    pub attempt: u32,
    /// Time at which the broker stored the job, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_at_ms: Option<UnixMillis>,
    /// Time in the queue, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<u64>,
    /// Duration of all attempts of this delivery together, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked_ms: Option<u64>,
    /// Time that opening the seal took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<u64>,
    /// Time that checking the witness took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_ms: Option<u64>,
    /// Time that proving took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_ms: Option<u64>,
    /// Time that verifying the proof took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_ms: Option<u64>,
    /// Time that sealing the answer took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_ms: Option<u64>,
    /// Size of the sealed witness, with its padding, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_bytes: Option<u64>,
    /// Size of the answer, with its padding if it is sealed, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_bytes: Option<u64>,
    /// Largest resident set of its process, in bytes, with its memory at birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// The client's trace (W3C Trace Context), if it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

closed_set! {
    /// The origin of the answer that a job has.
    pub SettledBy, "origin of an answer" {
        /// This service, for a delivery.
        Delivery = "delivery",
        /// This service, without a delivery: the job was cancelled, outlived its deadline, was given up, or could not be
        /// read.
        Queue = "queue",
        /// Another service, which was faster. The answer that was made here was discarded.
        Other = "other",
        /// Another service, or an earlier start of this one that died before it wrote the line. The answer was stored when
        /// this service looked.
        Found = "found",
    }
}

/// A private key of the chamber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// Id of the key.
    pub key: KeyId,
    /// Scheme of seals to it.
    pub scheme: Scheme,
    /// True if the folder of keys records that it was destroyed.
    pub destroyed: bool,
}

/// A bundle is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleServed {
    /// Serial of the bundle.
    pub serial: u64,
    /// Time from which clients reject it, in Unix seconds.
    pub expires_at: UnixSeconds,
    /// SHA-256 over the served bytes.
    pub bundle: Sha256Digest,
}

/// A chamber takes jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChamberReady {
    /// Number of the chamber in this start, from 1.
    pub chamber: u32,
    /// Cause of its start.
    pub cause: StartCause,
    /// True if its system calls are filtered.
    pub seccomp: bool,
    /// Version of Landlock that restricts it. 0 if the kernel has none.
    pub landlock: u32,
}
