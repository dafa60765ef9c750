//! The built-in circuits. Each is behind the feature of its family, so that a submitter's build has no prover in it.

use crate::circuit::Circuits;

#[cfg(feature = "credentials")]
pub mod credentials;
#[cfg(feature = "zcash")]
pub mod zcash;

impl Circuits {
    /// Returns the circuits that this build has: those whose features are on.
    pub fn built_in() -> Self {
        let circuits = Circuits::new();
        // Bound again for each family, because a `cfg` cannot stand on a call in a chain.
        #[cfg(feature = "credentials")]
        let circuits =
            circuits.with(credentials::threshold::Threshold).with(credentials::membership::Membership);
        #[cfg(feature = "zcash")]
        let circuits = circuits.with(zcash::ZcashPczt::default());
        circuits
    }
}
