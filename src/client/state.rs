//! The state that a client keeps between runs: the last verified bundle of each identity.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::ClientConfig;
use crate::protocol::{Identity, SignedBundle, UnixSeconds};

/// The state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{step} {path}")]
pub struct StateError {
    step: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A folder of bundles, or nothing where there is no home to put it.
#[derive(Debug, Clone)]
pub struct State {
    folder: Option<PathBuf>,
}

impl State {
    /// Uses the configured folder, else `$XDG_STATE_HOME/sealprove`, else `~/.local/state/sealprove`.
    pub fn new(config: &ClientConfig) -> Self {
        State { folder: config.state.clone().or_else(Self::default_folder) }
    }

    /// Returns the default state folder.
    pub fn default_folder() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")))?;
        Some(folder.join("sealprove"))
    }

    /// Reads the kept bundle of an identity.
    pub(super) fn bundle(&self, identity: Identity) -> Result<Option<SignedBundle>, StateError> {
        let Some(path) = self.path(identity) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => SignedBundle::from_json(&bytes).map(Some).map_err(|_| {
                let source = io::Error::other(
                    "it is not a bundle, and without it an older one could be accepted: restore it, or remove it \
                     if you know the newest serial",
                );
                StateError { step: "read the kept bundle", path, source }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError { step: "read the kept bundle", path, source }),
        }
    }

    /// Keeps a verified bundle in place of the one before, unless another process has kept a newer one.
    pub(super) fn keep_bundle(
        &self,
        identity: Identity,
        signed: &SignedBundle,
        serial: u64,
    ) -> Result<(), StateError> {
        let (Some(folder), Some(path)) = (&self.folder, self.path(identity)) else { return Ok(()) };
        let failed = |source| StateError { step: "keep the bundle in", path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let kept = self.bundle(identity)?.and_then(|kept| kept.verify(identity, UnixSeconds(0), 0).ok());
        if kept.is_some_and(|kept| kept.serial > serial) {
            return Ok(());
        }
        replace_file(&path, &signed.to_json()).map_err(failed)
    }

    fn path(&self, identity: Identity) -> Option<PathBuf> {
        let name = hex::encode(&Sha256::digest(identity.to_string())[..8]);
        Some(self.folder.as_ref()?.join(format!("bundle-{name}.json")))
    }
}

/// Replaces a file at once: a reader or a crash finds the old contents or the new, never a part. The caller holds the
/// folder's lock, so the file beside it has one writer.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Bundle, IdentityKey, VERSION};

    fn signed(key: &IdentityKey, serial: u64) -> SignedBundle {
        let bundle = Bundle {
            version: VERSION.to_owned(),
            deployment: "lab".parse().unwrap(),
            identity: key.identity(),
            serial,
            issued_at: UnixSeconds(0),
            expires_at: UnixSeconds(u64::MAX / 2),
            keys: Vec::new(),
            circuits: Vec::new(),
        };
        bundle.sign(key)
    }

    #[test]
    fn an_older_bundle_never_replaces_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let state = State { folder: Some(folder.path().join("state")) };
        let key = IdentityKey::from_bytes(&[7; 32]);
        let kept = || state.bundle(key.identity()).unwrap().unwrap().read_unverified().unwrap().serial;
        for (serial, expected) in [(5, 5), (7, 7), (6, 7), (8, 8)] {
            state.keep_bundle(key.identity(), &signed(&key, serial), serial).unwrap();
            assert_eq!(kept(), expected);
        }
    }

    #[test]
    fn a_kept_bundle_that_cannot_be_read_does_not_let_an_older_one_in() {
        let folder = tempfile::tempdir().unwrap();
        let state = State { folder: Some(folder.path().to_owned()) };
        let identity = IdentityKey::from_bytes(&[7; 32]).identity();
        assert!(state.bundle(identity).unwrap().is_none());
        std::fs::write(state.path(identity).unwrap(), "").unwrap();
        assert!(state.bundle(identity).is_err());
    }
}
