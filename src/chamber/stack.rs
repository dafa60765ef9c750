//! Wiping what calls leave on the stack when they return.

/// Bytes of the stack that are wiped: many times what opening a seal, or deriving a public key, reaches down to.
const WIPED_BYTES: usize = 512 * 1024;

/// Overwrites what calls that have returned left on the stack.
// Inlined, the buffer would lie in the caller's frame, beside the bytes and not over them.
#[inline(never)]
pub(super) fn wipe_below() {
    let mut below = [0_u8; WIPED_BYTES];
    zeroize::Zeroize::zeroize(&mut below[..]);
    std::hint::black_box(&below);
}
