//! The locks: each process gives up what it does not need before it reads bytes from strangers.
//!
//! | process | files (Landlock) | system calls (seccomp) |
//! |---|---|---|
//! | service | reads what it must, but no key; writes its audit log; signals no process | starts no process, reaches none, changes no file's mode |
//! | chamber | none | an allow-list: accept, fork, watch, kill, reap |
//! | job, before its seal is open | none; signals no process outside | an allow-list: memory that its ceiling counts, its own connection |
//! | job, after | none | the same without a way to change the list |
//!
//! A lock cannot be taken off, and what a locked process starts inherits it. A forbidden system call ends the process
//! with SIGSYS. Landlock is used as far as the kernel has it. Without seccomp nothing starts, unless the operator
//! configures `sandbox = "off"`. No other module makes locks. Sources: seccomp(2), landlock(7).

mod error;

mod calls;
mod files;
pub(crate) mod forbidden;

pub use error::LockError;
pub use files::Readable;

use crate::frame::Locks;

/// Locks the service, which has one thread at this point. It may read the files of `readable`.
///
/// # Errors
/// When the kernel has no seccomp, or has Landlock and refuses.
pub fn lock_service(readable: &Readable) -> Result<Locks, LockError> {
    // Files first: the filter leaves no call to restrict them with.
    let files = files::allow(readable)?;
    calls::filter(calls::Role::Service)?;
    Ok(Locks { calls: true, files })
}

/// Locks a chamber, which has one thread. Its jobs inherit the locks.
///
/// # Errors
/// When the kernel has no seccomp, or has Landlock and refuses.
pub(crate) fn lock_chamber() -> Result<Locks, LockError> {
    let files = files::allow_none()?;
    calls::filter(calls::Role::Chamber)?;
    Ok(Locks { calls: true, files })
}

/// Puts a job process into a Landlock domain of its own, so that it can signal and trace neither its chamber nor its
/// siblings.
///
/// A domain holds for one thread and those that it starts, so this comes before the threads.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(crate) fn isolate_job() -> Result<(), LockError> {
    files::allow_none().map(drop)
}

/// Locks a job process with all its threads, before it reads a byte.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn lock_sealed_job() -> Result<(), LockError> {
    calls::filter(calls::Role::SealedJob)
}

/// Locks a job process again once its seal is open and its keys are wiped, before it reads its witness.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn lock_open_job() -> Result<(), LockError> {
    calls::filter(calls::Role::OpenJob)
}
