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
//! | 1 | `threshold` | the lower bound of the value, a number below 2^64 |
//!
//! A proof says nothing about when the commitment was made or by whom: the verifier compares row 0 with the
//! commitment that it knows. The constraints are in `circuit.rs`.

use std::time::Duration;

use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::poseidon;
use crate::circuit::halo2::json::{self, Decimal, Hex};
use crate::circuit::halo2::{Base, Element, Halo2Circuit, Limits, SecretElement, read_instance};
use crate::circuit::{InvalidWitness, PublicInputs, VerifyError};
use crate::secret::Witness;

mod opening;

mod circuit;

#[cfg(test)]
mod tests;

use circuit::AtLeast;
use opening::{COMMITMENT, Opening};

const WITNESS_BYTES_MAX: u32 = 1024;

/// A commitment to a 64-bit value. It hides the value as long as the blinding is secret and uniform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment(pub Element);

impl Commitment {
    /// Commits to `value`. A reader who knows `blinding` can find the value by trying.
    pub fn new(value: u64, blinding: &SecretElement) -> Self {
        Commitment(Element(poseidon::tagged(COMMITMENT, Base::from(value), *blinding.expose())))
    }
}

/// Writes the witness that the value behind `Commitment::new(value, blinding)` is at least `threshold`. It is
/// written whether or not that is true; [`Circuit::check`](crate::circuit::Circuit::check) tells.
pub fn witness(value: u64, blinding: &SecretElement, threshold: u64) -> Witness {
    let document =
        Document { value: Decimal(value), blinding: Hex(*blinding.expose()), threshold: Decimal(threshold) };
    json::write(&document, WITNESS_BYTES_MAX)
}

/// The statement of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Commitment to the value.
    pub commitment: Commitment,
    /// Lower bound of the value.
    pub threshold: u64,
}

impl Statement {
    /// Reads the public inputs of a proof. Does not verify the proof.
    ///
    /// # Errors
    /// Fails when they do not encode such a statement.
    pub fn from_public_inputs(public_inputs: &PublicInputs) -> Result<Self, VerifyError> {
        let [commitment, threshold] = read_instance::<Threshold>(public_inputs)?.map(Element);
        let bytes = threshold.to_bytes();
        let (low, high) = bytes.split_at(8);
        // The circuit proves no such threshold, but nothing is verified here, and cutting it short would
        // state another one.
        if high.iter().any(|byte| *byte != 0) {
            return Err(VerifyError("the threshold is not below 2^64"));
        }
        // Cannot panic: split at eight bytes.
        let threshold = u64::from_le_bytes(low.try_into().expect("eight bytes"));
        Ok(Statement { commitment: Commitment(commitment), threshold })
    }
}

/// The circuit `threshold-v1`.
#[derive(Debug, Clone, Copy)]
pub struct Threshold;

impl Halo2Circuit for Threshold {
    const ID: &'static str = "threshold-v1";
    const SUMMARY: &'static str = "a committed 64-bit value is at least a public threshold";
    // Written by hand and never by a test: clients pin this digest, so a change has to be seen in review, and
    // gives the circuit a new name.
    const VERIFYING_KEY: &'static str =
        "sha256:458d2f4b430a3a03265ef7535404f6957204786cc41ccbab031723d47a612c2d";
    // The running sums have 99 rows and the hash, beside them, has fewer: 2^7 rows are the least that hold
    // both.
    const K: u32 = 7;
    const LIMITS: Limits = Limits {
        witness_bytes_max: WITNESS_BYTES_MAX,
        time: Duration::from_secs(30),
        memory_bytes: 32 << 20,
        ..Limits::DEFAULT
    };
    type Witness = Opening;
    type Circuit = AtLeast;
    type Instance = [Base; 2];

    fn schema() -> Option<serde_json::Value> {
        Some(schema_for!(Document).to_value())
    }

    fn sample() -> Vec<u8> {
        // Cannot panic: the number is below the modulus.
        let blinding = SecretElement::from_bytes(&[7; 32]).expect("a field element");
        witness(67_000, &blinding, 50_000).expose().to_vec()
    }

    fn decode(witness: &[u8]) -> Result<Opening, InvalidWitness> {
        let [value, blinding, threshold] = json::fields(witness, ["value", "blinding", "threshold"])?;
        let (value, threshold) = (value.decimal()?, threshold.decimal()?);
        // halo2 would make bytes of this witness that do not verify, and the client would not learn the
        // reason.
        if value < threshold {
            return Err(InvalidWitness::at("value", "below the threshold"));
        }
        Ok(Opening {
            value: Base::from(value),
            blinding: blinding.element()?,
            threshold: Base::from(threshold),
        })
    }

    fn instance(opening: &Opening) -> [Base; 2] {
        [opening.commitment(), opening.threshold]
    }

    fn circuit(opening: Opening) -> AtLeast {
        AtLeast(Some(opening))
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
