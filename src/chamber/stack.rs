//! What calls leave on the stack when they return.

/// How much of the stack below is wiped: what opening a seal, or deriving a public key, reaches down to, many times
/// over.
const WIPED_BYTES: usize = 512 * 1024;

/// Overwrites what calls that have returned left on the stack.
#[inline(never)]
pub(super) fn wipe_below() {
    let mut below = [0_u8; WIPED_BYTES];
    zeroize::Zeroize::zeroize(&mut below[..]);
    std::hint::black_box(&below);
}
