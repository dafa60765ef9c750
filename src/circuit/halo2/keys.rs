//! The keys of a halo2 circuit, and its proofs.
//!
//! A proof has one length, and public inputs have one length and one encoding. Anything else is refused
//! before any of it is verified: halo2's transcript would ignore bytes behind a proof.

use std::io::{self, Read};
use std::marker::PhantomData;
use std::slice;

use getrandom::SysRng;
use halo2_proofs::plonk::{self, Error, SingleVerifier};
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255};
use pasta_curves::pallas::Base;
use pasta_curves::vesta;
use rand_core::UnwrapErr;

use super::definition::{Halo2Circuit, Rows, read_instance};
use super::field::Element;
use crate::circuit::checked::CheckedWitness;
use crate::circuit::error::{BuildError, ProveError, VerifyError};
use crate::circuit::interface::{ProvingKey, VerifyingKey};
use crate::protocol::{Proof, PublicInputs, Sha256Digest, VerifyingKeyDigest};

/// The label of the only verifying key of a circuit.
pub(crate) const LABEL: &str = "main";

/// A circuit with a checked witness in it. Private to the adapter, so that a key of this adapter proves only
/// what the check of the same circuit let through.
pub(super) struct CheckedAssignment<C: Halo2Circuit> {
    pub(super) circuit: C::Circuit,
    pub(super) instance: C::Instance,
}

/// The verifying key of one circuit.
pub(super) struct Verifier<C> {
    pub(super) digest: VerifyingKeyDigest,
    params: Params<vesta::Affine>,
    key: plonk::VerifyingKey<vesta::Affine>,
    proof_bytes: usize,
    circuit: PhantomData<fn() -> C>,
}

impl<C: Halo2Circuit> Verifier<C> {
    /// Builds the verifying key from the circuit without a witness.
    pub(super) fn build() -> Result<Self, BuildError> {
        // halo2 hashes the generators to the curve from a fixed label. There is no setup, and so no secret of
        // a setup with which proofs could be forged.
        let params = Params::new(C::K);
        // A key depends on the shape of the circuit alone, which the circuit without a witness has as well.
        let key = plonk::keygen_vk(&params, &C::Circuit::default()).map_err(build_error)?;
        let proof_bytes = measure_proof(&params, &key, C::Instance::COUNT)?;
        check_answer_size::<C>(proof_bytes)?;
        Ok(Verifier { digest: digest(&key), params, key, proof_bytes, circuit: PhantomData })
    }
}

impl<C: Halo2Circuit> VerifyingKey for Verifier<C> {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        vec![(LABEL, self.digest)]
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        if proof.verifying_key != self.digest {
            return Err(VerifyError("the proof names another verifying key"));
        }
        // The proof says nothing about a document beside it, and a reader would take it for proved.
        if proof.output.is_some() {
            return Err(VerifyError("this circuit returns no output document"));
        }
        // halo2 stops reading at the end of a proof: with any tail behind it, one proof would have many
        // encodings.
        if proof.proof.len() != self.proof_bytes {
            return Err(VerifyError("the proof has the wrong length"));
        }
        let instance = read_instance::<C>(&proof.public_inputs)?;
        verify(&self.params, &self.key, instance.as_ref(), &proof.proof[..])
            .map_err(|_| VerifyError("the proof does not hold for these public inputs"))
    }
}

/// The proving key of one circuit.
///
/// halo2 does not wipe the polynomials that it computes from a witness, so the process that proves must end
/// with its job.
pub(crate) struct Prover<C> {
    key: plonk::ProvingKey<vesta::Affine>,
    verifier: Verifier<C>,
}

impl<C: Halo2Circuit> Prover<C> {
    /// Builds the proving key from the circuit without a witness.
    pub(crate) fn build() -> Result<Self, BuildError> {
        let verifier = Verifier::build()?;
        // From the same verifying key, so that the digest compared at start is that of every proof made with
        // this key.
        let key = plonk::keygen_pk(&verifier.params, verifier.key.clone(), &C::Circuit::default())
            .map_err(build_error)?;
        Ok(Prover { key, verifier })
    }

    /// Makes a proof. Where the assignment does not satisfy the circuit, the bytes do not verify: halo2 does
    /// not check that while it proves.
    pub(crate) fn create(&self, circuit: &C::Circuit, instance: &[Base]) -> Result<Proof, ProveError> {
        let buffer = Vec::with_capacity(self.verifier.proof_bytes);
        // The only transcript of halo2_proofs. A hash that is cheap inside a circuit is not needed, because
        // no circuit verifies these proofs.
        let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(buffer);
        plonk::create_proof(
            &self.verifier.params,
            &self.key,
            slice::from_ref(circuit),
            &[&[instance]],
            // A generator in memory would repeat itself in every process forked from the same chamber.
            UnwrapErr(SysRng),
            &mut transcript,
        )
        .map_err(|_| ProveError::Refused("the circuit cannot be synthesized with this witness"))?;
        Ok(Proof {
            proof: transcript.finalize(),
            public_inputs: encode(instance),
            output: None,
            verifying_key: self.verifier.digest,
        })
    }
}

impl<C: Halo2Circuit> ProvingKey for Prover<C> {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        self.verifier.verifying_keys()
    }

    fn prove(&self, witness: CheckedWitness) -> Result<Proof, ProveError> {
        let (assignment, _) = witness.into_parts::<CheckedAssignment<C>>()?;
        self.create(&assignment.circuit, assignment.instance.as_ref())
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        self.verifier.verify(proof)
    }
}

/// Encodes the rows of an instance: 32 bytes each, little-endian.
pub(super) fn encode(instance: &[Base]) -> PublicInputs {
    PublicInputs(instance.iter().flat_map(|row| Element(*row).to_bytes()).collect())
}

fn verify(
    params: &Params<vesta::Affine>,
    key: &plonk::VerifyingKey<vesta::Affine>,
    instance: &[Base],
    proof: impl Read,
) -> Result<(), Error> {
    let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(proof);
    plonk::verify_proof(params, key, SingleVerifier::new(params), &[&[instance]], &mut transcript)
}

/// Returns the SHA-256 over halo2's pinned form of the key: domain, constraint system, fixed columns,
/// permutation.
fn digest(key: &plonk::VerifyingKey<vesta::Affine>) -> VerifyingKeyDigest {
    Sha256Digest::hash(format!("{:#?}", key.pinned()).as_bytes())
}

/// Keeps halo2's own text: no witness is near when keys are built.
fn build_error(error: Error) -> BuildError {
    BuildError(error.to_string())
}

/// Measures the length of a proof: the number of bytes that the verifier reads, whatever they hold.
///
/// halo2's own estimate (`dev::CircuitCost`) is too large for a circuit without lookups.
fn measure_proof(
    params: &Params<vesta::Affine>,
    key: &plonk::VerifyingKey<vesta::Affine>,
    rows: usize,
) -> Result<usize, BuildError> {
    let mut proof = EndlessProof { bytes_read: 0 };
    // Zeros will do: how much the verifier reads depends on the shape of the circuit and not on values.
    match verify(params, key, &vec![Base::zero(); rows], &mut proof) {
        Err(Error::InvalidInstances) => {
            Err(BuildError("the circuit does not have exactly one instance column".to_owned()))
        }
        Err(Error::InstanceTooLarge) => {
            Err(BuildError(format!("2^K rows do not hold the {rows} rows of the instance")))
        }
        // The proof does not hold, but to find that out the verifier has read all of it.
        _ => Ok(proof.bytes_read),
    }
}

/// Checks that an answer has room for a proof and its public inputs, each in base64.
fn check_answer_size<C: Halo2Circuit>(proof_bytes: usize) -> Result<(), BuildError> {
    let inputs_bytes = C::Instance::COUNT * Element::BYTES;
    let (needed, limit) =
        (4 * (proof_bytes.div_ceil(3) + inputs_bytes.div_ceil(3)), C::LIMITS.answer_bytes_max);
    // Found when the key is built, so that the chamber does not start, and not when the first answer is too
    // large.
    if needed > limit as usize {
        return Err(BuildError(format!(
            "an answer of {} may have {limit} bytes, and a proof with its public inputs takes {needed} in base64; \
             raise answer_bytes_max in its LIMITS",
            C::ID
        )));
    }
    Ok(())
}

/// A proof that never ends: the same 32 bytes again and again, which encode a point as well as a scalar.
struct EndlessProof {
    bytes_read: usize,
}

impl EndlessProof {
    /// The scalar 1, and the point of Vesta with that x.
    const ELEMENT: [u8; Element::BYTES] = {
        let mut element = [0; Element::BYTES];
        element[0] = 1;
        element
    };
}

impl Read for &mut EndlessProof {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buffer {
            *byte = EndlessProof::ELEMENT[self.bytes_read % Element::BYTES];
            self.bytes_read += 1;
        }
        Ok(buffer.len())
    }
}
