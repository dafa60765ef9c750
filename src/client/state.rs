//! What a client keeps between runs: the last verified bundle of each identity.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::bundle::{Identity, SignedBundle};
use crate::config::ClientConfig;

/// What was kept cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{step} {path}")]
pub struct StateError {
    step: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// A folder of bundles; none, where there is no home to put it.
#[derive(Debug, Clone)]
pub struct State {
    folder: Option<PathBuf>,
}

impl State {
    /// The configured folder, else `$XDG_STATE_HOME/sealprove`, else `~/.local/state/sealprove`.
    pub fn of(config: &ClientConfig) -> Self {
        State { folder: config.state.clone().or_else(Self::default_folder) }
    }

    /// Where a client keeps things that is not told otherwise.
    pub fn default_folder() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || variable("HOME").map(|home| home.join(".local").join("state"));
        Some(variable("XDG_STATE_HOME").or_else(home)?.join("sealprove"))
    }

    /// The kept bundle of an identity.
    pub(super) fn bundle(&self, identity: Identity) -> Result<Option<SignedBundle>, StateError> {
        let Some(path) = self.path(identity) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => Ok(SignedBundle::from_json(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError { step: "read the kept bundle", path, source }),
        }
    }

    /// Keeps a verified bundle, in place of the one before.
    pub(super) fn keep_bundle(&self, identity: Identity, signed: &SignedBundle) -> Result<(), StateError> {
        let (Some(folder), Some(path)) = (&self.folder, self.path(identity)) else { return Ok(()) };
        let failed = |source| StateError { step: "keep the bundle in", path: path.clone(), source };
        write_whole(folder, &path, &signed.to_json()).map_err(failed)
    }

    fn path(&self, identity: Identity) -> Option<PathBuf> {
        let name = hex::encode(&Sha256::digest(identity.to_string())[..8]);
        Some(self.folder.as_ref()?.join(format!("bundle-{name}.json")))
    }
}

/// A file is the old one or the new one, never half of it.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
