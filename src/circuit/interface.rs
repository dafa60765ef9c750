//! The traits of a circuit and of its keys.

use super::checked::CheckedWitness;
use super::descriptor::Descriptor;
use super::error::{BuildError, InvalidWitness, ProveError, VerifyError};
use crate::protocol::{Proof, PublicInputs, VerifyingKeyDigest};

/// A statement that can be proved under one fixed verifying key, or under one fixed set of them.
pub trait Circuit: Send + Sync + 'static {
    /// Returns the circuit's name, its encodings and its limits. Builds no key.
    fn descriptor(&self) -> Descriptor;

    /// Decodes a witness, checks everything that can be checked without proving, and computes the public
    /// inputs. Takes milliseconds; builds no key.
    ///
    /// # Errors
    /// Names the place in the witness that is wrong, as a path of known names, and never a value.
    fn check(&self, witness: &[u8]) -> Result<CheckedWitness, InvalidWitness>;

    /// Returns the public inputs that a proof of `witness` must have. Clients compare an answer with them.
    ///
    /// # Errors
    /// As [`Circuit::check`].
    fn public_inputs(&self, witness: &[u8]) -> Result<PublicInputs, InvalidWitness> {
        self.check(witness).map(CheckedWitness::into_public_inputs)
    }

    /// Returns a valid witness for self-tests and benchmarks. It is not secret.
    fn sample_witness(&self) -> Vec<u8>;

    /// Returns a valid witness that takes as much time and memory as any that [`Circuit::check`] accepts. A
    /// service proves it once at start, to find out whether its limits suffice.
    ///
    /// By default this is the sample, for circuits of one size.
    fn largest_witness(&self) -> Vec<u8> {
        self.sample_witness()
    }

    /// Builds the verifying key. Takes seconds; runs in the rayon pool of its caller.
    ///
    /// # Errors
    /// Fails when the key cannot be built.
    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError>;

    /// Builds the proving key. Takes seconds; runs in the rayon pool of its caller.
    ///
    /// # Errors
    /// Fails when the key cannot be built.
    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError>;

    /// Returns the witness in the form that the service accepts. A client calls this before it seals. By
    /// default the witness stays as it is.
    ///
    /// # Errors
    /// Fails when the witness cannot be decoded.
    fn prepare(&self, witness: &[u8]) -> Result<Vec<u8>, InvalidWitness> {
        Ok(witness.to_vec())
    }

    /// Removes from an output document everything that is not public. An open answer holds the result.
    fn redact(&self, output: Vec<u8>) -> Vec<u8> {
        // Proof and public inputs are public by themselves. Only a circuit with an output document has more
        // to hide.
        output
    }

    /// Copies what is new in the service's output document into the client's own witness document. A client
    /// calls this after it has verified the answer.
    ///
    /// # Errors
    /// Fails when the two documents do not belong together.
    fn combine(&self, _witness: &[u8], output: &[u8]) -> Result<Vec<u8>, VerifyError> {
        // A document of another type than the witness has nothing to be merged with, and stands alone.
        Ok(output.to_vec())
    }
}

/// A key that makes proofs. Built once, then read by every job process.
pub trait ProvingKey: Send + Sync {
    /// Returns the digests of the verifying keys that belong to this proving key, with their labels.
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)>;

    /// Proves a checked witness. Draws randomness from the operating system.
    ///
    /// Bytes that were not checked cannot be proved:
    ///
    /// ```compile_fail,E0308
    /// # use sealprove::circuit::{Proof, ProveError, ProvingKey};
    /// fn skips_the_check(key: &dyn ProvingKey, witness: Vec<u8>) -> Result<Proof, ProveError> {
    ///     key.prove(witness)
    /// }
    /// ```
    ///
    /// A checked witness is proved once and is gone:
    ///
    /// ```compile_fail,E0382
    /// # use sealprove::circuit::{CheckedWitness, ProveError, ProvingKey};
    /// fn proves_twice(key: &dyn ProvingKey, witness: CheckedWitness) -> Result<(), ProveError> {
    ///     key.prove(witness)?;
    ///     key.prove(witness)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Fails when the witness was checked by another circuit, or when the prover refuses it.
    fn prove(&self, witness: CheckedWitness) -> Result<Proof, ProveError>;

    /// Verifies a proof that this key made.
    ///
    /// # Errors
    /// Fails when the proof does not verify.
    fn verify(&self, proof: &Proof) -> Result<(), VerifyError>;
}

/// A key that verifies proofs.
pub trait VerifyingKey: Send + Sync {
    /// Returns the digests of the verifying keys, with their labels.
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)>;

    /// Verifies `proof.proof` for `proof.public_inputs` under the key that `proof.verifying_key` names. Where
    /// the proof comes with an output document, also verifies that the document holds that proof and those
    /// inputs.
    ///
    /// # Errors
    /// Fails when any of these does not hold.
    fn verify(&self, proof: &Proof) -> Result<(), VerifyError>;
}
