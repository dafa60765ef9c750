//! The decoded witness of `threshold-v1`.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::circuit::halo2::Base;
use crate::circuits::credentials::poseidon;

/// The tag of a value's commitment.
pub(super) const COMMITMENT: Base = poseidon::tag("sealprove commitment");

/// A decoded witness. Its numbers are field elements, as the circuit takes them: it is the circuit that holds
/// them to 64 bits.
// With `u64` no test could show that the circuit refuses a value of 65 bits or a threshold below 0.
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
