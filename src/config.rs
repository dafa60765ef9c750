//! Configuration: one file that holds no secret, and the environment.

mod nats;
mod read;

mod tenants;

mod client;
mod service;

pub use client::ClientConfig;
pub use nats::{NatsConfig, TlsConfig};
pub use read::ConfigError;
pub use service::{
    Admin, AuditConfig, AuditTo, CircuitLimits, Sandbox, ServiceConfig, Slots, Streams, TracesConfig,
};
pub use tenants::{TenantLimits, Tenants, TenantsError, UserKey, Weight};
