//! The one answer of a job: its headers and its document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::base64::Base64;
use super::codes::{Code, Outcome};
use super::digest::VerifyingKeyDigest;
use super::headers::{
    ANSWER_MEDIA_TYPE, H_ANSWER, H_CODE, H_CONTENT_TYPE, H_OUTCOME, H_TAG, H_VERSION, VERSION,
};
use super::names::{AnswerMode, CircuitId, JobId, Tenant};
use super::proof::{Proof, PublicInputs};
use super::subjects::JobSubject;

/// The headers of an answer message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHeader {
    /// Code of the answer.
    pub code: Code,
    /// Form of the payload: sealed, or the document in clear.
    pub mode: AnswerMode,
    /// Media type of the document.
    pub content_type: String,
    /// Base64 of nonce and tag, on an open answer of the process that had opened the job.
    pub tag: Option<String>,
}

impl AnswerHeader {
    /// Reads the headers of a message on an answer subject. Returns `None` if they are not of version 1.
    pub fn parse<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let code: Code = get(H_CODE)?.parse().ok()?;
        let outcome: Outcome = get(H_OUTCOME)?.parse().ok()?;
        if get(H_VERSION)? != VERSION || code.outcome() != outcome {
            return None;
        }
        // Anyone may write an answer, and a client shows and passes on what it reads here.
        let (content_type, tag) = (get(H_CONTENT_TYPE)?, get(H_TAG));
        if !is_header_value(content_type) || !tag.is_none_or(is_header_value) {
            return None;
        }
        Some(AnswerHeader {
            code,
            mode: get(H_ANSWER)?.parse().ok()?,
            content_type: content_type.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }

    /// Returns the headers, by name, as they are written.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (H_VERSION, VERSION.to_owned()),
            (H_OUTCOME, self.code.outcome().to_string()),
            (H_CODE, self.code.to_string()),
            (H_ANSWER, self.mode.to_string()),
            (H_CONTENT_TYPE, self.content_type.clone()),
        ];
        headers.extend(self.tag.clone().map(|tag| (H_TAG, tag)));
        headers
    }

    /// Creates the header of an answer by the service's network side. It shares no secret with the client, so the
    /// answer is open and has no tag.
    pub fn unauthenticated(code: Code) -> Self {
        AnswerHeader { code, mode: AnswerMode::Open, content_type: ANSWER_MEDIA_TYPE.to_owned(), tag: None }
    }
}

/// Returns whether a text can be a header's value and is read back as it was written: printable ASCII without white
/// space around it, and no longer than any value of this protocol.
pub(crate) fn is_header_value(text: &str) -> bool {
    // White space around a value is lost on its way, and a line break would start another header.
    text.len() <= HEADER_VALUE_BYTES_MAX
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim_ascii() == text
}

/// Longest value of a header, in bytes.
const HEADER_VALUE_BYTES_MAX: usize = 256;

/// The document of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("oneOf" = [{"required": ["verifying_key", "proof", "public_inputs"]}, {"required": ["error"]}]))]
pub struct Answer {
    /// Version of the protocol.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// The job that it answers.
    pub job: JobId,
    /// Tenant of the job.
    pub tenant: Tenant,
    /// Circuit of the job.
    pub circuit: CircuitId,
    /// Verifying key under which the proof verifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifying_key: Option<VerifyingKeyDigest>,
    /// Base64 of the proof, in the circuit's own encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Base64>,
    /// Base64 of the public inputs, in the circuit's own encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_inputs: Option<Base64>,
    /// Base64 of the document that the circuit returns, if it returns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Base64>,
    /// Number of the attempt that gave this answer, from 1. It is 0 if the job was answered in its queue.
    pub attempt: u32,
    /// Durations of the steps, in milliseconds.
    pub timings_ms: Timings,
    /// Reason for which there is no proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// The reason for which there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// Code of the answer, as in its header.
    pub code: Code,
    /// Step of the job's path that gave the code.
    pub step: String,
    /// The fact and the remedy. Never a value of the witness.
    pub message: String,
    /// True if the same witness may succeed as a new job.
    pub retryable: bool,
    /// Time to wait before the next try, in milliseconds, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Durations of a job's steps, in milliseconds, as far as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// From the broker's timestamp to this attempt's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// Opening the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<u64>,
    /// Decoding and checking the witness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<u64>,
    /// Proving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<u64>,
    /// Verifying the proof that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<u64>,
}

impl Answer {
    /// Creates an answer that holds a proof.
    pub fn proved(subject: &JobSubject, proof: Proof, attempt: u32, timings_ms: Timings) -> Self {
        Answer {
            verifying_key: Some(proof.verifying_key),
            proof: Some(Base64(proof.proof)),
            public_inputs: Some(Base64(proof.public_inputs.0)),
            output: proof.output.map(Base64),
            ..Answer::empty(subject, attempt, timings_ms)
        }
    }

    /// Creates an answer that holds the reason for which there is no proof.
    pub fn error(subject: &JobSubject, code: Code, attempt: u32, timings_ms: Timings) -> Self {
        let error = ErrorBody {
            code,
            step: code.step().to_owned(),
            message: code.message().to_owned(),
            retryable: code.retryable(),
            retry_after_ms: None,
        };
        Answer { error: Some(error), ..Answer::empty(subject, attempt, timings_ms) }
    }

    fn empty(subject: &JobSubject, attempt: u32, timings_ms: Timings) -> Self {
        Answer {
            version: VERSION.to_owned(),
            job: subject.job.clone(),
            tenant: subject.tenant.clone(),
            circuit: subject.circuit.clone(),
            verifying_key: None,
            proof: None,
            public_inputs: None,
            output: None,
            attempt,
            timings_ms,
            error: None,
        }
    }

    /// Returns the code that the document stands for.
    pub fn code(&self) -> Code {
        self.error.as_ref().map_or(Code::Ok, |error| error.code)
    }

    /// Returns the proof, if the document holds one.
    pub fn to_proof(&self) -> Option<Proof> {
        Some(Proof {
            proof: self.proof.clone()?.0,
            public_inputs: PublicInputs(self.public_inputs.clone()?.0),
            output: self.output.clone().map(|output| output.0),
            verifying_key: self.verifying_key?,
        })
    }

    /// Writes the document.
    pub fn to_json(&self) -> Vec<u8> {
        // Cannot panic: the type has no map with keys that are not strings.
        serde_json::to_vec(self).expect("an answer serialises")
    }
}
