//! Watching keys and bundle for changes on disk, for a service that has locked itself and cannot look.
//!
//! It compares names, sizes and times, and opens no key. It does so every other second rather than by inotify(7): a mounted
//! Secret changes through a symbolic link, and a network file system reports no changes.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Interval between two checks.
const INTERVAL: Duration = Duration::from_secs(2);
/// Largest bundle, in bytes.
const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The files that are watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Folder of private keys.
    pub keys: PathBuf,
    /// Signed bundle.
    pub bundle: PathBuf,
}

/// A notice to the service that something has changed. It is one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The folder of keys has changed. The next chamber will have other keys.
    Keys,
    /// The bundle has changed. There is a copy at [`Launcher::bundle`](super::Launcher::bundle).
    Bundle,
}

impl Notice {
    /// Returns the byte of the notice.
    pub fn to_byte(self) -> u8 {
        match self {
            Notice::Keys => b'k',
            Notice::Bundle => b'b',
        }
    }

    /// Reads the byte of a notice. Returns `None` for any other.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Notice::Keys, Notice::Bundle].into_iter().find(|notice| notice.to_byte() == byte)
    }
}

/// A watcher that checks from time to time.
pub(super) struct ChangeWatcher {
    watched: Watched,
    /// Path of the bundle's copy that the service may read.
    copy_path: PathBuf,
    keys: Snapshots,
    bundle: Snapshots,
    next_check: Instant,
}

impl ChangeWatcher {
    pub(super) fn new(watched: Watched, copy_path: PathBuf) -> Self {
        let keys = Snapshots::new(folder(&watched.keys));
        // The service read the bundle before this process started, so the first check always reports it.
        let bundle = Snapshots { reported: Vec::new(), latest: file(&watched.bundle) };
        ChangeWatcher { watched, copy_path, keys, bundle, next_check: Instant::now() + INTERVAL }
    }

    /// Returns the time until the next check.
    pub(super) fn time_left(&self) -> Duration {
        self.next_check.saturating_duration_since(Instant::now())
    }

    /// Checks, if it is time. Returns what has changed.
    pub(super) fn check(&mut self) -> Vec<Notice> {
        if !self.time_left().is_zero() {
            return Vec::new();
        }
        self.next_check = Instant::now() + INTERVAL;
        let mut notices = Vec::new();
        // The bundle first: it may list keys that have come with it.
        if self.bundle.has_changed(file(&self.watched.bundle)) {
            match publish_copy(&self.watched.bundle, &self.copy_path) {
                Ok(()) => notices.push(Notice::Bundle),
                Err(cause) => {
                    let path = self.watched.bundle.display();
                    tracing::error!(%path, %cause, "the changed bundle cannot be read; it is tried again");
                    self.bundle.reported.clear();
                }
            }
        }
        if self.keys.has_changed(folder(&self.watched.keys)) {
            notices.push(Notice::Keys);
        }
        notices
    }
}

/// The properties of a file that can be read without opening it. For a link, those of its target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    name: OsString,
    /// Device and inode.
    inode: (u64, u64),
    bytes: u64,
    /// Time of the last modification, in seconds and nanoseconds.
    modified: (i64, i64),
}

/// Two snapshots of the same files: the one that was reported, and the latest.
struct Snapshots {
    reported: Vec<Fingerprint>,
    latest: Vec<Fingerprint>,
}

impl Snapshots {
    fn new(snapshot: Vec<Fingerprint>) -> Self {
        Snapshots { reported: snapshot.clone(), latest: snapshot }
    }

    /// Takes a new snapshot. Returns whether there is a change to report: one that two snapshots in a row agree on, since
    /// files may be half written.
    fn has_changed(&mut self, now: Vec<Fingerprint>) -> bool {
        let is_settled = self.latest == now;
        self.latest = now;
        let has_changed = is_settled && self.reported != self.latest;
        if has_changed {
            self.reported.clone_from(&self.latest);
        }
        has_changed
    }
}

/// Takes a snapshot of a folder of keys. A folder that cannot be read is empty. JSON files are left out: they describe keys
/// to the operator's commands, and no chamber reads them.
fn folder(path: &Path) -> Vec<Fingerprint> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut snapshot: Vec<Fingerprint> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "json"))
        .flat_map(|path| file(&path))
        .collect();
    snapshot.sort_by(|one, two| one.name.cmp(&two.name));
    snapshot
}

/// Takes a snapshot of one file. It is empty if the file is absent.
fn file(path: &Path) -> Vec<Fingerprint> {
    let Ok(metadata) = std::fs::metadata(path) else { return Vec::new() };
    vec![Fingerprint {
        name: path.as_os_str().to_owned(),
        inode: (metadata.dev(), metadata.ino()),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    }]
}

/// Copies the bundle to a path that the service may read. The copy appears whole, by a rename, or not at all.
fn publish_copy(bundle: &Path, copy_path: &Path) -> io::Result<()> {
    if std::fs::metadata(bundle)?.len() > BUNDLE_BYTES_MAX {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    let unfinished = copy_path.with_extension("unfinished");
    std::fs::copy(bundle, &unfinished)?;
    std::fs::rename(unfinished, copy_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(bytes: u64) -> Vec<Fingerprint> {
        vec![Fingerprint { name: "a".into(), inode: (1, 2), bytes, modified: (3, 4) }]
    }

    #[test]
    fn a_change_is_reported_once_and_only_when_it_has_settled() {
        let mut snapshots = Snapshots::new(snapshot(1));
        let changes = [1, 2, 3, 3, 3, 1, 1].map(|bytes| snapshots.has_changed(snapshot(bytes)));
        assert_eq!(changes, [false, false, false, true, false, false, true]);
    }

    #[test]
    fn a_folder_changes_when_a_link_is_moved_to_another_target() {
        let mounted = tempfile::tempdir().unwrap();
        let path = |name: &str| mounted.path().join(name);
        for version in ["one", "two"] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("key"), version).unwrap();
        }
        std::os::unix::fs::symlink("one", path("data")).unwrap();
        std::fs::create_dir(path("keys")).unwrap();
        std::os::unix::fs::symlink("../data/key", path("keys").join("key")).unwrap();
        let before = folder(&path("keys"));
        assert_eq!(folder(&path("keys")), before);
        std::os::unix::fs::symlink("two", path("next")).unwrap();
        std::fs::rename(path("next"), path("data")).unwrap();
        let after = folder(&path("keys"));
        assert_ne!(after, before);
        std::fs::write(path("keys").join("key.json"), "{}").unwrap();
        assert_eq!(folder(&path("keys")), after);
    }
}
