//! Attempts of a service under an attacker's control, and how its lock ends each.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::kit::rogue;

/// Acts that a service needs.
const NEEDED: &[&str] =
    &["start a thread", "connect to a broker", "find a host by its name", "read the system's authorities"];

/// Acts that the kernel refuses it (Landlock).
const REFUSED: &[&str] = &[
    "read a key",
    "read a key by a link",
    "read a key by another way",
    "list the keys",
    "give a key another name",
    "move a key",
    "remove a key",
    "write over a key",
    "write a file",
    "make a folder",
    "read the password file",
    "open a process's memory",
    "look at a process's files",
];

/// Acts that end it (seccomp).
const FORBIDDEN: &[&str] = &[
    "let others read a key",
    "give a key away",
    "mark a key",
    "open a file by its handle",
    "mount a file system",
    "mount by the new calls",
    "change its root",
    "start a program",
    "start a program as a child",
    "start a program from memory",
    "start a process",
    "have a namespace of its own",
    "start a process with a namespace",
    "trace a process",
    "read a process's memory",
    "take a process's descriptor",
    "signal a process",
    "signal a process's thread",
    "signal every process",
    "limit a process",
    "make a process less urgent",
    "ask by a ring",
    "load a program into the kernel",
    "count events of the processor",
    "handle page faults",
    "set the clock",
    #[cfg(target_arch = "x86_64")]
    "start a program by x32",
    #[cfg(target_arch = "x86_64")]
    "trace a process by x32",
];

/// Returns the end of a locked service that tries this one thing.
fn outcome_of(attempt: &str, keys: &Path) -> String {
    let output = Command::new(rogue()).arg("locked").arg(keys).arg(attempt).output().unwrap();
    match output.status.signal() {
        Some(libc::SIGSYS) => "killed".to_owned(),
        _ if output.status.success() => String::from_utf8(output.stdout).unwrap().trim().to_owned(),
        _ => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn a_hostile_service_reaches_neither_keys_nor_programs_nor_processes() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    let key = keys.join("key.x25519");
    fs::write(&key, b"secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&key, folder.path().join("link")).unwrap();

    let mut wrong = Vec::new();
    let tables = [(NEEDED, "done"), (REFUSED, "refused: "), (FORBIDDEN, "killed")];
    for (attempts, wanted) in tables {
        for attempt in attempts {
            let outcome = outcome_of(attempt, &keys);
            println!("  {attempt:45} {outcome}");
            if !outcome.starts_with(wanted) {
                wrong.push((attempt, wanted, outcome));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(fs::read(&key).unwrap(), b"secret");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
