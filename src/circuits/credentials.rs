//! Circuits about credentials: a committed value ([`threshold`]), and a member of a group ([`membership`]).
//!
//! Both are [halo2 circuits](crate::circuit::halo2). This module has what they share besides the adapter: the
//! hash function, and the tests that every circuit passes.
//!
//! **Encoding.** Public inputs are the rows of the circuit's only instance column, in order, each as 32
//! bytes, little-endian, below the modulus. In JSON a field element is `0x` and the 64 lower-case hexadecimal
//! digits of the same 32 bytes; a 64-bit number is a decimal string, because a JSON number is a double to
//! most readers.
//!
//! **Hashing.** Poseidon with the parameters `P128Pow5T3` in the constant-length mode of `halo2_poseidon`,
//! which keeps the number of inputs in the capacity element. A node of a tree is the hash of two elements;
//! everything else is the hash of three, of which the first is a tag. So no two uses of the hash can be
//! confused: nodes differ from the rest by their length, and the rest from each other by their tag.

mod poseidon;

pub mod membership;
pub mod threshold;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tamper;

pub use crate::circuit::halo2::{Element, NotCanonical, SecretElement};
