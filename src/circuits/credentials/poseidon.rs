//! The hash function of the family, outside and inside a circuit.
//!
//! Both sides have the same two functions, [`node`] and [`tagged`]. See [the family](super) for why their
//! results cannot be confused.

use halo2_gadgets::poseidon::primitives::{ConstantLength, Hash, P128Pow5T3};
use halo2_gadgets::poseidon::{Hash as HashGadget, Pow5Chip, Pow5Config};
use halo2_proofs::circuit::{AssignedCell, Layouter};
use halo2_proofs::plonk::{Advice, Column, ConstraintSystem, Error};

use crate::circuit::halo2::Base;

/// Makes a tag from a name: its ASCII bytes as a little-endian number.
pub(super) const fn tag(name: &str) -> Base {
    let name = name.as_bytes();
    assert!(name.len() < 32, "a name of 31 bytes or less is below the modulus");
    let mut words = [0; 4];
    let mut at = 0;
    while at < name.len() {
        words[at / 8] |= (name[at] as u64) << (8 * (at % 8));
        at += 1;
    }
    Base::from_raw(words)
}

/// Hashes two children to their parent.
pub(super) fn node(left: Base, right: Base) -> Base {
    Hash::<_, P128Pow5T3, ConstantLength<2>, 3, 2>::init().hash([left, right])
}

/// Hashes anything that is not a node, under a tag.
pub(super) fn tagged(tag: Base, first: Base, second: Base) -> Base {
    Hash::<_, P128Pow5T3, ConstantLength<3>, 3, 2>::init().hash([tag, first, second])
}

/// The hash function inside a circuit: three advice columns for the state, one for the partial rounds.
#[derive(Clone, Debug)]
pub(super) struct Poseidon {
    state: [Column<Advice>; 3],
    chip: Pow5Config<Base, 3, 2>,
}

impl Poseidon {
    /// Adds the columns and gates. The state columns take part in copies.
    pub(super) fn configure(meta: &mut ConstraintSystem<Base>) -> Self {
        let state = [(); 3].map(|()| meta.advice_column());
        let partial_sbox = meta.advice_column();
        let rc_a = [(); 3].map(|()| meta.fixed_column());
        let rc_b = [(); 3].map(|()| meta.fixed_column());
        // A column of its own. In a column of the round constants, each constant would push the regions of
        // the hash one row further down.
        let constants = meta.fixed_column();
        meta.enable_constant(constants);
        let chip = Pow5Chip::configure::<P128Pow5T3>(meta, state, partial_sbox, rc_a, rc_b);
        Poseidon { state, chip }
    }

    /// Returns the state columns, which other regions may use.
    pub(super) fn state(&self) -> [Column<Advice>; 3] {
        self.state
    }

    /// Constrains a cell to be the [`node`] above two others.
    pub(super) fn node(
        &self,
        layouter: impl Layouter<Base>,
        children: [AssignedCell<Base, Base>; 2],
    ) -> Result<AssignedCell<Base, Base>, Error> {
        self.hash(layouter, children)
    }

    /// Constrains a cell to be the [`tagged`] hash of two others. The tag is a constant of the circuit.
    pub(super) fn tagged(
        &self,
        mut layouter: impl Layouter<Base>,
        tag: Base,
        [first, second]: [AssignedCell<Base, Base>; 2],
    ) -> Result<AssignedCell<Base, Base>, Error> {
        let tag = self.constant(&mut layouter, "tag", tag)?;
        self.hash(layouter, [tag, first, second])
    }

    /// Assigns a constant of the circuit to a cell.
    pub(super) fn constant(
        &self,
        layouter: &mut impl Layouter<Base>,
        name: &'static str,
        value: Base,
    ) -> Result<AssignedCell<Base, Base>, Error> {
        // Held equal to a fixed cell, and so a part of the verifying key. A prover who could choose the tag
        // would have one nullifier for each tag, and could signal any number of times on one occasion.
        layouter.assign_region(
            || name,
            |mut region| region.assign_advice_from_constant(|| name, self.state[0], 0, value),
        )
    }

    fn hash<const L: usize>(
        &self,
        mut layouter: impl Layouter<Base>,
        message: [AssignedCell<Base, Base>; L],
    ) -> Result<AssignedCell<Base, Base>, Error> {
        let chip = Pow5Chip::construct(self.chip.clone());
        HashGadget::<_, _, P128Pow5T3, ConstantLength<L>, 3, 2>::init(chip, layouter.namespace(|| "init"))?
            .hash(layouter.namespace(|| "hash"), message)
    }
}

#[cfg(test)]
mod tests {
    use ff::PrimeField;

    use super::*;

    #[test]
    fn a_tag_is_its_name_in_ascii() {
        let mut expected = [0; 32];
        expected[..20].copy_from_slice(b"sealprove commitment");
        assert_eq!(tag("sealprove commitment").to_repr(), expected);
    }
}
