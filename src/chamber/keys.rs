//! The private keys, in pages of their own: private, locked in memory, kept out of dumps.
//!
//! A forked job process has its own copy of these pages, so it can wipe and unmap them without touching the chamber's. A
//! job process could not do that with pages that all processes share.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::error::ChamberError;
use super::stack;
use crate::frame::ReadyKey;
use crate::protocol::{KeyId, Scheme, key_id, public_key};
use crate::secret::PrivateKey;

/// Extension of the file that records a destroyed key.
const DESTROYED: &str = "destroyed";

/// The private keys of the deployment, by id.
pub(super) struct LockedKeys {
    pages: NonNull<u8>,
    bytes: usize,
    ready: Vec<ReadyKey>,
    destroyed: Vec<KeyId>,
}

impl LockedKeys {
    /// Reads every `<id>.<scheme>` file of a folder, 32 raw bytes each, straight into locked pages.
    ///
    /// Every public key is derived once, to compare its id with the name of the file. The stack that this leaves behind is
    /// wiped.
    pub(super) fn load(folder: &Path) -> Result<Self, ChamberError> {
        let loaded = Self::load_below(folder);
        stack::wipe_below();
        loaded
    }

    // A frame of its own, which lies below the caller's and is wiped there.
    #[inline(never)]
    fn load_below(folder: &Path) -> Result<Self, ChamberError> {
        let KeyFiles { private, destroyed } = KeyFiles::list(folder)?;
        let mut keys = Self::map(private.len() * PrivateKey::BYTES)?;
        keys.destroyed = destroyed;
        for (scheme, path) in private {
            let id = keys.read_into(keys.ready.len(), scheme, &path)?;
            keys.ready.push(ReadyKey { id, scheme });
        }
        Ok(keys)
    }

    fn map(bytes: usize) -> Result<Self, ChamberError> {
        let failed = |source: rustix::io::Errno| ChamberError::Os {
            step: "map pages for the keys",
            source: source.into(),
        };
        // SAFETY: a new anonymous mapping, which no other code refers to.
        let pages = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        let pages = pages.map_err(failed)?.cast::<u8>();
        let pages = NonNull::new(pages).ok_or(failed(rustix::io::Errno::NOMEM))?;
        // SAFETY: the range was just mapped.
        unsafe {
            rustix::mm::mlock(pages.as_ptr().cast(), bytes).map_err(failed)?;
            rustix::mm::madvise(pages.as_ptr().cast(), bytes, Advice::LinuxDontDump).map_err(failed)?;
        }
        Ok(LockedKeys { pages, bytes, ready: Vec::new(), destroyed: Vec::new() })
    }

    fn slot(&self, index: usize) -> &[u8; PrivateKey::BYTES] {
        let offset = index * PrivateKey::BYTES;
        assert!(offset + PrivateKey::BYTES <= self.bytes, "a key lies in its pages");
        // SAFETY: inside the mapping, which lives as long as `self`. Any bytes are a valid array.
        unsafe { &*self.pages.as_ptr().add(offset).cast() }
    }

    fn slot_mut(&mut self, index: usize) -> &mut [u8; PrivateKey::BYTES] {
        let offset = index * PrivateKey::BYTES;
        assert!(offset + PrivateKey::BYTES <= self.bytes, "a key lies in its pages");
        // SAFETY: as in `slot`, and `self` is borrowed mutably.
        unsafe { &mut *self.pages.as_ptr().add(offset).cast() }
    }

    /// Reads one file without a buffer in between, which would be one more copy of the key. Returns the key's id.
    fn read_into(&mut self, index: usize, scheme: Scheme, path: &Path) -> Result<KeyId, ChamberError> {
        let refuse = |reason: String| ChamberError::Keys { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => refuse(
                "this user may not read it; give it to the service's group and to no other (chgrp, chmod 0640)"
                    .to_owned(),
            ),
            _ => refuse(error.to_string()),
        })?;
        let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
        if is_readable_by_others(&metadata.permissions()) {
            return Err(refuse(
                "others can read it; run chmod o-rwx on it, and consider it disclosed".to_owned(),
            ));
        }
        if metadata.len() != PrivateKey::BYTES as u64 {
            return Err(refuse(format!(
                "expected {} raw bytes; make keys with `sealprove keys new`",
                PrivateKey::BYTES
            )));
        }
        file.read_exact(self.slot_mut(index)).map_err(|error| refuse(error.to_string()))?;
        let id = self.with_copy(index, |private| key_id(scheme, &public_key(scheme, private)));
        if path.file_stem() != Some(OsStr::new(id.as_str())) {
            return Err(refuse(format!("it holds the key {id}, which is not its name; rename it")));
        }
        Ok(id)
    }

    /// Lends a copy of a key, which is wiped afterwards.
    fn with_copy<T>(&self, index: usize, read: impl FnOnce(&PrivateKey) -> T) -> T {
        let filled = PrivateKey::fill(|key| {
            key.copy_from_slice(self.slot(index));
            Ok::<_, std::convert::Infallible>(())
        });
        let Ok(private) = filled;
        read(&private)
    }

    /// Returns the keys that seals can be opened with.
    pub(super) fn ready(&self) -> Vec<ReadyKey> {
        self.ready.clone()
    }

    /// Returns the keys that were destroyed.
    pub(super) fn destroyed(&self) -> &[KeyId] {
        &self.destroyed
    }

    /// Lends a key and its scheme to `read`. Returns `None` if the chamber does not have the key.
    pub(super) fn with<T>(&self, id: &KeyId, read: impl FnOnce(Scheme, &PrivateKey) -> T) -> Option<T> {
        let index = self.ready.iter().position(|key| key.id == *id)?;
        Some(self.with_copy(index, |private| read(self.ready[index].scheme, private)))
    }

    /// Wipes and unmaps this process's copy of the keys.
    ///
    /// # Safety
    /// No other method may be called afterwards. A forked job process calls this once and never reads the pages again.
    pub(super) unsafe fn forget(&self) {
        for offset in 0..self.bytes {
            // SAFETY: inside the mapping. Volatile, so the compiler may not leave the write out.
            unsafe { self.pages.as_ptr().add(offset).write_volatile(0) };
        }
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        // Best effort: the pages are wiped already.
        // SAFETY: it is the whole mapping, which is never read again.
        let _ = unsafe { rustix::mm::munmap(self.pages.as_ptr().cast(), self.bytes) };
    }
}

/// The files of a folder of keys.
struct KeyFiles {
    /// Files of private keys, by name.
    private: Vec<(Scheme, PathBuf)>,
    /// Keys whose private half is gone. `sealprove keys destroy` leaves a file `<id>.destroyed`.
    destroyed: Vec<KeyId>,
}

impl KeyFiles {
    fn list(folder: &Path) -> Result<Self, ChamberError> {
        let refuse = |reason: String| ChamberError::Keys { path: folder.to_owned(), reason };
        let entries = std::fs::read_dir(folder).map_err(|error| refuse(error.to_string()))?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse(error.to_string()))?;
        paths.sort();
        let mut files = KeyFiles { private: Vec::new(), destroyed: Vec::new() };
        for path in paths {
            let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            if let Ok(scheme) = extension.parse() {
                files.private.push((scheme, path));
            } else if extension == DESTROYED {
                let id = path.file_stem().and_then(OsStr::to_str).and_then(|id| id.parse().ok());
                files.destroyed.extend(id);
            }
        }
        // A destruction may have been interrupted: a key that is recorded as destroyed is not used, even if its private
        // half is still there.
        files.private.retain(|(_, path)| {
            let id = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            !files.destroyed.iter().any(|destroyed| destroyed.as_str() == id)
        });
        match files.private[..] {
            [] => {
                Err(refuse("no *.xwing and no *.x25519 file; make keys with `sealprove keys new`".to_owned()))
            }
            _ => Ok(files),
        }
    }
}

fn is_readable_by_others(permissions: &Permissions) -> bool {
    permissions.mode() & 0o007 != 0
}
