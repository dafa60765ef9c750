//! Outcomes and codes: the ways in which a job can end.

use super::names::BadName;

closed_set! {
    /// The outcome of a job. Each code belongs to one.
    pub Outcome, "outcome" {
        /// The job has a proof, which was verified before it was stored.
        Proved = "proved",
        /// The job itself is at fault. The same job would be refused again.
        Refused = "refused",
        /// The job was taken, and no proof came of it.
        Failed = "failed",
        /// The client cancelled the job.
        Cancelled = "cancelled",
        /// The deadline has passed, or would have passed before the proof.
        Expired = "expired",
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $outcome:ident, retryable $retryable:literal, step $step:literal, $message:literal;)*) => {
        closed_set! {
            /// The code of an answer.
            ///
            /// It is final: the same message would end the same way. Where a code is retryable, the witness may succeed
            /// as a new job.
            pub Code, "code" {
                $($(#[$doc])* $name = $text,)*
            }
        }

        impl Code {
            /// Returns the outcome that it belongs to.
            pub fn outcome(self) -> Outcome {
                match self { $(Code::$name => Outcome::$outcome,)* }
            }

            /// Returns whether the same witness may succeed as a new job.
            pub fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable,)* }
            }

            /// Returns the step of a job's path that gives this code.
            pub fn step(self) -> &'static str {
                match self { $(Code::$name => $step,)* }
            }

            /// Returns the fact and the remedy, in fixed text: no part of a witness can get into it.
            pub fn message(self) -> &'static str {
                match self { $(Code::$name => $message,)* }
            }
        }
    };
}

codes! {
    /// The job is proved.
    Ok = "OK", Proved, retryable false, step "verify", "the proof was made and verified";
    /// The headers or the payload are not of this protocol.
    MalformedJob = "MALFORMED_JOB", Refused, retryable false, step "intake",
        "the message is not a job of this protocol; compare its headers and payload with the specification";
    /// The job is of another version of the protocol.
    UnsupportedVersion = "UNSUPPORTED_VERSION", Refused, retryable false, step "intake",
        "this service speaks version 1";
    /// The witness came in clear.
    PlaintextRejected = "PLAINTEXT_REJECTED", Refused, retryable false, step "intake",
        "the payload is not sealed: treat what it held as disclosed, and seal the next one";
    /// The witness is above the bundle's limit, or its answer above what the broker carries.
    WitnessTooLarge = "WITNESS_TOO_LARGE", Refused, retryable false, step "intake",
        "the witness is larger than the bundle allows for this circuit";
    /// Neither the service nor the signed bundle has the circuit.
    CircuitNotFound = "CIRCUIT_NOT_FOUND", Refused, retryable false, step "intake",
        "no such circuit here; the signed bundle lists those there are";
    /// The client insists on another verifying key.
    VerifyingKeyMismatch = "VERIFYING_KEY_MISMATCH", Refused, retryable false, step "intake",
        "this service proves under another verifying key; fetch the signed bundle again";
    /// The tenant may not use this circuit.
    NotAuthorized = "NOT_AUTHORIZED", Refused, retryable false, step "intake",
        "this tenant may not use this circuit";
    /// The service has never had the key.
    KeyUnknown = "KEY_UNKNOWN", Refused, retryable true, step "open",
        "sealed to a key that this service does not have; fetch the signed bundle again";
    /// The key has been destroyed.
    KeyRetired = "KEY_RETIRED", Refused, retryable true, step "open",
        "sealed to a key that has been destroyed; fetch the signed bundle again";
    /// The seal does not open. One code for a wrong key, a changed header and damage: a forger learns nothing from it.
    UnsealFailed = "UNSEAL_FAILED", Refused, retryable false, step "open",
        "the seal does not open: wrong key, changed header, or damaged payload";
    /// The witness is not valid for this circuit.
    InvalidWitness = "INVALID_WITNESS", Refused, retryable false, step "check",
        "the witness is not valid for this circuit; check it locally with `sealprove check`";
    /// The deadline has passed, or the proof cannot be finished before it.
    Expired = "EXPIRED", Expired, retryable false, step "schedule",
        "the deadline has passed, or the proof cannot be finished before it";
    /// The client cancelled the job.
    Cancelled = "CANCELLED", Cancelled, retryable false, step "schedule", "the job was cancelled";
    /// The proof was killed at its time limit.
    Timeout = "TIMEOUT", Failed, retryable true, step "prove",
        "the proof reached its time limit and was killed";
    /// The proof reached its memory limit.
    OutOfMemory = "OUT_OF_MEMORY", Failed, retryable true, step "prove",
        "the proof reached its memory limit and was ended";
    /// The prover failed, its proof did not verify, or its process crashed twice on this witness.
    ProofGenerationFailed = "PROOF_GENERATION_FAILED", Failed, retryable false, step "prove",
        "no valid proof could be made of this witness";
    /// Every attempt ended in a fault of the service.
    AttemptsExhausted = "ATTEMPTS_EXHAUSTED", Failed, retryable true, step "schedule",
        "every attempt ended in a fault of the service; submit the witness again as a new job";
}
