//! Verifying an answer, against keys that this program built itself and public inputs that it computed itself.

use std::collections::HashMap;

use super::ticket::Ticket;
use crate::circuit::{BuildError, Circuits, Proof, VerifyError, VerifyingKey};
use crate::protocol::{Answer, CircuitId, Code};

/// An answer is refused.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The answer holds no proof.
    #[error("{code}: {message}")]
    NoProof {
        /// The code of the answer.
        code: Code,
        /// The message in the answer.
        message: String,
    },
    /// This build does not have the circuit.
    #[error(
        "this build cannot verify {0}: it was built without the circuit's feature; use a build with default \
         features, or one of your own that has the circuit"
    )]
    NotInThisBuild(CircuitId),
    /// The answer names a verifying key that the bundle did not list.
    #[error("the answer names a verifying key that the deployment does not list for its circuit")]
    OtherKey,
    /// The proof is of another statement.
    #[error("the answer's public inputs are not those of the witness that was submitted")]
    OtherStatement,
    /// The proof does not verify.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// The verifying key cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A verifier of answers. It builds each circuit's verifying key once.
#[derive(Default)]
pub struct Verifier {
    circuits: Circuits,
    keys: HashMap<CircuitId, Box<dyn VerifyingKey>>,
}

impl Verifier {
    /// Creates a verifier for the circuits of this program.
    pub fn new(circuits: Circuits) -> Self {
        Verifier { circuits, keys: HashMap::new() }
    }

    /// Verifies the proof in an answer by itself: that its statement holds.
    ///
    /// # Errors
    /// When the answer holds no proof, or one that does not verify.
    pub fn verify(&mut self, answer: &Answer) -> Result<Proof, AnswerError> {
        let proof = answer.to_proof().ok_or_else(|| no_proof(answer))?;
        self.key(&answer.circuit)?.verify(&proof)?;
        Ok(proof)
    }

    /// Verifies the answer to a submitted job: that its proof verifies, is of the submitted statement, and is under a key
    /// that the deployment lists.
    ///
    /// # Errors
    /// When any of that does not hold.
    pub fn verify_for(&mut self, ticket: &Ticket, answer: &Answer) -> Result<Proof, AnswerError> {
        let proof = answer.to_proof().ok_or_else(|| no_proof(answer))?;
        if !ticket.takes_key(proof.verifying_key) {
            return Err(AnswerError::OtherKey);
        }
        if ticket.public_inputs().is_some_and(|expected| *expected != proof.public_inputs) {
            return Err(AnswerError::OtherStatement);
        }
        self.key(&answer.circuit)?.verify(&proof)?;
        Ok(proof)
    }

    /// Takes only the proof from the output document into the client's own witness document, and returns the result.
    ///
    /// # Errors
    /// When the two do not belong together.
    pub fn combine(
        &self,
        circuit: &CircuitId,
        witness: &[u8],
        output: &[u8],
    ) -> Result<Vec<u8>, AnswerError> {
        let circuit =
            self.circuits.get(circuit).ok_or_else(|| AnswerError::NotInThisBuild(circuit.clone()))?;
        Ok(circuit.combine(witness, output)?)
    }

    /// Builds a circuit's verifying key in advance. It takes seconds, which can pass while the proof is being made.
    ///
    /// # Errors
    /// When this program does not have the circuit, or the key cannot be built.
    pub fn build(&mut self, circuit: &CircuitId) -> Result<(), AnswerError> {
        self.key(circuit).map(drop)
    }

    fn key(&mut self, id: &CircuitId) -> Result<&dyn VerifyingKey, AnswerError> {
        if !self.keys.contains_key(id) {
            let circuit = self.circuits.get(id).ok_or_else(|| AnswerError::NotInThisBuild(id.clone()))?;
            let key = circuit.build_verifying_key()?;
            self.keys.insert(id.clone(), key);
        }
        Ok(&*self.keys[id])
    }
}

fn no_proof(answer: &Answer) -> AnswerError {
    let message = answer.error.as_ref().map(|error| error.message.clone());
    AnswerError::NoProof { code: answer.code(), message: message.unwrap_or_default() }
}
