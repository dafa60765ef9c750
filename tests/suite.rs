//! All tests of the built program, in one binary: the kit is compiled once, and what no test uses of it is a
//! warning. `README.md` maps each promise to its tests and commands.
//!
//! `cargo test --test suite service::` runs one group, `cargo test --test suite survival` one file.

mod chamber;
mod guarantees;
mod kit;
mod service;
mod unit;
