//! The decoded witness of `threshold-v1`.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::circuit::halo2::Base;
use crate::circuits::credentials::poseidon;

/// The tag of a value's commitment.
pub(super) const COMMITMENT: Base = poseidon::tag("sealprove commitment");

/// A decoded witness. Its numbers are field elements, as the circuit takes them: it is the circuit that holds
/// them to 64 bits.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Opening {
    pub(super) value: Base,
    pub(super) blinding: Base,
    pub(super) threshold: Base,
}

impl Opening {
    /// Computes the commitment that hides the value.
    pub(super) fn commitment(&self) -> Base {
        poseidon::tagged(COMMITMENT, self.value, self.blinding)
    }
}
