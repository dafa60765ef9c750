//! The folder of recipient keys. For each key it holds:
//!
//! ```text
//! <id>.<scheme>     the private half, 32 raw bytes, mode 0600: only the chamber reads it
//! <id>.json         the public half, as the bundle lists it; all that `bundle sign` needs
//! <id>.destroyed    in place of both, once the private half is destroyed
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::keyring::{KeyRecord, Keyring, KeyringError, Life};
use crate::private_file;
use crate::protocol::{KeyId, Scheme, generate_key};
use crate::secret::PrivateKey;

/// The folder of keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFolderError {
    /// The folder cannot be listed.
    #[error("read the keys in {folder}")]
    List {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder cannot be created.
    #[error("create the folder of keys {folder}")]
    Create {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("{step} {path}")]
    File {
        /// The step that failed.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file does not describe a key.
    #[error("{0} does not describe a key as `sealprove keys new` writes it")]
    Malformed(PathBuf),
    /// A key cannot be removed from the folder.
    #[error("destroy the key {id} in {folder}")]
    Destroy {
        /// The key.
        id: KeyId,
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The change would strand jobs or clients.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// A new key pair, not yet written.
pub struct NewKey {
    private: PrivateKey,
    record: KeyRecord,
}

impl NewKey {
    /// Generates a key pair.
    ///
    /// # Panics
    /// When the operating system has no randomness.
    pub fn generate(scheme: Scheme, life: Life) -> Self {
        let (private, public) = generate_key(scheme);
        NewKey { private, record: KeyRecord::new(scheme, public, life) }
    }

    /// The record of the public half.
    pub fn record(&self) -> &KeyRecord {
        &self.record
    }
}

/// A folder of keys.
pub struct KeyFolder<'a>(&'a Path);

impl<'a> KeyFolder<'a> {
    /// Names a folder, which need not exist.
    pub fn new(folder: &'a Path) -> Self {
        KeyFolder(folder)
    }

    /// Reads the keys, but no private half.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn read(&self) -> Result<Keyring, KeyFolderError> {
        let mut records: Vec<KeyRecord> = Vec::new();
        for path in self.files().map_err(|source| KeyFolderError::List { folder: self.0.into(), source })? {
            if path.extension().is_some_and(|extension| extension == "json" || extension == "destroyed") {
                records.push(read_record(&path)?);
            }
        }
        // An interrupted destruction leaves both files of a key. The key counts as destroyed.
        let destroyed: Vec<KeyId> = records
            .iter()
            .filter(|record| record.destroyed_at.is_some())
            .map(|record| record.key.id.clone())
            .collect();
        records.retain(|record| record.destroyed_at.is_some() || !destroyed.contains(&record.key.id));
        Ok(Keyring::new(records))
    }

    /// Writes both halves of new keys. Creates the folder if there is none.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add(&self, keys: &[NewKey]) -> Result<(), KeyFolderError> {
        std::fs::create_dir_all(self.0)
            .map_err(|source| KeyFolderError::Create { folder: self.0.into(), source })?;
        for NewKey { private, record } in keys {
            let path = self.private_file(record);
            private_file::write_new(&path, private.expose()).map_err(|source| KeyFolderError::File {
                step: "write the private key",
                path,
                source,
            })?;
            self.update(record)?;
        }
        Ok(())
    }

    /// Writes the public half of a key.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn update(&self, record: &KeyRecord) -> Result<(), KeyFolderError> {
        write_record(self.public_file(&record.key.id), record)
    }

    /// Destroys the private half of a key, and marks the key as destroyed.
    ///
    /// # Errors
    /// When a file cannot be written or removed. The destruction can then be repeated.
    pub fn destroy(&self, record: &KeyRecord) -> Result<(), KeyFolderError> {
        let id = &record.key.id;
        // The mark comes first: at no time may a chamber find neither the key nor the mark, and answer that the key is
        // unknown.
        write_record(self.0.join(format!("{id}.destroyed")), record)?;
        self.remove(record).map_err(|source| KeyFolderError::Destroy {
            id: id.clone(),
            folder: self.0.into(),
            source,
        })
    }

    fn remove(&self, record: &KeyRecord) -> io::Result<()> {
        overwrite_and_remove(&self.private_file(record))?;
        match std::fs::remove_file(self.public_file(&record.key.id)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::open(self.0)?.sync_all()
    }

    /// Returns whether a destroyed key still has files here, as after an interrupted destruction.
    pub fn has_remains(&self, id: &KeyId) -> bool {
        let private = Scheme::ALL.map(|scheme| self.0.join(format!("{id}.{}", scheme.as_str())));
        private.iter().any(|path| path.exists()) || self.public_file(id).exists()
    }

    /// Returns the path of a key's private half.
    pub fn private_file(&self, record: &KeyRecord) -> PathBuf {
        self.0.join(format!("{}.{}", record.key.id, record.key.scheme.as_str()))
    }

    fn public_file(&self, id: &KeyId) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(self.0)?.map(|entry| Ok(entry?.path())).collect()
    }
}

fn read_record(path: &Path) -> Result<KeyRecord, KeyFolderError> {
    let bytes = std::fs::read(path).map_err(|source| KeyFolderError::File {
        step: "read the public key",
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|_| KeyFolderError::Malformed(path.to_owned()))
}

fn write_record(path: PathBuf, record: &KeyRecord) -> Result<(), KeyFolderError> {
    let written = serde_json::to_vec_pretty(record).map_err(io::Error::from);
    let written = written.and_then(|json| std::fs::write(&path, json));
    written.map_err(|source| KeyFolderError::File { step: "write the public key", path, source })
}

/// Overwrites a private key before it removes it. A file system that copies on write, or a disk that moves its blocks,
/// keeps the old bytes all the same; docs/KEYS.md tells the operator.
fn overwrite_and_remove(path: &Path) -> io::Result<()> {
    match File::options().write(true).open(path) {
        Ok(mut file) => {
            let bytes = file.metadata()?.len();
            file.write_all(&vec![0; usize::try_from(bytes).unwrap_or(0)])?;
            file.sync_all()?;
            std::fs::remove_file(path)
        }
        // The private half was never in this folder, or is already gone.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::operator::keyring::KeyState;
    use crate::protocol::UnixSeconds;

    #[test]
    fn a_destruction_that_was_interrupted_counts_and_can_be_finished() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = KeyFolder::new(temporary.path());
        let (now, day) = (UnixSeconds(1_800_000_000), Duration::from_secs(86_400));
        let life = Life { seal_from: now, seal_for: day, bundles_for: day };
        let key = NewKey::generate(Scheme::X25519, life);
        let id = key.record().key.id.clone();
        folder.add(&[key]).unwrap();

        let destroyed = folder.read().unwrap().destroy(&id, true, now).unwrap();
        write_record(temporary.path().join(format!("{id}.destroyed")), &destroyed).unwrap();
        assert_eq!(folder.read().unwrap().records()[0].state(now), KeyState::Destroyed);
        assert!(folder.has_remains(&id));

        folder.destroy(&destroyed).unwrap();
        assert!(!folder.has_remains(&id));
        assert_eq!(folder.read().unwrap().records(), [destroyed]);
    }
}
