//! What the service and the chamber say to each other: bounded frames over one connection a job, and
//! events over one control connection.
//!
//! On a job's connection the service first writes an [`Order`], 40 bytes of numbers that the chamber
//! reads before it forks, and then a frame with the sealed job, which only the job process reads. The
//! job process writes one frame back. On the control connection the chamber writes [`Event`]s and
//! reads nothing; its end is the order to finish.
//!
//! A frame is `head length (4 bytes, big-endian) ‖ body length (4 bytes) ‖ head (JSON) ‖ body`. Lengths
//! are checked before anything is allocated. No type here can hold a secret in clear.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

use crate::protocol::{
    AnswerMode, CircuitId, Code, JobHeader, JobId, JobSubject, KeyId, Lane, Scheme, Tenant, Timings,
    UnixSeconds, VerifyingKeyDigest, is_header_value,
};

/// Bytes of an [`Order`].
pub const ORDER_BYTES: usize = 40;
/// The stack of each thread that a job proves with, and of its first thread, in bytes.
pub const STACK_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes before head and body of a frame.
pub const PREFIX_BYTES: usize = 8;
/// The longest head, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest body, in bytes: above any payload that a broker takes by default, and any answer.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

const ORDER_MAGIC: [u8; 8] = *b"sealpro1";

/// What the chamber needs to know of a job before it forks: numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The service's own number for this attempt.
    pub ticket: u64,
    /// When the chamber kills the process, in milliseconds from now.
    pub limit_ms: u64,
    /// How much memory the process may take beyond what it is born with and its stacks, in bytes.
    pub memory_bytes: u64,
    /// How many threads the process may prove with.
    pub threads: u32,
}

impl Order {
    /// The order as it is written.
    pub fn to_bytes(self) -> [u8; ORDER_BYTES] {
        let mut bytes = [0; ORDER_BYTES];
        bytes[..8].copy_from_slice(&ORDER_MAGIC);
        bytes[8..16].copy_from_slice(&self.ticket.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.limit_ms.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.memory_bytes.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.threads.to_be_bytes());
        bytes
    }

    /// Reads an order; `None` where it is not one.
    pub fn from_bytes(bytes: &[u8; ORDER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (ticket, rest) = rest.split_first_chunk::<8>()?;
        let (limit_ms, rest) = rest.split_first_chunk::<8>()?;
        let (memory_bytes, rest) = rest.split_first_chunk::<8>()?;
        let (threads, reserved) = rest.split_first_chunk::<4>()?;
        let order = Order {
            ticket: u64::from_be_bytes(*ticket),
            limit_ms: u64::from_be_bytes(*limit_ms),
            memory_bytes: u64::from_be_bytes(*memory_bytes),
            threads: u32::from_be_bytes(*threads),
        };
        (*magic == ORDER_MAGIC && reserved == [0; 4] && order.threads > 0).then_some(order)
    }
}

/// The head of a job's frame; the body is the sealed payload. The deployment is the chamber's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHead {
    /// From the subject.
    pub tenant: Tenant,
    /// From the subject.
    pub lane: Lane,
    /// From the subject.
    pub circuit: CircuitId,
    /// From the subject.
    pub job: JobId,
    /// From the headers.
    pub key: KeyId,
    /// From the headers.
    pub expires: UnixSeconds,
    /// From the headers.
    pub answer: AnswerMode,
    /// From the headers; none for `any`.
    pub verifying_key: Option<VerifyingKeyDigest>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How long the job waited, in milliseconds.
    pub queued_ms: u64,
}

impl JobHead {
    /// Of a job with this header, at its `attempt`th attempt.
    pub fn new(header: JobHeader, attempt: u32, queued_ms: u64) -> Self {
        let JobHeader { subject, key, expires, answer, verifying_key } = header;
        let JobSubject { tenant, lane, circuit, job } = subject;
        let verifying_key = verifying_key.into();
        JobHead { tenant, lane, circuit, job, key, expires, answer, verifying_key, attempt, queued_ms }
    }
}

/// The head of a job process's answer; the body is the payload of the answer message. Whoever has taken over a
/// job process can write it, so what goes into headers is read only if it can stand there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyHead {
    /// How the job ended.
    pub code: Code,
    /// Whether the body is sealed.
    pub mode: AnswerMode,
    /// The media type of the document.
    #[serde(deserialize_with = "header_value")]
    pub content_type: String,
    /// The tag of an open answer, where the job was opened.
    #[serde(deserialize_with = "header_value_if_any")]
    pub tag: Option<String>,
    /// How long each step took.
    pub timings: Timings,
    /// How long sealing the answer took, in milliseconds.
    pub sealed_ms: u64,
}

fn header_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = header_value_if_any(deserializer)?;
    value.ok_or_else(|| D::Error::custom("expected a header's value"))
}

fn header_value_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(value) if !is_header_value(&value) => Err(D::Error::custom("expected a header's value")),
        value => Ok(value),
    }
}

/// What the chamber tells the service on the control connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Keys are loaded and every proving key is built.
    Ready {
        /// The private keys that are there.
        keys: Vec<ReadyKey>,
        /// The keys that were there once and are destroyed.
        destroyed: Vec<KeyId>,
        /// The circuits that are there, with the verifying keys that were built.
        circuits: Vec<ReadyCircuit>,
        /// Where it takes jobs.
        listen: PathBuf,
        /// How it is locked, and every job with it.
        locks: Locks,
        /// The memory that every job process is born with, in bytes.
        birth_bytes: u64,
    },
    /// A process was forked for an order.
    Started {
        /// The order's number.
        ticket: u64,
        /// The process.
        pid: i32,
    },
    /// That process is dead and reaped.
    Ended {
        /// The order's number.
        ticket: u64,
        /// How it ended.
        end: End,
        /// The most memory that it had resident, in bytes, with what it was born with.
        peak_bytes: u64,
    },
}

/// A private key that the chamber can open seals with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyKey {
    /// Its id.
    pub id: KeyId,
    /// How it is sealed to.
    pub scheme: Scheme,
}

/// A circuit that the chamber can prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyCircuit {
    /// Its name.
    pub id: CircuitId,
    /// The digest that headers and bundle pin.
    pub verifying_key: VerifyingKeyDigest,
    /// How long building its keys took, in milliseconds.
    pub built_ms: u64,
}

/// Which locks are in force in a process; as `sandbox` closes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Locks {
    /// System calls are filtered (seccomp).
    pub calls: bool,
    /// The version of Landlock's interface that holds files, and from 4 on TCP, from 6 on signals and
    /// abstract sockets; 0 where the kernel has none.
    pub files: u32,
}

impl Locks {
    /// The version of Landlock from which on everything is held that is asked for.
    pub const FILES_WHOLE: u32 = 6;
}

/// How a job process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It said that it had written its answer.
    Answered,
    /// It hit its memory ceiling.
    OutOfMemory,
    /// The chamber killed it at its limit, or the kernel at its processor limit.
    TimedOut,
    /// It panicked.
    Panicked,
    /// It aborted, trapped, divided by zero, or overflowed its stack.
    Aborted,
    /// It was told something that is not a job.
    BadFrame,
    /// It could not be set up.
    NotStarted,
    /// It made a forbidden system call, or touched memory that is not its own.
    Violation,
    /// The chamber killed it because the service dropped the job.
    Dropped,
    /// Somebody else killed it.
    Killed,
    /// It exited in a way that has no meaning here.
    Unknown,
}

impl End {
    /// All ends.
    pub const ALL: [End; 11] = [
        End::Answered,
        End::OutOfMemory,
        End::TimedOut,
        End::Panicked,
        End::Aborted,
        End::BadFrame,
        End::NotStarted,
        End::Violation,
        End::Dropped,
        End::Killed,
        End::Unknown,
    ];

    /// The end as a metric label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Answered => "answered",
            End::OutOfMemory => "out_of_memory",
            End::TimedOut => "timed_out",
            End::Panicked => "panicked",
            End::Aborted => "aborted",
            End::BadFrame => "bad_frame",
            End::NotStarted => "not_started",
            End::Violation => "violation",
            End::Dropped => "dropped",
            End::Killed => "killed",
            End::Unknown => "unknown",
        }
    }
}

/// The exit status of a job process, which never returns from `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Exit {
    /// The answer was written whole.
    Answered = 0,
    /// An allocation was refused.
    OutOfMemory = 86,
    /// It panicked.
    Panicked = 88,
    /// What it read is not a job.
    BadFrame = 89,
    /// Limits or threads could not be set up.
    NotStarted = 90,
}

impl Exit {
    /// What an exit status means.
    pub fn end(status: i32) -> End {
        match status {
            0 => End::Answered,
            86 => End::OutOfMemory,
            88 => End::Panicked,
            89 => End::BadFrame,
            90 => End::NotStarted,
            _ => End::Unknown,
        }
    }
}

/// A frame is longer than its limit, or its head is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than its limit.
    #[error("frame longer than its limit")]
    TooLong,
    /// The head is not of its type.
    #[error("frame head malformed")]
    Head,
}

/// Writes a frame.
pub fn encode(head: &impl Serialize, body: &[u8]) -> Vec<u8> {
    // Cannot panic: heads are structs of numbers and strings.
    let head = serde_json::to_vec(head).expect("a head serialises");
    let length =
        |bytes: &[u8]| u32::try_from(bytes.len()).expect("a frame is shorter than 4 GiB").to_be_bytes();
    [&length(&head)[..], &length(body)[..], &head, body].concat()
}

/// The lengths of head and body, from the prefix.
///
/// # Errors
/// When one is over its limit.
pub fn lengths(prefix: [u8; PREFIX_BYTES]) -> Result<(usize, usize), FrameError> {
    let [a, b, c, d, e, f, g, h] = prefix;
    let head = u32::from_be_bytes([a, b, c, d]) as usize;
    let body = u32::from_be_bytes([e, f, g, h]) as usize;
    if head > HEAD_BYTES_MAX || body > BODY_BYTES_MAX {
        return Err(FrameError::TooLong);
    }
    Ok((head, body))
}

/// Reads a head.
///
/// # Errors
/// When it is not of type `T`.
pub fn head<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(bytes).map_err(|_| FrameError::Head)
}

/// The cause for which a chamber is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartCause {
    /// The first chamber of a service.
    Start,
    /// The chamber before ended by itself.
    Ended,
    /// A job broke a rule in the chamber before.
    RuleBroken,
    /// The keys on disk have changed.
    KeysChanged,
}

impl StartCause {
    /// All causes.
    pub const ALL: &'static [StartCause] =
        &[StartCause::Start, StartCause::Ended, StartCause::RuleBroken, StartCause::KeysChanged];

    /// Returns the name in the audit log and as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            StartCause::Start => "start",
            StartCause::Ended => "ended",
            StartCause::RuleBroken => "rule_broken",
            StartCause::KeysChanged => "keys_changed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_it_was_written() {
        let order = Order { ticket: u64::MAX, limit_ms: 30_000, memory_bytes: 1 << 40, threads: 2 };
        assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
        for index in [0, 7, 36, 39] {
            let mut bytes = order.to_bytes();
            bytes[index] ^= 1;
            assert_eq!(Order::from_bytes(&bytes), None, "byte {index}");
        }
    }

    #[test]
    fn what_can_stand_in_no_header_is_no_reply() {
        let reply = |content_type: &str, tag: Option<&str>| {
            let written = serde_json::json!({
                "code": "OK", "mode": "open", "content_type": content_type, "tag": tag, "timings": {}, "sealed_ms": 0,
            });
            head::<ReplyHead>(written.to_string().as_bytes())
        };
        assert!(reply("application/json", Some("QUJD")).is_ok());
        assert!(reply("application/json", None).is_ok());
        for bad in ["a\nb", "a\r\nNats-Expected-Stream: b", "text/\u{e9}", " a", &"a".repeat(257)] {
            assert_eq!(reply(bad, None), Err(FrameError::Head), "{bad:?}");
            assert_eq!(reply("application/json", Some(bad)), Err(FrameError::Head), "{bad:?}");
        }
    }

    #[test]
    fn a_frame_over_its_limit_is_refused_before_it_is_read() {
        let frame = encode(&Event::Started { ticket: 1, pid: 2 }, b"body");
        let prefix = frame[..PREFIX_BYTES].try_into().unwrap();
        let (head_bytes, body_bytes) = lengths(prefix).unwrap();
        assert_eq!(frame.len(), PREFIX_BYTES + head_bytes + body_bytes);
        assert_eq!(lengths([0xff; 8]), Err(FrameError::TooLong));
        assert_eq!(lengths([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), Err(FrameError::TooLong));
    }
}
