//! How a job can end: five outcomes and the codes below them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::BadName;

/// How a job ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Here is the proof; it was verified before it was stored.
    Proved,
    /// The job itself is at fault: the same job would be refused again.
    Refused,
    /// The job was taken and no proof came of it.
    Failed,
    /// The client took it back.
    Cancelled,
    /// It was too late, or would have been.
    Expired,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 5] =
        [Outcome::Proved, Outcome::Refused, Outcome::Failed, Outcome::Cancelled, Outcome::Expired];

    /// The outcome as it stands in headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Proved => "proved",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Expired => "expired",
        }
    }
}

impl FromStr for Outcome {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| BadName::new("outcome", "proved, refused, failed, cancelled or expired"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $outcome:ident, retryable $retryable:literal, step $step:literal, $message:literal;)*) => {
        /// Why a job ended so. Final: the same message would end the same way, unless the code is
        /// retryable, and then as a new job.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it stands in headers, documents and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The outcome that it belongs to.
            pub fn outcome(self) -> Outcome {
                match self { $(Code::$name => Outcome::$outcome,)* }
            }

            /// Whether the same witness may succeed as a new job.
            pub fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable,)* }
            }

            /// The step of a job's path that said so.
            pub fn step(self) -> &'static str {
                match self { $(Code::$name => $step,)* }
            }

            /// What happened and what to do, in fixed text.
            pub fn message(self) -> &'static str {
                match self { $(Code::$name => $message,)* }
            }
        }
    };
}

codes! {
    /// Proved.
    Ok = "OK", Proved, retryable false, step "verify", "the proof was made and verified";
    /// Headers or payload are not of this protocol.
    MalformedJob = "MALFORMED_JOB", Refused, retryable false, step "intake",
        "the message is not a job of this protocol; compare its headers and payload with the specification";
    /// Another version of the protocol.
    UnsupportedVersion = "UNSUPPORTED_VERSION", Refused, retryable false, step "intake",
        "this service speaks version 1";
    /// A witness came in clear.
    PlaintextRejected = "PLAINTEXT_REJECTED", Refused, retryable false, step "intake",
        "the payload is not sealed: treat what it held as disclosed, and seal the next one";
    /// Above the bundle's limit, or its answer could not be carried.
    WitnessTooLarge = "WITNESS_TOO_LARGE", Refused, retryable false, step "intake",
        "the witness is larger than the bundle allows for this circuit";
    /// Neither the service nor the signed bundle has the circuit.
    CircuitNotFound = "CIRCUIT_NOT_FOUND", Refused, retryable false, step "intake",
        "no such circuit here; the signed bundle lists those there are";
    /// The client insisted on another verifying key.
    VerifyingKeyMismatch = "VERIFYING_KEY_MISMATCH", Refused, retryable false, step "intake",
        "this service proves under another verifying key; fetch the signed bundle again";
    /// This tenant may not use this circuit.
    NotAuthorized = "NOT_AUTHORIZED", Refused, retryable false, step "intake",
        "this tenant may not use this circuit";
    /// No such key has ever been here.
    KeyUnknown = "KEY_UNKNOWN", Refused, retryable true, step "open",
        "sealed to a key that this service does not have; fetch the signed bundle again";
    /// The key was here and is gone.
    KeyRetired = "KEY_RETIRED", Refused, retryable true, step "open",
        "sealed to a key that has been destroyed; fetch the signed bundle again";
    /// Wrong key, wrong header, or damaged: one code, no detail.
    UnsealFailed = "UNSEAL_FAILED", Refused, retryable false, step "open",
        "the seal does not open: wrong key, changed header, or damaged payload";
    /// The witness is not one of this circuit.
    InvalidWitness = "INVALID_WITNESS", Refused, retryable false, step "check",
        "the witness is not valid for this circuit; check it locally with `sealprove check`";
    /// Past its deadline, or cannot be done before it.
    Expired = "EXPIRED", Expired, retryable false, step "schedule",
        "the deadline has passed, or the proof cannot be finished before it";
    /// The client took it back.
    Cancelled = "CANCELLED", Cancelled, retryable false, step "schedule", "the job was cancelled";
    /// The proof was killed at its limit.
    Timeout = "TIMEOUT", Failed, retryable true, step "prove",
        "the proof reached its time limit and was killed";
    /// The proof hit its own memory ceiling.
    OutOfMemory = "OUT_OF_MEMORY", Failed, retryable true, step "prove",
        "the proof reached its memory limit and was ended";
    /// The prover said no, its proof did not verify, or its process crashed twice on this witness.
    ProofGenerationFailed = "PROOF_GENERATION_FAILED", Failed, retryable false, step "prove",
        "no valid proof could be made of this witness";
    /// Every attempt ended in a fault of ours.
    AttemptsExhausted = "ATTEMPTS_EXHAUSTED", Failed, retryable true, step "schedule",
        "every attempt ended in a fault of the service; submit the witness again as a new job";
}

impl FromStr for Code {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| BadName::new("code", "one of the protocol's table"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
