//! Randomness from the operating system, the only generator in this crate.
//!
//! A generator in memory is copied by fork: two job processes would draw the same numbers.

/// Draws `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness. Nothing that follows would be safe.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Draws `N` random bytes, as `2 N` lower-case hexadecimal digits.
///
/// # Panics
/// As [`random`].
pub(crate) fn random_hex<const N: usize>() -> String {
    hex::encode(random::<N>())
}

/// Fills `bytes` in place, for secrets that must not be copied.
///
/// # Panics
/// As [`random`].
pub(crate) fn fill(bytes: &mut [u8]) {
    // Cannot panic: getrandom(2) does not fail on a kernel that this crate runs on.
    getrandom::fill(bytes).expect("the operating system has randomness");
}
