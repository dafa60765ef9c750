//! An adapter for halo2 circuits: every [`Halo2Circuit`] is a [`Circuit`].
//!
//! You write the constraints, the witness type, and how the instance follows from a witness. Keys,
//! transcript, randomness, the encoding of public inputs, the length of a proof, the digest of the verifying
//! key and default limits come from here. The proof system is halo2 with inner-product commitments over
//! Pasta: circuits over the base field of Pallas, commitments on Vesta, no trusted setup.
//!
//! # Write a circuit
//!
//! The statement: "I know a square root of this public number."
//!
//! ```
//! use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
//! use halo2_proofs::plonk::{self, Advice, Column, ConstraintSystem, Constraints, Error, Instance, Selector};
//! use halo2_proofs::poly::Rotation;
//! use sealprove::circuit::halo2::{self, Base, Halo2Circuit, halo2_proofs, json};
//! use sealprove::circuit::{Circuit, InvalidWitness};
//! use serde::{Deserialize, Serialize};
//!
//! /// The constraints: `root · root = square`, and `square` is row 0 of the instance.
//! #[derive(Default)]
//! struct Squaring(Value<Base>);
//!
//! impl plonk::Circuit<Base> for Squaring {
//!     type Config = ([Column<Advice>; 2], Column<Instance>, Selector);
//!     type FloorPlanner = SimpleFloorPlanner;
//!
//!     fn without_witnesses(&self) -> Self {
//!         Self::default()
//!     }
//!
//!     fn configure(meta: &mut ConstraintSystem<Base>) -> Self::Config {
//!         let advice = [meta.advice_column(), meta.advice_column()];
//!         let (instance, squares) = (meta.instance_column(), meta.selector());
//!         meta.enable_equality(advice[1]);
//!         meta.enable_equality(instance);
//!         meta.create_gate("square", |meta| {
//!             let [root, square] = advice.map(|column| meta.query_advice(column, Rotation::cur()));
//!             Constraints::with_selector(meta.query_selector(squares), [root.clone() * root - square])
//!         });
//!         (advice, instance, squares)
//!     }
//!
//!     fn synthesize(
//!         &self,
//!         (advice, instance, squares): Self::Config,
//!         mut layouter: impl Layouter<Base>,
//!     ) -> Result<(), Error> {
//!         let square = layouter.assign_region(
//!             || "square",
//!             |mut region| {
//!                 squares.enable(&mut region, 0)?;
//!                 region.assign_advice(|| "root", advice[0], 0, || self.0)?;
//!                 region.assign_advice(|| "square", advice[1], 0, || self.0 * self.0)
//!             },
//!         )?;
//!         layouter.constrain_instance(square.cell(), instance, 0)
//!     }
//! }
//!
//! /// The witness document. The square is public.
//! #[derive(Serialize, Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Root {
//!     root: u32,
//! }
//!
//! /// What `sealprove` needs to know.
//! struct SquareRoot;
//!
//! impl Halo2Circuit for SquareRoot {
//!     const ID: &'static str = "square-root-v1";
//!     const SUMMARY: &'static str = "a public number has a known square root";
//!     const VERIFYING_KEY: &'static str =
//!         "sha256:0000000000000000000000000000000000000000000000000000000000000000";
//!     const K: u32 = 4;
//!     type Witness = Root;
//!     type Circuit = Squaring;
//!     type Instance = [Base; 1];
//!
//!     fn schema() -> Option<serde_json::Value> {
//!         Some(schemars::schema_for!(Root).to_value())
//!     }
//!
//!     fn sample() -> Vec<u8> {
//!         br#"{"root":12}"#.to_vec()
//!     }
//!
//!     fn decode(witness: &[u8]) -> Result<Root, InvalidWitness> {
//!         let witness: Root = json::read(witness)?;
//!         if witness.root == 0 {
//!             return Err(InvalidWitness::at("root", "is 0: expected a number from 1 to 2^32 - 1"));
//!         }
//!         Ok(witness)
//!     }
//!
//!     fn instance(witness: &Root) -> [Base; 1] {
//!         [Base::from(u64::from(witness.root)).square()]
//!     }
//!
//!     fn circuit(witness: Root) -> Squaring {
//!         Squaring(Value::known(Base::from(u64::from(witness.root))))
//!     }
//! }
//!
//! // A service does these four steps, and seals and opens around them.
//! let key = SquareRoot.build_proving_key()?;
//! let witness = SquareRoot.check(br#"{"root":12}"#)?;
//! let proof = key.prove(witness)?;
//! key.verify(&proof)?;
//! assert_eq!(halo2::read_instance::<SquareRoot>(&proof.public_inputs)?, [Base::from(144)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `sealprove::main(Circuits::new().with(SquareRoot))` makes a program of it, with every command of
//! `sealprove`. The file `examples/own_circuit.rs` is such a program.
//!
//! # Pin the verifying key
//!
//! Clients pin the digest of the verifying key, so it stands in the source, written by hand. Begin with
//! zeros, as above. A chamber that builds a key with another digest does not start, and its error names both
//! digests; so does this test, which also keeps a later change from altering the key unnoticed:
//!
//! ```
//! # use sealprove::circuit::halo2::{self, Halo2Circuit};
//! # #[cfg(feature = "credentials")] {
//! # use sealprove::circuits::credentials::threshold::Threshold as SquareRoot;
//! let built = halo2::verifying_key_digest::<SquareRoot>()?;
//! assert_eq!(built.to_string(), SquareRoot::VERIFYING_KEY);
//! # }
//! # Ok::<(), sealprove::circuit::BuildError>(())
//! ```
//!
//! The digest is the SHA-256 over halo2's pinned form of the key. It changes with every gate, column, lookup,
//! fixed cell and copy constraint, and with [`Halo2Circuit::K`]. A circuit whose digest changes needs a new
//! name.
//!
//! # Keep the witness secret
//!
//! - Errors of [`Halo2Circuit::decode`] hold fixed text and known names. The types of [`json`] see to that.
//! - Have the witness type and the circuit type wipe themselves on drop, as [`SecretElement`] and
//!   [`json::Hex`] do.
//! - Do no I/O, start no threads and draw no randomness in [`Halo2Circuit`] or in `synthesize`.
//!
//! # Test the constraints
//!
//! `halo2_proofs::dev::MockProver` reports which constraint an assignment breaks. Show for each constraint an
//! assignment that breaks it alone: a constraint that nothing breaks may be missing. The tests of
//! `threshold-v1` do so cell by cell.

mod field;
pub mod json;

mod definition;

mod keys;

mod adapter;

pub use adapter::verifying_key_digest;
pub use definition::{Halo2Circuit, Limits, Rows, read_instance};
pub use field::{Element, NotCanonical, SecretElement};
/// The version of halo2 that this adapter proves with.
pub use halo2_proofs;
/// The field of the circuits.
pub use pasta_curves::pallas::Base;

// Tests prove assignments that `check` refuses, for which they need the prover itself.
#[cfg(test)]
pub(crate) use keys::{LABEL, Prover};
