//! The audit log: one line of JSON for each job at its end, and for each event that an investigation asks for:
//! keys, bundles, chambers, start and stop. What may stand in it is what the broker can learn of a job, and
//! how long and how much it took; never a witness, nor an answer.
//!
//! The lines of one start of a service are a chain: each has the SHA-256 of the line before, so that whoever
//! changes, removes, inserts or reorders one has to write all that follow anew. [`verify`] finds it out.
//!
//! Lines and chains are pure; `log` writes them, from a task of its own, so that no answer ever waits for it.

#[cfg(feature = "service")]
pub mod log;
pub mod verify;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::StartCause;
use crate::protocol::{
    AnswerMode, CircuitId, Code, Deployment, JobId, KeyId, Lane, Outcome, Scheme, Sha256Digest, Tenant,
    UnixMillis, UnixSeconds, VerifyingKeyDigest,
};

/// The version of a line's form.
pub const VERSION: &str = "1";

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The version of this form.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Which line of its chain it is, from 0.
    pub seq: u64,
    /// The hash of the line before; zeros in the first.
    pub prev: Sha256Digest,
    /// Which start of which service wrote it: drawn at its start, the same in all lines of a chain.
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    pub instance: String,
    /// When it happened (RFC 3339).
    pub at: String,
    /// The same, in Unix milliseconds.
    pub at_ms: UnixMillis,
    /// How many events before it are not in the log, because it took no more lines.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A service has started. The first line of a chain, and only that.
    Start(Start),
    /// A job has its answer.
    Job(Box<JobEnd>),
    /// A chamber has a private key that the one before it had not.
    KeyAppeared(Key),
    /// The chamber at work has a private key no more.
    KeyGone(Key),
    /// A bundle is served from here on.
    BundleServed(BundleServed),
    /// A chamber takes jobs from here on.
    ChamberReady(ChamberReady),
    /// The service has stopped in good order. The last line of a chain; where it is missing, the service was
    /// killed, or the end was cut off.
    Stop,
}

/// A service has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Of which deployment.
    pub deployment: Deployment,
    /// The version of the program.
    pub program: String,
    /// The name of the machine, or of the container.
    pub host: String,
    /// How many jobs it proves at once.
    pub slots: usize,
    /// The last line that the start before had left in the same folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Sha256Digest>,
}

/// A job has its answer. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobEnd {
    /// Whose job it was.
    pub tenant: Tenant,
    /// The queue that it waited in.
    pub lane: Lane,
    /// What was to be proved.
    pub circuit: CircuitId,
    /// Which job it was.
    pub job: JobId,
    /// Whose answer it has. A job is paid for once, however many lines name it.
    pub settled_by: SettledBy,
    /// How it ended; left out where the answer that was found is not of this protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The code of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Whether its answer is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerMode>,
    /// The key that it was sealed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// How it was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// What this service proves that circuit under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifying_key: Option<VerifyingKeyDigest>,
    /// Which attempt it was, from 1; 0 where it was answered in its queue.
    pub attempt: u32,
    /// When the broker had it, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_at_ms: Option<UnixMillis>,
    /// How long it waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<u64>,
    /// How long processes of this service had it, all attempts of this delivery together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked_ms: Option<u64>,
    /// How long opening its seal took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<u64>,
    /// How long checking its witness took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_ms: Option<u64>,
    /// How long proving took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_ms: Option<u64>,
    /// How long verifying the proof took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_ms: Option<u64>,
    /// How long sealing the answer took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_ms: Option<u64>,
    /// The size of what was sealed, padded, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_bytes: Option<u64>,
    /// The size of its answer, padded where it is sealed, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_bytes: Option<u64>,
    /// The most memory that its process had resident, in bytes, with what it was born with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// The client's trace (W3C Trace Context), where it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Whose answer a job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// This service's, made for a delivery.
    Delivery,
    /// This service's, made without one: it was cancelled, or outlived its deadline, or was given up, or could
    /// not be read.
    Queue,
    /// Somebody else's, who was quicker: what was made here was thrown away.
    Other,
    /// One that was there when this service looked: of another service, or of a start before this one that
    /// died with its line unwritten.
    Found,
}

/// A private key of the chamber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// Which.
    pub key: KeyId,
    /// How it is sealed to.
    pub scheme: Scheme,
    /// Whether the folder says that it was destroyed.
    pub destroyed: bool,
}

/// A bundle is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleServed {
    /// Which.
    pub serial: u64,
    /// When it stops being good, in Unix seconds.
    pub expires_at: UnixSeconds,
    /// SHA-256 over the bytes that are served.
    pub bundle: Sha256Digest,
}

/// A chamber takes jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChamberReady {
    /// Which of this service's, from 1.
    pub chamber: u32,
    /// Why there is another.
    pub cause: StartCause,
    /// Whether its system calls are filtered.
    pub seccomp: bool,
    /// The version of Landlock that holds it; 0 where the kernel has none.
    pub landlock: u32,
}

/// Where a chain stands: makes one line after the other.
#[derive(Debug)]
pub struct Chain {
    instance: String,
    seq: u64,
    prev: Sha256Digest,
}

impl Chain {
    /// A chain without lines.
    pub fn new(instance: String) -> Self {
        Chain { instance, seq: 0, prev: Sha256Digest::ZERO }
    }

    /// The next line, with its newline.
    pub fn next(&mut self, at: UnixMillis, lost: u64, event: Event) -> Vec<u8> {
        let line = Line {
            version: VERSION.to_owned(),
            seq: self.seq,
            prev: self.prev,
            instance: self.instance.clone(),
            at: at.to_rfc3339(),
            at_ms: at,
            lost,
            event,
        };
        // Cannot panic: structs of numbers and strings.
        let mut bytes = serde_json::to_vec(&line).expect("a line serialises");
        self.seq += 1;
        self.prev = Sha256Digest::hash(&bytes);
        bytes.push(b'\n');
        bytes
    }

    /// How many lines it has, and the hash of the last.
    pub fn head(&self) -> (u64, Sha256Digest) {
        (self.seq, self.prev)
    }
}
