//! A small disk for one broker, so that it can be full. Mounting it needs root, if only in a user
//! namespace.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Trouble;

/// Room for a run's streams.
const SIZE: &str = "size=256m";

/// A mounted disk; unmounted when this is dropped.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one at `folder`.
    pub(crate) fn mount(folder: &Path) -> Result<Self, Trouble> {
        std::fs::create_dir(folder)?;
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder).output()?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).trim().into());
        }
        Ok(SmallDisk { folder: folder.to_owned() })
    }

    /// Returns the folder in which a broker keeps its store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Leaves no byte of room.
    pub(crate) fn fill(&self) -> Result<(), Trouble> {
        let mut ballast = std::fs::File::create(self.ballast())?;
        match std::io::copy(&mut std::io::repeat(0), &mut ballast) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err("a disk without end".into()),
        }
    }

    pub(crate) fn free(&self) -> Result<(), Trouble> {
        Ok(std::fs::remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).output();
    }
}
