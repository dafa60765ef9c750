//! Reading a configuration: one TOML file that holds no secret, and over it the environment.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::de::DeserializeOwned;

/// The configuration cannot be read, or contradicts itself.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or parsed.
    #[error("read the configuration {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The mistake and its place.
        reason: String,
    },
    /// A variable of the environment sets a key that it may not set.
    #[error("the environment has {name}, which sets no key; the variables that set one are {known}")]
    Variable {
        /// Name of the variable.
        name: String,
        /// The names that are known.
        known: String,
    },
    /// Two keys contradict each other.
    #[error("configuration: {0}")]
    Relation(String),
}

/// Reads a TOML file, and over it the environment: `SEALPROVE_NATS__URL` is `nats.url`.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let failed = |reason: String| ConfigError::Read { path: path.to_owned(), reason };
    if !path.is_file() {
        return Err(failed("no such file".to_owned()));
    }
    if let Some(name) = unknown_variable() {
        let known: Vec<_> = OVERRIDES.iter().map(|key| variable(key)).collect();
        return Err(ConfigError::Variable { name, known: known.join(", ") });
    }
    let environment = Env::prefixed("SEALPROVE_").split("__").only(&OVERRIDES);
    let merged = Figment::new().merge(Toml::file_exact(path)).merge(environment);
    merged.extract().map_err(|error| failed(error.to_string()))
}

/// The keys that the environment may set.
const OVERRIDES: [&str; 8] = [
    "nats.url",
    "nats.credentials",
    "nats.nkey",
    "nats.inbox_prefix",
    "service.slots",
    "service.threads",
    "service.grace",
    "admin.listen",
];

/// Returns the variable that sets a key.
fn variable(key: &str) -> String {
    format!("SEALPROVE_{}", key.replace('.', "__").to_uppercase())
}

/// Finds a variable that has the form of a key's variable and sets no key, such as one with a typing error.
fn unknown_variable() -> Option<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut ours = names.filter(|name| name.starts_with("SEALPROVE_") && name.contains("__"));
    ours.find(|name| !OVERRIDES.iter().any(|key| variable(key).eq_ignore_ascii_case(name)))
}
