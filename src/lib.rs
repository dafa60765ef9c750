//! Private proving over NATS.

pub mod job;
pub mod secret;
pub mod wire;

pub mod bundle;
pub mod envelope;

pub mod circuit;
pub mod circuits;

mod clock;
pub mod frame;

#[cfg(feature = "service")]
pub mod chamber;

#[cfg(feature = "client")]
pub mod broker;
#[cfg(feature = "client")]
pub mod config;
#[cfg(feature = "service")]
pub mod metrics;
#[cfg(feature = "service")]
pub mod service;
