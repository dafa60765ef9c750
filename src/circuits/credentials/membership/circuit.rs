//! The constraints of `membership-v1`.
//!
//! ```text
//! instance           0: root      1: nullifier      2: external nullifier      3: signal hash
//!
//! identity           Poseidon(tag, secret, 0)                         = node of level 0
//!
//! level l, for l from 0 to 31
//!   region "swap l"            a           b           c
//!                    0         node        sibling     turn
//!                    1         left        right
//!                    turn is 0 or 1
//!                    left = node + turn·(sibling - node)
//!                    left + right = node + sibling
//!   Poseidon(left, right)                                             = node of level l + 1
//!
//! node of level 32                                                    = instance 0
//! nullifier          Poseidon(tag, secret, external nullifier)        = instance 1
//! external nullifier                                                  = instance 2
//! signal hash                                                         = instance 3
//! ```
//!
//! The gate of a swap uses the columns of the hash, in the two rows that the hash's own gates query: it adds
//! no column and no opening to the proof.

use halo2_proofs::circuit::{AssignedCell, Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Circuit, Column, ConstraintSystem, Constraints, Error, Expression, Instance, Selector,
};
use halo2_proofs::poly::Rotation;

use super::group::DEPTH;
use super::opening::{IDENTITY, NULLIFIER, Opening, Step};
use crate::circuit::halo2::Base;
use crate::circuits::credentials::poseidon::Poseidon;

pub(super) const ROOT_ROW: usize = 0;
pub(super) const NULLIFIER_ROW: usize = 1;
pub(super) const EXTERNAL_NULLIFIER_ROW: usize = 2;
pub(super) const SIGNAL_HASH_ROW: usize = 3;

/// The constraints of "a member of the group signals this on that occasion".
// Keys are built without an opening: they depend on the shape alone.
#[derive(Default)]
pub struct Member(pub(super) Option<Opening>);

/// The columns and gates of [`Member`].
#[derive(Clone, Debug)]
pub struct Config {
    poseidon: Poseidon,
    instance: Column<Instance>,
    swap: Selector,
}

impl Circuit<Base> for Member {
    type Config = Config;
    // The floor planner decides in which rows the regions lie, so it is a part of the verifying key. Another
    // one makes another circuit, which needs a new name.
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Self::default()
    }

    fn configure(meta: &mut ConstraintSystem<Base>) -> Config {
        let config = Config {
            poseidon: Poseidon::configure(meta),
            instance: meta.instance_column(),
            swap: meta.selector(),
        };
        meta.enable_equality(config.instance);
        config.create_swap_gate(meta);
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Base>) -> Result<(), Error> {
        // One cell for both hashes. With a cell for each, a member could show the nullifier of another secret
        // and signal a second time on the same occasion.
        let secret = config.assign(&mut layouter, "secret", self.value_of(|o| o.secret))?;
        let mut node = config.identity(layouter.namespace(|| "identity"), secret.clone())?;
        for level in 0..DEPTH {
            let step = self.0.as_ref().map_or(Value::unknown(), |o| Value::known(o.steps[level]));
            node = config.parent(&mut layouter, level, &node, step)?;
        }
        // Without this, the path could end in the root of a tree that the prover made up.
        layouter.constrain_instance(node.cell(), config.instance, ROOT_ROW)?;

        let external_nullifier =
            config.assign(&mut layouter, "external nullifier", self.value_of(|o| o.external_nullifier))?;
        // Without this, a member could hash an occasion of its own choice each time, and so never repeat a
        // nullifier.
        layouter.constrain_instance(external_nullifier.cell(), config.instance, EXTERNAL_NULLIFIER_ROW)?;
        let nullifier = config.poseidon.tagged(
            layouter.namespace(|| "nullifier"),
            NULLIFIER,
            [secret, external_nullifier],
        )?;
        layouter.constrain_instance(nullifier.cell(), config.instance, NULLIFIER_ROW)?;

        // No equation has a use for the signal. The cell is there for this copy: the proof commits to the
        // cell, and so holds for no other signal.
        let signal_hash = config.assign(&mut layouter, "signal hash", self.value_of(|o| o.signal_hash))?;
        layouter.constrain_instance(signal_hash.cell(), config.instance, SIGNAL_HASH_ROW)
    }
}

impl Member {
    fn value_of(&self, read: impl Fn(&Opening) -> Base) -> Value<Base> {
        self.0.as_ref().map_or(Value::unknown(), |opening| Value::known(read(opening)))
    }
}

impl Config {
    fn create_swap_gate(&self, meta: &mut ConstraintSystem<Base>) {
        meta.create_gate("swap", |meta| {
            let [a, b, c] = self.poseidon.state();
            let node = meta.query_advice(a, Rotation::cur());
            let sibling = meta.query_advice(b, Rotation::cur());
            let turn = meta.query_advice(c, Rotation::cur());
            let left = meta.query_advice(a, Rotation::next());
            let right = meta.query_advice(b, Rotation::next());

            let one = Expression::Constant(Base::one());
            let moved = node.clone() + turn.clone() * (sibling.clone() - node.clone());
            Constraints::with_selector(
                meta.query_selector(self.swap),
                [
                    // A free turn would let anyone pass for a member: with the sibling L + R - node and the
                    // turn (L - node) / (sibling - node), any node leads to the children L and R of a node in
                    // the tree.
                    ("turn is 0 or 1", turn.clone() * (one - turn)),
                    ("left is the node, or the sibling after a turn", left.clone() - moved),
                    // Given left, the sum fixes right without a second product. A free right would let a turn
                    // drop the node, and with it the identity, from the path.
                    ("right is the other one", left + right - node - sibling),
                ],
            )
        });
    }

    /// Assigns one value of the witness to a cell of its own.
    pub(super) fn assign(
        &self,
        layouter: &mut impl Layouter<Base>,
        name: &'static str,
        value: Value<Base>,
    ) -> Result<AssignedCell<Base, Base>, Error> {
        let [a, ..] = self.poseidon.state();
        layouter.assign_region(|| name, |mut region| region.assign_advice(|| name, a, 0, || value))
    }

    fn identity(
        &self,
        mut layouter: impl Layouter<Base>,
        secret: AssignedCell<Base, Base>,
    ) -> Result<AssignedCell<Base, Base>, Error> {
        // An identity has three inputs, like everything but a node. Its third is fixed, because a free one
        // would give one secret many leaves.
        let zero = self.poseidon.constant(&mut layouter, "zero", Base::zero())?;
        self.poseidon.tagged(layouter, IDENTITY, [secret, zero])
    }

    /// Computes the node above `node`.
    pub(super) fn parent(
        &self,
        layouter: &mut impl Layouter<Base>,
        level: usize,
        node: &AssignedCell<Base, Base>,
        step: Value<Step>,
    ) -> Result<AssignedCell<Base, Base>, Error> {
        let [a, b, c] = self.poseidon.state();
        let children = node.value().zip(step).map(|(node, step)| step.order(*node));
        let (left, right) = layouter.assign_region(
            || format!("swap {level}"),
            |mut region| {
                self.swap.enable(&mut region, 0)?;
                // Without this copy, the path could break off below and go on from any other node of the
                // tree.
                node.copy_advice(|| "node", &mut region, a, 0)?;
                region.assign_advice(|| "sibling", b, 0, || step.map(|step| step.sibling))?;
                region.assign_advice(|| "turn", c, 0, || step.map(|step| step.turn))?;
                // In the next row, which the hash queries in these columns in any case.
                let left = region.assign_advice(|| "left", a, 1, || children.map(|(left, _)| left))?;
                let right = region.assign_advice(|| "right", b, 1, || children.map(|(_, right)| right))?;
                Ok((left, right))
            },
        )?;
        self.poseidon.node(layouter.namespace(|| format!("level {level}")), [left, right])
    }
}
