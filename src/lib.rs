//! Private proving over NATS.

// vocabulary
pub mod bundle;
mod clock;
pub mod envelope;
pub mod frame;
pub mod job;
pub mod secret;
pub mod wire;

pub mod circuit;
pub mod circuits;

#[cfg(feature = "client")]
pub mod broker;
#[cfg(feature = "client")]
pub mod client;

#[cfg(feature = "service")]
pub mod service;

#[cfg(feature = "service")]
pub mod chamber;

#[cfg(feature = "client")]
pub mod config;
#[cfg(feature = "service")]
pub mod metrics;
#[cfg(feature = "client")]
mod telemetry;

#[cfg(feature = "client")]
mod cli;
#[cfg(feature = "client")]
pub use cli::main;
