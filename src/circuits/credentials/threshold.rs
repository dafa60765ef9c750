//! `threshold-v1`: a committed value is at least a public threshold.
//!
//! The prover knows `value` and `blinding` such that
//! - `commitment` = Poseidon(`"sealprove commitment"`, `value`, `blinding`),
//! - `value` < 2^64, `threshold` < 2^64, and `value` - `threshold` < 2^64 without wrapping around.
//!
//! Public inputs, each a field element in 32 bytes, little-endian, canonical:
//!
//! | row | name | meaning |
//! |---|---|---|
//! | 0 | `commitment` | hides the value; binds the prover to it |
//! | 1 | `threshold` | the least value for which the statement holds, as a number below 2^64 |
//!
//! A proof says nothing about when the commitment was made or by whom: the verifier compares row 0
//! with the commitment that it knows. The constraints are in `circuit.rs`.

use std::time::Duration;

use halo2_proofs::circuit::Value;
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::json::{Decimal, Fields, Hex};
use super::{Base, Element, SecretElement, json, keys, poseidon};
use crate::circuit::{
    BuildError, Circuit, Descriptor, InvalidWitness, ProvingKey, PublicInputs, VerifyError, VerifyingKey,
};
use crate::secret::Witness;

mod circuit;

#[cfg(test)]
mod tests;

/// Pinned. Another verifying key is another circuit, with another name.
const VERIFYING_KEY: &str = "sha256:458d2f4b430a3a03265ef7535404f6957204786cc41ccbab031723d47a612c2d";
const WITNESS_BYTES_MAX: u32 = 1024;

/// What the value's commitment is tagged with.
const COMMITMENT: Base = poseidon::tag("sealprove commitment");

/// A commitment to a 64-bit value: hiding as long as the blinding is secret and uniform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment(pub Element);

impl Commitment {
    /// Commits to `value`. Whoever knows `blinding` can find the value by trying.
    pub fn new(value: u64, blinding: &SecretElement) -> Self {
        Commitment(Element(poseidon::tagged(COMMITMENT, Base::from(value), *blinding.expose())))
    }
}

/// The witness that the value behind `Commitment::new(value, blinding)` is at least `threshold`. It
/// is built whether or not that is true; [`Circuit::check`] says.
pub fn witness(value: u64, blinding: &SecretElement, threshold: u64) -> Witness {
    let document =
        Document { value: Decimal(value), blinding: Hex(*blinding.expose()), threshold: Decimal(threshold) };
    json::write(&document, WITNESS_BYTES_MAX)
}

/// What a proof states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The commitment to the value.
    pub commitment: Commitment,
    /// The value is at least this.
    pub threshold: u64,
}

impl Statement {
    /// Reads the public inputs of a proof. Says nothing of the proof.
    ///
    /// # Errors
    /// When they are not the encoding of such a statement.
    pub fn from_public_inputs(public_inputs: &PublicInputs) -> Result<Self, VerifyError> {
        let rows = keys::decode(public_inputs, <Threshold as keys::Halo2Circuit>::PUBLIC_INPUTS)?;
        let bytes = Element(rows[circuit::THRESHOLD_ROW]).to_bytes();
        let (low, high) = bytes.split_at(8);
        if high.iter().any(|byte| *byte != 0) {
            return Err(VerifyError("the threshold is not below 2^64"));
        }
        Ok(Statement {
            commitment: Commitment(Element(rows[circuit::COMMITMENT_ROW])),
            threshold: u64::from_le_bytes(low.try_into().expect("Cannot panic: split at eight bytes")),
        })
    }
}

/// The circuit `threshold-v1`.
#[derive(Debug, Clone, Copy)]
pub struct Threshold;

impl Circuit for Threshold {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: "threshold-v1".parse().expect("Cannot panic: a literal circuit name"),
            summary: "a committed 64-bit value is at least a public threshold",
            media_type: "application/json",
            schema: Some(schema_for!(Document).to_value()),
            output_media_type: None,
            verifying_keys: vec![(
                keys::LABEL,
                VERIFYING_KEY.parse().expect("Cannot panic: a literal digest"),
            )],
            witness_bytes_max: WITNESS_BYTES_MAX,
            answer_bytes_max: keys::ANSWER_BYTES_MAX,
            time_limit: Duration::from_secs(30),
            memory_bytes: 32 << 20,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<PublicInputs, InvalidWitness> {
        keys::check::<Self>(witness)
    }

    fn sample_witness(&self) -> Vec<u8> {
        let blinding = SecretElement::from_bytes(&[7; 32]).expect("Cannot panic: below the modulus");
        witness(67_000, &blinding, 50_000).expose().to_vec()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(keys::Verifier::<Self>::build()?))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(keys::Prover::<Self>::build()?))
    }
}

impl keys::Halo2Circuit for Threshold {
    const K: u32 = 7;
    const PROOF_BYTES: usize = 2496;
    const PUBLIC_INPUTS: usize = 2;
    type Synthesis = circuit::AtLeast;

    fn open(witness: &[u8]) -> Result<(circuit::AtLeast, Vec<Base>), InvalidWitness> {
        let opening = Opening::read(witness)?;
        let instance = vec![opening.commitment(), opening.threshold];
        Ok((circuit::AtLeast(Some(opening)), instance))
    }
}

/// The witness of one proof, as it is sealed. No name is written with an escape.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Witness of threshold-v1", deny_unknown_fields)]
struct Document {
    /// The committed value.
    value: Decimal,
    /// The blinding of the commitment.
    blinding: Hex,
    /// The public threshold; at most the value.
    threshold: Decimal,
}

/// The values of a witness. Numbers are field elements here, as the circuit takes them: what makes
/// them 64 bits long is the circuit.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Opening {
    value: Base,
    blinding: Base,
    threshold: Base,
}

impl Opening {
    fn read(witness: &[u8]) -> Result<Self, InvalidWitness> {
        let fields = Fields::read(witness, WITNESS_BYTES_MAX, &["value", "blinding", "threshold"])?;
        let (value, threshold) = (fields.decimal("value")?, fields.decimal("threshold")?);
        if value < threshold {
            return Err(InvalidWitness::at("value", "below the threshold"));
        }
        Ok(Opening {
            value: Base::from(value),
            blinding: fields.element("blinding")?,
            threshold: Base::from(threshold),
        })
    }

    fn commitment(&self) -> Base {
        poseidon::tagged(COMMITMENT, self.value, self.blinding)
    }

    /// One value of a witness that may be absent, as halo2 takes it.
    fn value_of(opening: Option<&Self>, read: impl Fn(&Self) -> Base) -> Value<Base> {
        opening.map_or(Value::unknown(), |opening| Value::known(read(opening)))
    }
}
