//! Whether keys or bundle have changed on disk. A service that has locked itself cannot look; the launcher can,
//! and looks at names, sizes and times alone. It does so every other second rather than have the kernel tell: a
//! mounted Secret changes by a symbolic link, a network file system tells nobody.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);
/// The largest bundle, in bytes.
const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What changes while a service runs.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The folder of private keys.
    pub keys: PathBuf,
    /// The signed bundle.
    pub bundle: PathBuf,
}

/// What has changed: one byte to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The folder of keys: the next chamber has others.
    Keys,
    /// The bundle: its bytes lie where [`Launcher::bundle`](super::Launcher::bundle) says.
    Bundle,
}

impl Notice {
    /// The byte that says it.
    pub fn to_byte(self) -> u8 {
        match self {
            Notice::Keys => b'k',
            Notice::Bundle => b'b',
        }
    }

    /// Reads the byte; `None` where it is not one.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Notice::Keys, Notice::Bundle].into_iter().find(|notice| notice.to_byte() == byte)
    }
}

/// Looks from time to time.
pub(super) struct Changes {
    watched: Watched,
    /// Where a changed bundle is laid for the service.
    laid: PathBuf,
    keys: Seen,
    bundle: Seen,
    next_look: Instant,
}

impl Changes {
    pub(super) fn of(watched: Watched, laid: PathBuf) -> Self {
        let keys = Seen::new(look_into(&watched.keys));
        // What the service has read may have changed since: the first look always tells.
        let bundle = Seen { told: Vec::new(), ..Seen::new(look_at(&watched.bundle)) };
        Changes { watched, laid, keys, bundle, next_look: Instant::now() + LOOK }
    }

    /// How long it is until the next look.
    pub(super) fn left(&self) -> Duration {
        self.next_look.saturating_duration_since(Instant::now())
    }

    /// What has changed since the last look, if it is time for one.
    pub(super) fn look(&mut self) -> Vec<Notice> {
        if !self.left().is_zero() {
            return Vec::new();
        }
        self.next_look = Instant::now() + LOOK;
        let mut notices = Vec::new();
        // The bundle first: keys that came with it are what it lists.
        if self.bundle.has_changed(look_at(&self.watched.bundle)) {
            match lay(&self.watched.bundle, &self.laid) {
                Ok(()) => notices.push(Notice::Bundle),
                Err(cause) => {
                    tracing::error!(%cause, "the changed bundle cannot be read");
                    self.bundle.told.clear();
                }
            }
        }
        if self.keys.has_changed(look_into(&self.watched.keys)) {
            notices.push(Notice::Keys);
        }
        notices
    }
}

/// What can be seen of a file without reading it; of a link, what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    name: OsString,
    file: (u64, u64),
    bytes: u64,
    changed: (i64, i64),
}

/// What was seen, and what of it the service knows.
struct Seen {
    told: Vec<Shape>,
    last: Vec<Shape>,
}

impl Seen {
    fn new(shapes: Vec<Shape>) -> Self {
        Seen { told: shapes.clone(), last: shapes }
    }

    /// Only what two looks have found alike: files that are just being written are not yet a change.
    fn has_changed(&mut self, now: Vec<Shape>) -> bool {
        let is_settled = self.last == now;
        self.last = now;
        let has_changed = is_settled && self.told != self.last;
        if has_changed {
            self.told.clone_from(&self.last);
        }
        has_changed
    }
}

/// The files of a folder that a chamber looks at; none, while it cannot be read. What is said of keys in JSON is
/// for bundles alone.
fn look_into(folder: &Path) -> Vec<Shape> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let looked_at = paths.filter(|path| path.extension().is_none_or(|extension| extension != "json"));
    let mut shapes: Vec<Shape> = looked_at.flat_map(|path| look_at(&path)).collect();
    shapes.sort_by(|one, two| one.name.cmp(&two.name));
    shapes
}

/// One file, if it is there.
fn look_at(path: &Path) -> Vec<Shape> {
    let shape = |metadata: std::fs::Metadata| Shape {
        name: path.as_os_str().to_owned(),
        file: (metadata.dev(), metadata.ino()),
        bytes: metadata.len(),
        changed: (metadata.mtime(), metadata.mtime_nsec()),
    };
    std::fs::metadata(path).map(shape).into_iter().collect()
}

/// Copies the bundle to where the service may read it: all of it, or nothing.
fn lay(bundle: &Path, laid: &Path) -> io::Result<()> {
    if std::fs::metadata(bundle)?.len() > BUNDLE_BYTES_MAX {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    let half = laid.with_extension("half");
    std::fs::copy(bundle, &half)?;
    std::fs::rename(half, laid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(bytes: u64) -> Vec<Shape> {
        vec![Shape { name: "a".into(), file: (1, 2), bytes, changed: (3, 4) }]
    }

    #[test]
    fn a_change_is_told_once_and_only_when_it_has_settled() {
        let mut seen = Seen::new(shape(1));
        let looks = [1, 2, 3, 3, 3, 1, 1].map(|bytes| seen.has_changed(shape(bytes)));
        assert_eq!(looks, [false, false, false, true, false, false, true]);
    }

    #[test]
    fn a_folder_under_a_link_that_is_turned_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for version in ["one", "two"] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("key"), version).unwrap();
        }
        std::os::unix::fs::symlink("one", path("data")).unwrap();
        std::fs::create_dir(path("keys")).unwrap();
        std::os::unix::fs::symlink("../data/key", path("keys").join("key")).unwrap();
        let before = look_into(&path("keys"));
        assert_eq!(look_into(&path("keys")), before);
        std::os::unix::fs::symlink("two", path("next")).unwrap();
        std::fs::rename(path("next"), path("data")).unwrap();
        let after = look_into(&path("keys"));
        assert_ne!(after, before);
        std::fs::write(path("keys").join("key.json"), "{}").unwrap();
        assert_eq!(look_into(&path("keys")), after);
    }
}
