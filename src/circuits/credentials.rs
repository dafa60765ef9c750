//! Circuits about what somebody holds: a committed value ([`threshold`]), a place in a group
//! ([`membership`]).
//!
//! Both are halo2 circuits over the Pallas base field, with polynomial commitments over Vesta: there
//! is no trusted setup. What they share lives here: field elements and their encoding, the one hash
//! function, the reading of witness documents, and the glue between halo2's keys and
//! [`crate::circuit`]. Nothing here is a statement of its own.
//!
//! **Encoding.** Public inputs are the rows of the circuit's only instance column, in order, each as
//! 32 bytes, little-endian, below the modulus. In JSON a field element is `0x` and the 64 lower-case
//! hexadecimal digits of the same 32 bytes; a 64-bit number is a decimal string, because a JSON number
//! is a double to most readers.
//!
//! **Hashing.** Poseidon with the parameters `P128Pow5T3` in the constant-length mode of
//! `halo2_poseidon`, which keeps the number of inputs in the capacity element. A node of a tree is the
//! hash of two elements; everything else is the hash of three, of which the first is a tag. So no two
//! uses of the hash can be taken for one another: nodes differ from the rest by their length, the rest
//! from each other by their tag.

pub mod membership;
pub mod threshold;

pub use field::{Element, NotCanonical, SecretElement};

mod field;
mod json;
mod keys;
mod poseidon;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tamper;

/// The field of both circuits.
type Base = pasta_curves::pallas::Base;
