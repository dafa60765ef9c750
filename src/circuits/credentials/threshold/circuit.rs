//! The constraints of `threshold-v1`.
//!
//! ```text
//! instance           0: commitment        1: threshold
//!
//! region "ordering"            a           b            c
//!                    0         value       threshold    difference
//!                    1         blinding
//!                    value - threshold - difference = 0
//!
//! region "range of x", for each of value, threshold and difference
//!                    sum
//!                    0         z_0 = x
//!                    i         z_i = 4·z_(i+1) + (0, 1, 2 or 3)
//!                    32        z_32 = 0
//!
//! region "commitment"          Poseidon(tag, value, blinding) = instance 0
//! ```
//!
//! A running sum that ends in 0 after 32 windows of two bits shows that z_0 < 4^32 = 2^64. All three ranges
//! are needed: value and difference below 2^64 leave room for a negative threshold; threshold and difference
//! below 2^64 leave room for a value of 65 bits; value and threshold below 2^64 leave room for a difference
//! that wrapped around the modulus.
//!
//! Two-bit windows need no lookup table, and their degree of 5 is below the 6 that Poseidon needs in any
//! case.

use ff::PrimeField;
use halo2_proofs::circuit::{AssignedCell, Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Constraints, Error, Expression, Instance, Selector,
};
use halo2_proofs::poly::Rotation;

use super::opening::{COMMITMENT, Opening};
use crate::circuit::halo2::Base;
use crate::circuits::credentials::poseidon::Poseidon;

pub(super) const COMMITMENT_ROW: usize = 0;
pub(super) const THRESHOLD_ROW: usize = 1;

/// Number of windows, of two bits each: 64 bits in all.
pub(super) const WINDOWS: usize = 32;

/// The constraints of "the value behind the commitment is at least the threshold".
#[derive(Default)]
pub struct AtLeast(pub(super) Option<Opening>);

/// The columns and gates of [`AtLeast`].
#[derive(Clone, Debug)]
pub struct Config {
    poseidon: Poseidon,
    // A column of its own, so that the 99 rows of three running sums lie beside the hash. Below it, in one of
    // its columns, they would need 2^8 rows.
    sum: Column<Advice>,
    instance: Column<Instance>,
    ordering: Selector,
    two_bits: Selector,
}

impl Circuit<Base> for AtLeast {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Self::default()
    }

    fn configure(meta: &mut ConstraintSystem<Base>) -> Config {
        let config = Config {
            poseidon: Poseidon::configure(meta),
            sum: meta.advice_column(),
            instance: meta.instance_column(),
            ordering: meta.selector(),
            two_bits: meta.selector(),
        };
        meta.enable_equality(config.sum);
        meta.enable_equality(config.instance);
        config.create_ordering_gate(meta);
        config.create_two_bits_gate(meta);
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Base>) -> Result<(), Error> {
        let operands = config.assign_ordering(&mut layouter, self.0.as_ref())?;
        // The threshold as well, although the verifier sees it: with a free one, 7 would be at least -1,
        // which is the largest number of the field.
        for (name, cell) in [
            ("value", &operands.value),
            ("threshold", &operands.threshold),
            ("difference", &operands.difference),
        ] {
            config.constrain_64_bits(&mut layouter, name, cell)?;
        }
        // Of the same cells, so that the value in the commitment is the value that was compared.
        let commitment = config.poseidon.tagged(
            layouter.namespace(|| "commitment"),
            COMMITMENT,
            [operands.value, operands.blinding],
        )?;
        // Without these two, the prover could open a commitment of its own to a large value, or compare the
        // value with 0.
        layouter.constrain_instance(commitment.cell(), config.instance, COMMITMENT_ROW)?;
        layouter.constrain_instance(operands.threshold.cell(), config.instance, THRESHOLD_ROW)
    }
}

/// Cells that several constraints share.
struct Operands {
    value: AssignedCell<Base, Base>,
    threshold: AssignedCell<Base, Base>,
    difference: AssignedCell<Base, Base>,
    blinding: AssignedCell<Base, Base>,
}

impl Config {
    fn create_ordering_gate(&self, meta: &mut ConstraintSystem<Base>) {
        meta.create_gate("ordering", |meta| {
            // The hash queries its state columns in this row in any case, so this gate adds no opening to the
            // proof.
            let [value, threshold, difference] =
                self.poseidon.state().map(|column| meta.query_advice(column, Rotation::cur()));
            let balance = value - threshold - difference;
            Constraints::with_selector(
                meta.query_selector(self.ordering),
                [("value = threshold + difference", balance)],
            )
        });
    }

    fn create_two_bits_gate(&self, meta: &mut ConstraintSystem<Base>) {
        meta.create_gate("two bits", |meta| {
            let current = meta.query_advice(self.sum, Rotation::cur());
            let next = meta.query_advice(self.sum, Rotation::next());
            // The window has no cell: it is what one sum has more than four times the next, and cannot
            // disagree with them.
            let window = current - next * Base::from(4);
            let zero_to_three = (1..4).fold(window.clone(), |product, value| {
                product * (Expression::Constant(Base::from(value)) - window.clone())
            });
            Constraints::with_selector(
                meta.query_selector(self.two_bits),
                [("window is 0, 1, 2 or 3", zero_to_three)],
            )
        });
    }

    fn assign_ordering(
        &self,
        layouter: &mut impl Layouter<Base>,
        opening: Option<&Opening>,
    ) -> Result<Operands, Error> {
        let [a, b, c] = self.poseidon.state();
        let witnessed = |read: fn(&Opening) -> Base| {
            opening.map_or(Value::unknown(), |opening| Value::known(read(opening)))
        };
        layouter.assign_region(
            || "ordering",
            |mut region| {
                self.ordering.enable(&mut region, 0)?;
                Ok(Operands {
                    value: region.assign_advice(|| "value", a, 0, || witnessed(|o| o.value))?,
                    threshold: region.assign_advice(|| "threshold", b, 0, || witnessed(|o| o.threshold))?,
                    // In the field. For a value below its threshold it wraps around the modulus, and has no
                    // range of 64 bits.
                    difference: region.assign_advice(
                        || "difference",
                        c,
                        0,
                        || witnessed(|o| o.value - o.threshold),
                    )?,
                    // In a row without a gate: any element is good as a blinding.
                    blinding: region.assign_advice(|| "blinding", a, 1, || witnessed(|o| o.blinding))?,
                })
            },
        )
    }

    /// Constrains `number` to be below 2^64, by a running sum.
    fn constrain_64_bits(
        &self,
        layouter: &mut impl Layouter<Base>,
        name: &str,
        number: &AssignedCell<Base, Base>,
    ) -> Result<(), Error> {
        let sums = number.value().map(|number| running_sums(*number)).transpose_array();
        layouter.assign_region(
            || format!("range of {name}"),
            |mut region| {
                // Without this copy, the sum would show the range of any number that the prover likes.
                number.copy_advice(|| "z_0", &mut region, self.sum, 0)?;
                for (at, sum) in sums.iter().enumerate() {
                    self.two_bits.enable(&mut region, at)?;
                    let cell = region.assign_advice(|| format!("z_{}", at + 1), self.sum, at + 1, || *sum)?;
                    if at + 1 == WINDOWS {
                        // Without this, the last sum would hold what 32 windows leave over of a longer
                        // number.
                        region.constrain_constant(cell.cell(), Base::zero())?;
                    }
                }
                Ok(())
            },
        )
    }
}

/// Computes z_1 to z_32: the rest of `number` after each of its low windows is taken off. The last is 0 for a
/// number of 64 bits or less.
fn running_sums(number: Base) -> [Base; WINDOWS] {
    let bytes = number.to_repr();
    let quarter = Base::TWO_INV.square();
    let mut rest = number;
    std::array::from_fn(|at| {
        // Windows are of the low 64 bits only. A longer number leaves a rest, which the circuit refuses.
        let window = (bytes[at / 4] >> (2 * (at % 4))) & 3;
        // Without its window the rest is a multiple of 4, so its product with 1/4 is a whole number again.
        rest = (rest - Base::from(u64::from(window))) * quarter;
        rest
    })
}
