//! `zcash-pczt-v1`: the Prover role for partially created Zcash transactions (PCZT).
//!
//! The witness is a PCZT as a wallet writes it. The output is the same PCZT with its Orchard proof,
//! and its Ironwood proof where it has such a bundle. Which circuit a proof is made under follows
//! from the consensus branch that the PCZT names; the circuit from before NU6.2, which was unsound,
//! cannot be named in this module.
//!
//! The Action circuit is `orchard`'s, and so are its tests; this module decides what is given to it,
//! and what comes back. It makes no Sapling proofs and no signatures, and holds no spending key.

use std::time::Duration;

use crate::circuit::{
    BuildError, Circuit, Descriptor, InvalidWitness, ProvingKey, PublicInputs, VerifyError, VerifyingKey,
};

mod document;
mod statement;

mod check;

mod keys;
mod proofs;

mod combine;
mod redact;

mod samples;

pub use proofs::BundleProofs;
pub use samples::{Sample, SampleKind, TEST_ONLY_SPENDING_KEY, sample_pczt};
pub use statement::{ActionInputs, BundleStatement, KeyVersion, Pool, Statement};

use document::Document;

/// The name of the circuit.
pub const CIRCUIT: &str = "zcash-pczt-v1";

/// The media type of a PCZT, both as witness and as output.
pub const MEDIA_TYPE: &str = "application/x-zcash-pczt";

/// Proves the Orchard and Ironwood bundles of partially created Zcash transactions.
#[derive(Debug, Clone, Copy)]
pub struct ZcashPczt {
    /// The largest number of actions in one PCZT, counted over both bundles. What a proof costs
    /// follows from it alone: time and memory grow with every action.
    pub actions_max: usize,
}

impl Default for ZcashPczt {
    fn default() -> Self {
        ZcashPczt { actions_max: 16 }
    }
}

impl Circuit for ZcashPczt {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: CIRCUIT.parse().expect("cannot panic: the constant is a circuit name"),
            summary: "The Orchard and Ironwood proofs of a partially created Zcash transaction (PCZT)",
            media_type: MEDIA_TYPE,
            schema: None,
            output_media_type: Some(MEDIA_TYPE),
            verifying_keys: KeyVersion::ALL.map(|version| (version.label(), version.digest())).to_vec(),
            witness_bytes_max: 256 * 1024,
            answer_bytes_max: 512 * 1024,
            time_limit: Duration::from_secs(180),
            memory_bytes: 768 << 20,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<PublicInputs, InvalidWitness> {
        let document = Document::parse(witness)?;
        Ok(check::check(document, self.actions_max)?.to_public_inputs())
    }

    fn sample_witness(&self) -> Vec<u8> {
        samples::SMALLEST.to_vec()
    }

    fn largest_witness(&self) -> Vec<u8> {
        samples::with_actions(self.actions_max).to_vec()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(keys::VerifyingKeys::build()?))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(keys::ProvingKeys::build()?))
    }

    /// Writes out the fields that a compact PCZT leaves to be recomputed (`cv_net`, `cmx`, and
    /// ciphertexts given as memos), so that the proved copy and this one can be combined.
    fn prepare(&self, witness: &[u8]) -> Result<Vec<u8>, InvalidWitness> {
        Document::parse(witness)?.resolve()?.encode()
    }

    fn redact(&self, output: Vec<u8>) -> Vec<u8> {
        redact::redact(&output)
    }

    fn combine(&self, witness: &[u8], output: &[u8]) -> Result<Vec<u8>, VerifyError> {
        combine::combine(witness, output)
    }
}
