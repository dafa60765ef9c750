//! Private proving over NATS: sealed witnesses in, verified proofs out.
//!
//! A client seals the witness of a zero-knowledge proof and publishes it to a JetStream subject. A service
//! takes the job, opens it in a process that holds that one witness and nothing else, proves, verifies its
//! own proof, seals the answer and stores it on the job's own subject.
//!
//! The path of a job, and where each step lives:
//!
//! | step | module |
//! |---|---|
//! | seal, submit, wait, open, verify | [`client`] |
//! | pull one job for each free slot, keep its lease, store the answer, acknowledge | [`service`] |
//! | build every proving key once, lock, fork a process for each job | [`chamber`], started by the [`launcher`] |
//! | open, forget the keys, check, prove, verify, seal | the job process, in [`chamber`] |
//!
//! Client, broker and service speak the [`protocol`]; service and chamber exchange [`frame`]s. Neither does I/O.
//!
//! To bring a circuit of your own, implement [`circuit::Circuit`] and hand it to [`main`]:
//!
//! ```no_run
//! // A chamber starts with no other: what is freed is wiped.
//! # #[cfg(feature = "service")]
//! #[global_allocator]
//! static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;
//!
//! # #[cfg(feature = "cli")]
//! fn main() -> std::process::ExitCode {
//!     sealprove::main(sealprove::circuit::Circuits::built_in())
//! }
//! # #[cfg(not(feature = "cli"))]
//! # fn main() {}
//! ```
//!
//! Features:
//!
//! - `client` is the library for a back end that submits jobs. No prover and no command line is in its dependency tree.
//! - `config-files` reads configurations from TOML files and the environment.
//! - `service` adds the service and its chamber, and `otlp` its traces.
//! - `cli` adds the program `sealprove`, with the commands of the other features.
//! - `zcash` and `credentials` are families of circuits, and `halo2` the adapter that they use.
//!
//! Without any, the crate seals, opens and checks without a network.

// The vocabulary of every party. No I/O.
pub mod secret;
#[macro_use]
pub mod protocol;

// The circuits.
pub mod circuit;
pub mod circuits;

// The frames between service and chamber, and the locks of both.
pub mod frame;
#[cfg(feature = "service")]
pub mod sandbox;

#[cfg(feature = "client")]
mod backoff;
#[cfg(any(feature = "cli", feature = "service"))]
mod causes;
#[cfg(feature = "client")]
pub mod config;
#[cfg(feature = "service")]
mod http;
#[cfg(feature = "client")]
mod private_file;

// The records of a service.
#[cfg(feature = "service")]
pub mod metrics;
#[cfg(any(feature = "cli", feature = "service"))]
pub mod audit;

// The broker.
#[cfg(feature = "client")]
pub mod jetstream;

// The client.
#[cfg(feature = "client")]
pub mod client;

// The key side: no network.
#[cfg(feature = "service")]
pub mod chamber;
#[cfg(feature = "service")]
pub mod launcher;

// The network side: no keys.
#[cfg(feature = "service")]
pub mod service;

// The operator's side.
#[cfg(any(feature = "cli", feature = "service"))]
pub mod operator;

// The command line.
#[cfg(feature = "cli")]
mod cli;

#[cfg(feature = "cli")]
pub use cli::main;

/// The vectors that every implementation is held to.
#[cfg(all(test, feature = "service", feature = "credentials"))]
mod testkit;

/// The README, whose program must compile.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
