//! Private proving over NATS.

pub mod job;
pub mod secret;

pub mod circuit;
pub mod circuits;
