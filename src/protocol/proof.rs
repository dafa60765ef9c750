//! Proofs and their public inputs, as bytes in the circuit's own encoding.

use std::fmt;

use super::digest::VerifyingKeyDigest;

/// The public inputs of a statement, in the circuit's own encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicInputs(pub Vec<u8>);

/// A finished proof, with everything that verifying it takes.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The proof, in the circuit's own encoding.
    pub proof: Vec<u8>,
    /// The public inputs, in the circuit's own encoding.
    pub public_inputs: PublicInputs,
    /// The document that the circuit returns, if it returns one.
    pub output: Option<Vec<u8>>,
    /// The verifying key under which it verifies: one of the descriptor's.
    pub verifying_key: VerifyingKeyDigest,
}

/// Writes the length alone: an output may hold what only the client is to read.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({} bytes)", self.proof.len())
    }
}
