//! `zcash-pczt-v1`: the Prover role for partially created Zcash transactions (PCZT).
//!
//! The witness is a PCZT as a wallet writes it. The output is the same PCZT with its Orchard proof, and its
//! Ironwood proof where it has such a bundle. The consensus branch that the PCZT names determines the version
//! of the Action circuit; the version from before NU6.2, which was unsound, has no name in this module.
//!
//! The Action circuit and its tests are `orchard`'s; this module checks its input and encodes its output. It
//! makes no Sapling proofs and no signatures, and holds no spending key.

use std::time::Duration;

use crate::circuit::{
    BuildError, CheckedWitness, Circuit, Descriptor, InvalidWitness, ProvingKey, VerifyError, VerifyingKey,
};

mod statement;

mod document;
mod redact;

mod check;
mod combine;

mod proofs;

mod keys;

mod samples;

pub use proofs::BundleProofs;
pub use samples::{Sample, SampleKind, TEST_ONLY_SPENDING_KEY, sample_pczt};
pub use statement::{ActionInputs, BundleStatement, KeyVersion, Pool, Statement};

use document::Document;

/// The name of the circuit.
pub const CIRCUIT: &str = "zcash-pczt-v1";

/// The media type of a PCZT, as witness and as output.
pub const MEDIA_TYPE: &str = "application/x-zcash-pczt";

/// The circuit that proves the Orchard and Ironwood bundles of partially created Zcash transactions.
#[derive(Debug, Clone, Copy)]
pub struct ZcashPczt {
    /// Largest number of actions in one PCZT, counted over both bundles. Time and memory of a proof grow with
    /// every action, and depend on nothing else.
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
            // Cannot panic: the constant is a circuit name.
            id: CIRCUIT.parse().expect("a circuit name"),
            summary: "The Orchard and Ironwood proofs of a partially created Zcash transaction (PCZT)",
            media_type: MEDIA_TYPE,
            schema: None,
            output_media_type: Some(MEDIA_TYPE),
            verifying_keys: KeyVersion::ALL.map(|version| (version.label(), version.digest())).to_vec(),
            // A PCZT with 16 actions has about 36 kB, and its proof takes 12.6 s on two cores and 444 MB at
            // its peak. The limits leave room for fields that wallets add, and for slower machines.
            witness_bytes_max: 256 * 1024,
            answer_bytes_max: 512 * 1024,
            time_limit: Duration::from_secs(180),
            memory_bytes: 768 << 20,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<CheckedWitness, InvalidWitness> {
        let checked = check::check(Document::parse(witness)?, self.actions_max)?;
        let public_inputs = checked.statement.to_public_inputs();
        Ok(CheckedWitness::new(checked, public_inputs))
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

    /// Writes out the fields that a compact PCZT leaves to be recomputed (`cv_net`, `cmx`, and ciphertexts
    /// given as memos), so that the proved copy and this one can be combined.
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
