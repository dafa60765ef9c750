//! The chamber's socket, and the folder that the service made for it alone.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Where the socket is, or will be. It is cleared away when this is dropped: whoever made the folder may
/// have been killed.
pub(super) struct Socket(PathBuf);

impl Socket {
    pub(super) fn at(path: &Path) -> Self {
        Socket(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn bind(&self) -> std::io::Result<UnixListener> {
        UnixListener::bind(&self.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        clear(&self.0);
    }
}

/// Removes the socket and its folder. Best effort: the service may have been quicker, and a folder that
/// holds anything else stays.
pub(super) fn clear(socket: &Path) {
    let _ = std::fs::remove_file(socket);
    if let Some(folder) = socket.parent() {
        let _ = std::fs::remove_dir(folder);
    }
}
