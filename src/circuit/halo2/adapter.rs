//! The adapter itself: every [`Halo2Circuit`] is a [`Circuit`].

use super::definition::Halo2Circuit;
use super::keys::{CheckedAssignment, LABEL, Prover, Verifier, encode};
use crate::circuit::checked::CheckedWitness;
use crate::circuit::descriptor::Descriptor;
use crate::circuit::error::{BuildError, InvalidWitness};
use crate::circuit::interface::{Circuit, ProvingKey, VerifyingKey};
use crate::protocol::VerifyingKeyDigest;

/// Builds the verifying key and returns its digest: what [`Halo2Circuit::VERIFYING_KEY`] must be.
///
/// # Errors
/// Fails when the key cannot be built.
pub fn verifying_key_digest<C: Halo2Circuit>() -> Result<VerifyingKeyDigest, BuildError> {
    Verifier::<C>::build().map(|verifier| verifier.digest)
}

impl<C: Halo2Circuit> Circuit for C {
    fn descriptor(&self) -> Descriptor {
        // Both are constants of the circuit's source, so a wrong one is a mistake in the program and not a
        // failure at run time.
        let (id, key) = (C::ID.parse(), C::VERIFYING_KEY.parse());
        Descriptor {
            id: id.unwrap_or_else(|error| panic!("{:?} is not the name of a circuit: {error}", C::ID)),
            summary: C::SUMMARY,
            media_type: C::MEDIA_TYPE,
            schema: C::schema(),
            output_media_type: None,
            verifying_keys: vec![(
                LABEL,
                key.unwrap_or_else(|error| panic!("VERIFYING_KEY of {} is not a digest: {error}", C::ID)),
            )],
            witness_bytes_max: C::LIMITS.witness_bytes_max,
            answer_bytes_max: C::LIMITS.answer_bytes_max,
            time_limit: C::LIMITS.time,
            memory_bytes: C::LIMITS.memory_bytes,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<CheckedWitness, InvalidWitness> {
        // Measured before decoding: a decoder takes time and memory in proportion to its input.
        if witness.len() > C::LIMITS.witness_bytes_max as usize {
            return Err(InvalidWitness::whole("larger than this circuit's limit"));
        }
        let witness = C::decode(witness)?;
        // Instance and assignment come from the same decoded witness and stay together. A proof of one with
        // the public inputs of the other would not verify.
        let instance = C::instance(&witness);
        let public_inputs = encode(instance.as_ref());
        let assignment = CheckedAssignment::<C> { circuit: C::circuit(witness), instance };
        Ok(CheckedWitness::new(assignment, public_inputs))
    }

    fn sample_witness(&self) -> Vec<u8> {
        C::sample()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(Verifier::<C>::build()?))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(Prover::<C>::build()?))
    }
}
