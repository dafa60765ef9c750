//! The locks: what a process may still do once it has begun to deal with strangers.
//!
//! | who | files (Landlock) | system calls (seccomp) |
//! |---|---|---|
//! | service | reads what it must, and not the keys; writes none but its audit log; signals nobody | starts no process, reaches none, changes no file's mode |
//! | chamber | none | an allow-list: accept, fork, watch, kill, reap |
//! | job, before its seal is open | none; signals nobody outside | an allow-list: memory that its ceiling counts, its own connection |
//! | job, after | none | the same without a way to change the list |
//!
//! A lock cannot be taken off, and what a locked process starts has it too. Landlock is taken where the
//! kernel has it; without seccomp nothing starts, unless the operator has said `sandbox = "off"`.
//!
//! A forbidden system call ends the process with SIGSYS. Sources: seccomp(2), landlock(7).

pub(crate) mod attempts;
mod calls;
mod files;

use crate::frame::Locks;
pub use files::Readable;

/// A lock does not close.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// System calls cannot be filtered.
    #[error(
        "filter system calls (seccomp): {0}; a kernel or a container that forbids it is no place for secrets, \
         and `sandbox = \"off\"` in [service] says that you mean to run without"
    )]
    Calls(String),
    /// Files cannot be held.
    #[error("hold files (Landlock): {0}")]
    Files(String),
}

/// Locks the service, which has one thread yet. Its files are those of `readable`.
///
/// # Errors
/// When the kernel has no seccomp.
pub fn lock_service(readable: &Readable) -> Result<Locks, LockError> {
    let files = files::allow(readable)?;
    calls::filter(calls::Role::Service)?;
    Ok(Locks { calls: true, files })
}

/// Locks a chamber, which has one thread. Its jobs inherit it.
///
/// # Errors
/// When the kernel has no seccomp.
pub(crate) fn lock_chamber() -> Result<Locks, LockError> {
    let files = files::allow_none()?;
    calls::filter(calls::Role::Chamber)?;
    Ok(Locks { calls: true, files })
}

/// Puts a job process into a domain of its own, before it has threads: it can signal and trace neither its
/// chamber nor its siblings.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(crate) fn part_job() -> Result<(), LockError> {
    files::allow_none().map(drop)
}

/// Locks a job process with all its threads, before it reads a byte.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn lock_sealed_job() -> Result<(), LockError> {
    calls::filter(calls::Role::SealedJob)
}

/// Locks it again once its seal is open and its keys are gone, before it looks at its witness.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn lock_open_job() -> Result<(), LockError> {
    calls::filter(calls::Role::OpenJob)
}
