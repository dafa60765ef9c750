//! Attempts at a core dump: a process is made to crash where the system would write its memory to a file.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, Signal};

use super::scan::{Scan, Scanner};
use crate::kit::{gone, kill};

/// First bytes of a core file.
const ELF: &[u8] = b"\x7fELF";

/// Lets whatever is started from here on dump as much as it likes.
pub(crate) fn allow() -> std::io::Result<()> {
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: None, maximum: None })?)
}

/// Returns the place of cores on this machine, if it is not the folder of the process.
pub(crate) fn elsewhere() -> Option<String> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim().to_owned();
    (pattern.starts_with('|') || pattern.contains('/')).then_some(pattern)
}

/// Has a process crash, stopped or not, and looks at every core file in its folder.
pub(crate) async fn attempt(pid: i32, folder: &Path, scanner: &Scanner) -> Scan {
    kill(pid, Signal::ABORT);
    kill(pid, Signal::CONT);
    gone(pid).await;
    let mut scan = Scan::default();
    for core in files(folder) {
        scanner.file(&mut scan, &core);
    }
    scan
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("read a folder").flatten().map(|entry| entry.path());
    let is_core = |path: &PathBuf| path.is_file() && fs::read(path).is_ok_and(|file| file.starts_with(ELF));
    entries.filter(is_core).collect()
}
