//! What a client keeps between runs: the last verified bundle of each identity.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::ClientConfig;
use crate::protocol::{Identity, SignedBundle, UnixSeconds};

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
    pub fn new(config: &ClientConfig) -> Self {
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
            Ok(bytes) => SignedBundle::from_json(&bytes).map(Some).map_err(|_| {
                let source = std::io::Error::other(
                    "it is no bundle; without it an older one could be taken: restore it, or remove it if you can \
                     tell the newest serial",
                );
                StateError { step: "read the kept bundle", path, source }
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError { step: "read the kept bundle", path, source }),
        }
    }

    /// Keeps a verified bundle, in place of the one before, unless another process has kept a newer one.
    pub(super) fn keep_bundle(
        &self,
        identity: Identity,
        signed: &SignedBundle,
        serial: u64,
    ) -> Result<(), StateError> {
        let (Some(folder), Some(path)) = (&self.folder, self.path(identity)) else { return Ok(()) };
        let failed = |source| StateError { step: "keep the bundle in", path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = std::fs::File::create(folder.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let kept = self.bundle(identity)?.and_then(|kept| kept.verify(identity, UnixSeconds(0), 0).ok());
        if kept.is_some_and(|kept| kept.serial > serial) {
            return Ok(());
        }
        write_whole(folder, &path, &signed.to_json()).map_err(failed)
    }

    fn path(&self, identity: Identity) -> Option<PathBuf> {
        let name = hex::encode(&Sha256::digest(identity.to_string())[..8]);
        Some(self.folder.as_ref()?.join(format!("bundle-{name}.json")))
    }
}

/// A file is the old one or the new one, never half of it.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
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
    fn no_process_replaces_a_newer_bundle_by_an_older_one() {
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
    fn what_was_kept_and_cannot_be_read_is_no_reason_to_take_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let state = State { folder: Some(folder.path().to_owned()) };
        let identity = IdentityKey::from_bytes(&[7; 32]).identity();
        assert!(state.bundle(identity).unwrap().is_none());
        std::fs::write(state.path(identity).unwrap(), "").unwrap();
        assert!(state.bundle(identity).is_err());
    }
}
