//! Sample PCZTs, made by `examples/make_pczt.rs` and committed. They are worth nothing.
//!
//! The notes that they spend are in a tree made for the purpose, on no chain. The key that owns them is
//! below.

/// The key that owns every note a sample spends, and that receives every output. For tests only: it is
/// public.
pub const TEST_ONLY_SPENDING_KEY: [u8; 32] = [0; 32];

/// The witness of self-tests.
pub(super) const SMALLEST: &[u8] = include_bytes!("../../../examples/pczt/nu6.3-ironwood-2.pczt");

/// The kind of a sample's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// Spends and pays in the Orchard pool under NU6.2.
    Nu6_2Orchard,
    /// Spends and keeps change in the Orchard pool under NU6.3, where it allows nothing else.
    Nu6_3Orchard,
    /// Spends and pays in the Ironwood pool under NU6.3.
    Nu6_3Ironwood,
    /// Spends in the Orchard pool and pays in the Ironwood pool: two proofs.
    Nu6_3Both,
}

/// A committed PCZT.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Kind of the transaction.
    pub kind: SampleKind,
    /// Number of actions, over both bundles.
    pub actions: usize,
    /// Encoded PCZT.
    pub pczt: &'static [u8],
}

macro_rules! sample {
    ($kind:ident, $name:literal, $actions:literal) => {
        Sample {
            kind: SampleKind::$kind,
            actions: $actions,
            pczt: include_bytes!(concat!("../../../examples/pczt/", $name, "-", $actions, ".pczt")),
        }
    };
}

impl Sample {
    /// Every sample.
    pub const ALL: [Sample; 13] = [
        sample!(Nu6_2Orchard, "nu6.2-orchard", 2),
        sample!(Nu6_2Orchard, "nu6.2-orchard", 4),
        sample!(Nu6_2Orchard, "nu6.2-orchard", 8),
        sample!(Nu6_2Orchard, "nu6.2-orchard", 16),
        sample!(Nu6_3Orchard, "nu6.3-orchard", 2),
        sample!(Nu6_3Orchard, "nu6.3-orchard", 4),
        sample!(Nu6_3Orchard, "nu6.3-orchard", 8),
        sample!(Nu6_3Orchard, "nu6.3-orchard", 16),
        sample!(Nu6_3Ironwood, "nu6.3-ironwood", 2),
        sample!(Nu6_3Ironwood, "nu6.3-ironwood", 4),
        sample!(Nu6_3Ironwood, "nu6.3-ironwood", 8),
        sample!(Nu6_3Ironwood, "nu6.3-ironwood", 16),
        sample!(Nu6_3Both, "nu6.3-both", 4),
    ];
}

/// Returns the largest sample with at most `actions_max` actions.
pub(super) fn with_actions(actions_max: usize) -> &'static [u8] {
    Sample::ALL
        .iter()
        .filter(|sample| sample.actions <= actions_max)
        .max_by_key(|sample| sample.actions)
        // With a limit below two actions no sample fits, and `check` refuses this one.
        .map_or(SMALLEST, |sample| sample.pczt)
}

/// Returns the sample of that kind with that number of actions.
pub fn sample_pczt(kind: SampleKind, actions: usize) -> Option<&'static [u8]> {
    let sample = Sample::ALL.iter().find(|sample| sample.kind == kind && sample.actions == actions)?;
    Some(sample.pczt)
}
