//! The glue between a halo2 circuit and [`crate::circuit`]: keys, proofs, and the encoding of public
//! inputs.
//!
//! What is proved is decided elsewhere; here is only how. A proof has one length, public inputs have
//! one length and one encoding, and whatever differs is refused before any of it is looked at: halo2's
//! transcript would ignore bytes behind a proof.

use std::marker::PhantomData;

use getrandom::SysRng;
use halo2_proofs::plonk::{self, SingleVerifier};
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255};
use pasta_curves::vesta;
use rand_core::UnwrapErr;
use sha2::{Digest, Sha256};

use super::Base;
use super::field::Element;
use crate::circuit::{
    BuildError, InvalidWitness, Proof, ProveError, ProvingKey, PublicInputs, VerifyError, VerifyingKey,
};
use crate::protocol::{Sha256Digest, VerifyingKeyDigest};

/// The label of the only verifying key of a circuit of this family.
pub(super) const LABEL: &str = "main";

/// What the glue needs to know of a circuit.
pub(super) trait Halo2Circuit: Send + Sync + 'static {
    /// The circuit has 2^`K` rows.
    const K: u32;
    /// Length of every proof.
    const PROOF_BYTES: usize;
    /// Number of rows of the only instance column.
    const PUBLIC_INPUTS: usize;

    /// The circuit itself. `Default` is the circuit without a witness.
    type Synthesis: plonk::Circuit<Base> + Default;

    /// Decodes and checks a witness; gives the circuit and its instance column.
    fn open(witness: &[u8]) -> Result<(Self::Synthesis, Vec<Base>), InvalidWitness>;
}

/// The largest answer of a circuit: the document that holds a proof and its public inputs in base64.
pub(super) const ANSWER_BYTES_MAX: u32 = 8192;

/// The public inputs of a witness.
pub(super) fn check<C: Halo2Circuit>(witness: &[u8]) -> Result<PublicInputs, InvalidWitness> {
    C::open(witness).map(|(_, instance)| encode(&instance))
}

/// No witness is near when keys are built, so the cause may be told.
fn build_error(error: plonk::Error) -> BuildError {
    BuildError(error.to_string())
}

/// SHA-256 over halo2's pinned form of the key: domain, constraint system, fixed columns, permutation.
fn digest(key: &plonk::VerifyingKey<vesta::Affine>) -> VerifyingKeyDigest {
    Sha256Digest(Sha256::digest(format!("{:#?}", key.pinned())).into())
}

/// Verifies proofs of one circuit.
pub(super) struct Verifier<C> {
    digest: VerifyingKeyDigest,
    params: Params<vesta::Affine>,
    key: plonk::VerifyingKey<vesta::Affine>,
    circuit: PhantomData<C>,
}

impl<C: Halo2Circuit> Verifier<C> {
    /// Builds the verifying key from the circuit without a witness.
    pub(super) fn build() -> Result<Self, BuildError> {
        let params = Params::new(C::K);
        let key = plonk::keygen_vk(&params, &C::Synthesis::default()).map_err(build_error)?;
        Ok(Verifier { digest: digest(&key), params, key, circuit: PhantomData })
    }
}

impl<C: Halo2Circuit> VerifyingKey for Verifier<C> {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        vec![(LABEL, self.digest)]
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        verify::<C>(&self.params, &self.key, self.digest, proof)
    }
}

/// Makes proofs of one circuit.
///
/// halo2 does not wipe the polynomials that it makes of a witness: the process that proves must end
/// with its job.
pub(super) struct Prover<C> {
    digest: VerifyingKeyDigest,
    params: Params<vesta::Affine>,
    key: plonk::ProvingKey<vesta::Affine>,
    circuit: PhantomData<C>,
}

impl<C: Halo2Circuit> Prover<C> {
    /// Builds the proving key from the circuit without a witness.
    pub(super) fn build() -> Result<Self, BuildError> {
        let params = Params::new(C::K);
        let empty = C::Synthesis::default();
        let verifying_key = plonk::keygen_vk(&params, &empty).map_err(build_error)?;
        let digest = digest(&verifying_key);
        let key = plonk::keygen_pk(&params, verifying_key, &empty).map_err(build_error)?;
        Ok(Prover { digest, params, key, circuit: PhantomData })
    }

    /// Proves, or makes what looks like a proof: halo2 does not ask whether the circuit is satisfied.
    pub(super) fn create(&self, circuit: C::Synthesis, instance: &[Base]) -> Result<Proof, ProveError> {
        let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::with_capacity(C::PROOF_BYTES));
        plonk::create_proof(
            &self.params,
            &self.key,
            &[circuit],
            &[&[instance]],
            UnwrapErr(SysRng),
            &mut transcript,
        )
        .map_err(|_| ProveError("the constraint system took no such assignment"))?;
        Ok(Proof {
            proof: transcript.finalize(),
            public_inputs: encode(instance),
            output: None,
            verifying_key: self.digest,
        })
    }
}

impl<C: Halo2Circuit> ProvingKey for Prover<C> {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        vec![(LABEL, self.digest)]
    }

    fn prove(&self, witness: &[u8]) -> Result<Proof, ProveError> {
        let (circuit, instance) =
            C::open(witness).map_err(|_| ProveError("the witness does not pass the check"))?;
        self.create(circuit, &instance)
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        verify::<C>(&self.params, self.key.get_vk(), self.digest, proof)
    }
}

fn verify<C: Halo2Circuit>(
    params: &Params<vesta::Affine>,
    key: &plonk::VerifyingKey<vesta::Affine>,
    digest: VerifyingKeyDigest,
    proof: &Proof,
) -> Result<(), VerifyError> {
    if proof.verifying_key != digest {
        return Err(VerifyError("the proof names another verifying key"));
    }
    if proof.output.is_some() {
        return Err(VerifyError("this circuit returns no output document"));
    }
    if proof.proof.len() != C::PROOF_BYTES {
        return Err(VerifyError("the proof has the wrong length"));
    }
    let instance = decode(&proof.public_inputs, C::PUBLIC_INPUTS)?;
    let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(&proof.proof[..]);
    plonk::verify_proof(params, key, SingleVerifier::new(params), &[&[&instance]], &mut transcript)
        .map_err(|_| VerifyError("the proof does not hold for these public inputs"))
}

fn encode(instance: &[Base]) -> PublicInputs {
    PublicInputs(instance.iter().flat_map(|row| Element(*row).to_bytes()).collect())
}

/// The rows of public inputs: exactly `rows`, each in its only encoding.
pub(super) fn decode(public_inputs: &PublicInputs, rows: usize) -> Result<Vec<Base>, VerifyError> {
    let (encoded, rest) = public_inputs.0.as_chunks::<{ Element::BYTES }>();
    if encoded.len() != rows || !rest.is_empty() {
        return Err(VerifyError("the public inputs have the wrong length"));
    }
    encoded
        .iter()
        .map(|row| Element::from_bytes(row).map(|element| element.0))
        .collect::<Result<_, _>>()
        .map_err(|_| VerifyError("a public input is not a canonical field element"))
}
