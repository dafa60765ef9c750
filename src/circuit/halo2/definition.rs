//! The definition of a halo2 circuit, which its author writes: constraints, witness, instance, limits.

use std::time::Duration;

use halo2_proofs::plonk;
use pasta_curves::pallas::Base;

use super::field::Element;
use crate::circuit::error::{InvalidWitness, VerifyError};
use crate::protocol::PublicInputs;

/// A circuit written with halo2, as `sealprove` needs to know it. See [the module](crate::circuit::halo2) for
/// an example.
///
/// The circuit has one instance column, which is made of public inputs alone, and one size: each proof takes
/// the same time and memory.
pub trait Halo2Circuit: Send + Sync + 'static {
    /// Name with version, such as `factors-v1`.
    const ID: &'static str;
    /// Summary in one line, for people.
    const SUMMARY: &'static str;
    /// Pinned digest of the verifying key: `sha256:` and 64 lower-case hexadecimal digits. See
    /// [the module](crate::circuit::halo2#pin-the-verifying-key) for how to find it.
    const VERIFYING_KEY: &'static str;
    /// Binary logarithm of the number of rows.
    const K: u32;
    /// Limits of one proof, unless the operator sets others.
    const LIMITS: Limits = Limits::DEFAULT;
    /// Media type of a witness.
    const MEDIA_TYPE: &'static str = "application/json";

    /// A decoded witness that passed every check.
    type Witness;
    /// The constraints, with the values that they are about. `Default` is the circuit without a witness, from
    /// which keys are built.
    type Circuit: plonk::Circuit<Base> + Default + Send;
    /// The rows of the instance column, in order: `[Base; 2]` for two public inputs.
    type Instance: Rows;

    /// Returns the JSON Schema of a witness, which the bundle publishes for clients. Returns `None` for
    /// witnesses that are not JSON.
    fn schema() -> Option<serde_json::Value>;

    /// Returns a valid witness for self-tests and benchmarks. It is not secret.
    fn sample() -> Vec<u8>;

    /// Decodes a witness and checks that it satisfies the circuit. It is no longer than
    /// [`Limits::witness_bytes_max`].
    ///
    /// This is the only check before proving: halo2 makes a proof of any assignment, and of a wrong one it
    /// makes bytes that do not verify, which the client learns without the reason.
    ///
    /// # Errors
    /// Names the place that is wrong, and never a value. See [`InvalidWitness`].
    fn decode(witness: &[u8]) -> Result<Self::Witness, InvalidWitness>;

    /// Computes the instance that follows from a witness.
    fn instance(witness: &Self::Witness) -> Self::Instance;

    /// Puts the witness into the circuit.
    fn circuit(witness: Self::Witness) -> Self::Circuit;
}

/// The limits of one proof.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Size of the largest witness accepted, in bytes.
    pub witness_bytes_max: u32,
    /// Size of the largest answer, in bytes of its JSON document, where proof and public inputs are in
    /// base64.
    pub answer_bytes_max: u32,
    /// Wall-clock limit of one proof.
    pub time: Duration,
    /// Memory that one proof may allocate, in bytes. It doubles with each step of [`Halo2Circuit::K`]. A
    /// service whose self-test exceeds it does not start.
    pub memory_bytes: u64,
}

impl Limits {
    /// Limits that suffice for a circuit of 2^11 rows and about ten columns.
    pub const DEFAULT: Limits = Limits {
        witness_bytes_max: 4096,
        answer_bytes_max: 8192,
        time: Duration::from_secs(60),
        memory_bytes: 64 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// The rows of an instance column: an array of field elements.
pub trait Rows: AsRef<[Base]> + TryFrom<Vec<Base>> + Send + 'static {
    /// Number of rows.
    const COUNT: usize;
}

impl<const N: usize> Rows for [Base; N] {
    const COUNT: usize = N;
}

/// Reads the public inputs of a proof as the rows of the instance. Does not verify the proof.
///
/// # Errors
/// Fails when the public inputs have another number of rows, or a row is not canonical.
pub fn read_instance<C: Halo2Circuit>(public_inputs: &PublicInputs) -> Result<C::Instance, VerifyError> {
    const LENGTH: VerifyError = VerifyError("the public inputs have the wrong length");
    let (rows, rest) = public_inputs.0.as_chunks::<{ Element::BYTES }>();
    // A short instance must not reach halo2, which commits to it as if zeros followed.
    if rows.len() != C::Instance::COUNT || !rest.is_empty() {
        return Err(LENGTH);
    }
    // Each row has one encoding, so that two byte strings are never public inputs of the same proof.
    let rows: Vec<Base> = rows
        .iter()
        .map(|row| Element::from_bytes(row).map(|element| element.0))
        .collect::<Result<_, _>>()
        .map_err(|_| VerifyError("a public input is not a canonical field element"))?;
    rows.try_into().map_err(|_| LENGTH)
}
