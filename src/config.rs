//! Configuration: one file that holds no secret, and the environment.

mod nats;

#[cfg(feature = "config-files")]
mod read;

mod client;

#[cfg(feature = "service")]
mod tenants;

#[cfg(feature = "service")]
mod service;

pub use client::ClientConfig;
pub use nats::{AddressError, NatsConfig, TlsConfig};

pub(crate) use nats::join as join_addresses;

#[cfg(feature = "config-files")]
pub use read::ConfigError;

#[cfg(feature = "service")]
pub use service::{
    Admin, AuditConfig, AuditTo, CircuitLimits, Sandbox, ServiceConfig, Slots, Streams, TracesConfig,
};
#[cfg(feature = "service")]
pub use tenants::{TenantLimits, Tenants, TenantsError, UserKey, Weight};
