//! The configuration of a client.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::nats::NatsConfig;
use super::read::{ConfigError, read};
use crate::protocol::{Identity, Scheme, Subjects, Tenant};

/// The configuration of a client, all of which flags and environment can give as well.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// How the broker is reached.
    pub nats: NatsConfig,
    /// Who this client is to the broker.
    pub tenant: Tenant,
    /// What all subjects begin with.
    pub prefix: Subjects,
    /// The identity that signs the deployment's bundles, pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Where the last verified bundle is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// How a witness may be sealed, the preferred way first; never in another.
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

impl ClientConfig {
    /// Reads a file and the environment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        read(path)
    }
}
