//! The configuration of a client.

#[cfg(feature = "config-files")]
use std::path::Path;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::nats::NatsConfig;
#[cfg(feature = "config-files")]
use super::read::{ConfigError, read};
use crate::protocol::{Identity, Scheme, Subjects, Tenant};

/// The configuration of a client. A back end fills it in directly; the command line reads it from a file, from flags
/// and from the environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// The connection to the broker.
    pub nats: NatsConfig,
    /// The tenant that jobs are submitted for.
    pub tenant: Tenant,
    /// The prefix of all subjects.
    pub prefix: Subjects,
    /// The pinned identity, which signs the deployment's bundles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The folder that keeps the last verified bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// The schemes that a witness may be sealed with, in order of preference. No other scheme is used.
    pub schemes: Vec<Scheme>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            nats: NatsConfig::default(),
            tenant: Tenant::default(),
            prefix: Subjects::default(),
            identity: None,
            state: None,
            schemes: Scheme::STRONGEST_FIRST.to_vec(),
        }
    }
}

#[cfg(feature = "config-files")]
impl ClientConfig {
    /// Reads a configuration from a file and the environment.
    ///
    /// # Errors
    /// When the file cannot be read, or the environment sets an unknown key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        read(path)
    }
}
