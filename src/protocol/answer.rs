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
    /// How the job ended.
    pub code: Code,
    /// Whether the payload is sealed or the document in clear.
    pub mode: AnswerMode,
    /// The media type of the document.
    pub content_type: String,
    /// Base64 of nonce and tag, on an open answer of the process that had opened the job.
    pub tag: Option<String>,
}

impl AnswerHeader {
    /// Reads the headers of a message on an answer subject; `None` where they are not of version 1.
    pub fn parse<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let code: Code = get(H_CODE)?.parse().ok()?;
        let outcome: Outcome = get(H_OUTCOME)?.parse().ok()?;
        if get(H_VERSION)? != VERSION || code.outcome() != outcome {
            return None;
        }
        let (content_type, tag) = (get(H_CONTENT_TYPE)?, get(H_TAG));
        if ![Some(content_type), tag].into_iter().flatten().all(is_header_value) {
            return None;
        }
        Some(AnswerHeader {
            code,
            mode: get(H_ANSWER)?.parse().ok()?,
            content_type: content_type.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }

    /// The headers as they are written.
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

    /// The header of an answer that the network side makes: open, with no tag.
    pub fn unauthenticated(code: Code) -> Self {
        AnswerHeader { code, mode: AnswerMode::Open, content_type: ANSWER_MEDIA_TYPE.to_owned(), tag: None }
    }
}

/// Whether a text can stand as a header's value and is read back as it was written: printable ASCII with no
/// white space around it, and no longer than any of ours.
pub(crate) fn is_header_value(text: &str) -> bool {
    text.len() <= HEADER_VALUE_BYTES_MAX
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim_ascii() == text
}

const HEADER_VALUE_BYTES_MAX: usize = 256;

/// The document of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("oneOf" = [{"required": ["verifying_key", "proof", "public_inputs"]}, {"required": ["error"]}]))]
pub struct Answer {
    /// The protocol's version.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Which job it answers.
    pub job: JobId,
    /// Whose job it was.
    pub tenant: Tenant,
    /// What was to be proved.
    pub circuit: CircuitId,
    /// The verifying key under which the proof verifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifying_key: Option<VerifyingKeyDigest>,
    /// Base64 of the proof, in the circuit's own encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Base64>,
    /// Base64 of the public inputs, in the circuit's own encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_inputs: Option<Base64>,
    /// Base64 of the document that the circuit returns, where it returns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Base64>,
    /// Which attempt gave this answer, from 1; 0 where the job was answered in its queue.
    pub attempt: u32,
    /// How long each step took.
    pub timings_ms: Timings,
    /// Why there is no proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The code, as in the header.
    pub code: Code,
    /// The step that said so.
    pub step: String,
    /// What happened and what to do. Never a value of the witness.
    pub message: String,
    /// Whether the same witness may succeed as a new job.
    pub retryable: bool,
    /// When to try again, in milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// How long each step took, in milliseconds, as far as the job came.
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
    /// Verifying the own proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<u64>,
}

impl Answer {
    /// An answer that holds a proof.
    pub fn proved(subject: &JobSubject, proof: Proof, attempt: u32, timings_ms: Timings) -> Self {
        Answer {
            verifying_key: Some(proof.verifying_key),
            proof: Some(Base64(proof.proof)),
            public_inputs: Some(Base64(proof.public_inputs.0)),
            output: proof.output.map(Base64),
            ..Answer::empty(subject, attempt, timings_ms)
        }
    }

    /// An answer that holds only why there is no proof.
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

    /// The code that the document stands for.
    pub fn code(&self) -> Code {
        self.error.as_ref().map_or(Code::Ok, |error| error.code)
    }

    /// The proof in it, if there is one.
    pub fn to_proof(&self) -> Option<Proof> {
        Some(Proof {
            proof: self.proof.clone()?.0,
            public_inputs: PublicInputs(self.public_inputs.clone()?.0),
            output: self.output.clone().map(|output| output.0),
            verifying_key: self.verifying_key?,
        })
    }

    /// The document's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // Cannot panic: the type has no map with keys that are not strings.
        serde_json::to_vec(self).expect("an answer serialises")
    }
}
