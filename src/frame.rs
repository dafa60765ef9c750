//! Frames: the messages between service and chamber, over one connection for each job and one for control.
//!
//! On a job's connection the service first writes an [`Order`], 40 bytes of numbers that the chamber reads before it
//! forks, and then a frame with the sealed job, which only the job process reads. The job process writes one frame back.
//! On the control connection the chamber writes [`ChamberEvent`]s and reads nothing. When the service closes it, the
//! chamber finishes its jobs and ends.
//!
//! A frame is `head length (4 bytes, big-endian) ‖ body length (4 bytes) ‖ head (JSON) ‖ body`. Lengths are checked
//! before anything is allocated. No type here can hold a secret in clear.

mod end;
mod event;
mod order;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

pub use end::{End, JobExit};
pub use event::{ChamberEvent, Locks, ReadyCircuit, ReadyKey, StartCause};
pub use order::{ORDER_BYTES, Order};

use crate::protocol::{
    AnswerMode, CircuitId, Code, JobHeader, JobId, JobSubject, KeyId, Lane, Tenant, Timings, UnixSeconds,
    VerifyingKeyDigest, is_header_value,
};

/// Stack of each thread that a job proves with, and of its first thread, in bytes.
pub const STACK_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes before head and body of a frame.
pub const PREFIX_BYTES: usize = 8;
/// Longest head, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest body, in bytes: above any payload that a broker takes by default, and any answer.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The head of a job's frame. The body is the sealed payload, and the deployment is the chamber's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHead {
    /// Tenant, from the subject.
    pub tenant: Tenant,
    /// Lane, from the subject.
    pub lane: Lane,
    /// Circuit, from the subject.
    pub circuit: CircuitId,
    /// Job, from the subject.
    pub job: JobId,
    /// Key that the job is sealed to, from the headers.
    pub key: KeyId,
    /// Deadline, from the headers.
    pub expires: UnixSeconds,
    /// Answer mode, from the headers.
    pub answer: AnswerMode,
    /// Verifying key that the client insists on, from the headers. `None` for `any`.
    pub verifying_key: Option<VerifyingKeyDigest>,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Time in the queue, in milliseconds.
    pub queued_ms: u64,
}

impl JobHead {
    /// Creates the head for the `attempt`th attempt at a job with this header.
    pub fn new(header: JobHeader, attempt: u32, queued_ms: u64) -> Self {
        let JobHeader { subject, key, expires, answer, verifying_key } = header;
        let JobSubject { tenant, lane, circuit, job } = subject;
        let verifying_key = verifying_key.into();
        JobHead { tenant, lane, circuit, job, key, expires, answer, verifying_key, attempt, queued_ms }
    }
}

/// The head of a job process's reply. The body is the payload of the answer message.
///
/// A witness that takes over its job process can write any reply. So a text that goes into a header is rejected here
/// unless it can be a header's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyHead {
    /// Code of the answer.
    pub code: Code,
    /// Form of the body: sealed, or the document in clear.
    pub mode: AnswerMode,
    /// Media type of the document.
    #[serde(deserialize_with = "header_value")]
    pub content_type: String,
    /// Tag of an open answer, if the job was opened.
    #[serde(deserialize_with = "header_value_if_any")]
    pub tag: Option<String>,
    /// Durations of the steps.
    pub timings: Timings,
    /// Time that sealing the answer took, in milliseconds.
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

/// A frame that is too long or has a malformed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is longer than its limit.
    #[error("frame longer than its limit")]
    TooLong,
    /// The head is not of the expected type.
    #[error("frame head malformed")]
    Head,
}

/// Writes a frame.
pub fn encode(head: &impl Serialize, body: &[u8]) -> Vec<u8> {
    // Cannot panic: heads are structs of numbers and strings.
    let head = serde_json::to_vec(head).expect("a head serialises");
    [&length_prefix(&head)[..], &length_prefix(body)[..], &head, body].concat()
}

fn length_prefix(bytes: &[u8]) -> [u8; 4] {
    // Cannot panic: both sides bound heads and bodies far below 4 GiB.
    u32::try_from(bytes.len()).expect("a part of a frame is shorter than 4 GiB").to_be_bytes()
}

/// Reads the lengths of head and body from the prefix.
///
/// # Errors
/// When one is above its limit.
pub fn lengths(prefix: [u8; PREFIX_BYTES]) -> Result<(usize, usize), FrameError> {
    let [a, b, c, d, e, f, g, h] = prefix;
    let head = u32::from_be_bytes([a, b, c, d]) as usize;
    let body = u32::from_be_bytes([e, f, g, h]) as usize;
    // Before anything is allocated: a hostile witness may have written the prefix.
    if head > HEAD_BYTES_MAX || body > BODY_BYTES_MAX {
        return Err(FrameError::TooLong);
    }
    Ok((head, body))
}

/// Reads a head.
///
/// # Errors
/// When the bytes are not of type `T`.
pub fn head<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    // The error of serde_json quotes what it read, so it is dropped.
    serde_json::from_slice(bytes).map_err(|_| FrameError::Head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_with_a_text_that_no_header_can_hold_is_rejected() {
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
        let frame = encode(&ChamberEvent::Started { ticket: 1, pid: 2 }, b"body");
        let prefix = frame[..PREFIX_BYTES].try_into().unwrap();
        let (head_bytes, body_bytes) = lengths(prefix).unwrap();
        assert_eq!(frame.len(), PREFIX_BYTES + head_bytes + body_bytes);
        assert_eq!(lengths([0xff; 8]), Err(FrameError::TooLong));
        assert_eq!(lengths([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), Err(FrameError::TooLong));
    }
}
