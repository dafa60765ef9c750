//! The error of a lock that does not close.

/// A lock that does not close.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// System calls cannot be filtered.
    #[error(
        "filter system calls (seccomp): {0}; use a kernel and a container that allow it, or set `sandbox = \"off\"` in \
         [service] to run without a sandbox"
    )]
    Calls(String),
    /// Files cannot be restricted.
    #[error("restrict files (Landlock): {0}")]
    Files(String),
}
