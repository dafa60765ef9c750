//! The errors of a circuit: a refused witness, and what goes wrong with keys and proofs. None holds a value
//! of a witness.

/// A refused witness: the place and the reason. Neither holds a value of the witness. The path consists of
/// names from the schema and of indices; the reason is fixed text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct InvalidWitness {
    /// The place, such as `path[3]` or `orchard.actions[0].spend`; `witness` for the whole.
    pub path: String,
    /// Fixed text: the fault, and the form that is expected.
    // A static string cannot be formatted from the witness, and so cannot quote it.
    pub reason: &'static str,
}

impl InvalidWitness {
    /// Refuses the whole witness.
    pub fn whole(reason: &'static str) -> Self {
        Self::at("witness", reason)
    }

    /// Refuses the witness for its value at `path`.
    pub fn at(path: impl Into<String>, reason: &'static str) -> Self {
        InvalidWitness { path: path.into(), reason }
    }
}

/// A checked witness could not be proved. Holds fixed text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// Another circuit checked the witness.
    #[error("the witness was checked by another circuit; prove it with that circuit's key")]
    OtherCircuit,
    /// The prover refused a witness that had passed the check.
    #[error("the prover refused: {0}")]
    Refused(&'static str),
}

/// A proof, or the document around it, does not hold. Holds fixed text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not verify: {0}")]
pub struct VerifyError(pub &'static str);

/// A key could not be built.
// Text of its own, unlike the other errors: keys are built before any witness arrives.
#[derive(Debug, Clone, thiserror::Error)]
#[error("building the keys failed: {0}")]
pub struct BuildError(pub String);
