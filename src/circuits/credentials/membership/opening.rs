//! The decoded witness of `membership-v1`.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::group::DEPTH;
use crate::circuit::halo2::Base;
use crate::circuits::credentials::poseidon;

// Two tags, because with one of them the nullifier of the occasion 0 would be the identity's leaf, and would
// name the member.
/// The tag of an identity.
pub(super) const IDENTITY: Base = poseidon::tag("sealprove identity");
/// The tag of a nullifier.
pub(super) const NULLIFIER: Base = poseidon::tag("sealprove nullifier");

/// Computes the commitment of an identity: its leaf in a group.
pub(super) fn commitment(secret: Base) -> Base {
    poseidon::tagged(IDENTITY, secret, Base::zero())
}

/// Computes the mark of an identity on one occasion.
pub(super) fn nullifier(secret: Base, external_nullifier: Base) -> Base {
    poseidon::tagged(NULLIFIER, secret, external_nullifier)
}

/// A decoded witness. Its turns are field elements, as the circuit takes them: it is the circuit that holds
/// them to 0 or 1.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Opening {
    pub(super) secret: Base,
    pub(super) steps: [Step; DEPTH],
    pub(super) external_nullifier: Base,
    pub(super) signal_hash: Base,
}

/// One level of a path.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Step {
    pub(super) sibling: Base,
    /// 1 if the path comes from the right, else 0.
    pub(super) turn: Base,
}

impl Step {
    /// Returns the left and the right child, of which `node` is one.
    pub(super) fn order(&self, node: Base) -> (Base, Base) {
        // The gate's own formula in place of an `if`: it gives the gate's children for a turn of 2 as well,
        // with which a test shows that the circuit refuses such a turn.
        let move_by = self.turn * (self.sibling - node);
        (node + move_by, self.sibling - move_by)
    }
}
