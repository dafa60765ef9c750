//! The error of a chamber.

use std::path::PathBuf;

use crate::circuit::BuildError;
use crate::protocol::CircuitId;
use crate::sandbox::LockError;

/// The reason for which a chamber does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum ChamberError {
    /// A private key could not be loaded.
    #[error("load the private keys in {path}: {reason}")]
    Keys {
        /// File or folder.
        path: PathBuf,
        /// The fact, and the remedy.
        reason: String,
    },
    /// A circuit's keys could not be built.
    #[error("build the keys of {circuit}")]
    Build {
        /// The circuit.
        circuit: CircuitId,
        /// Error of the circuit.
        source: BuildError,
    },
    /// A circuit built other keys than it pins.
    #[error(
        "circuit {circuit} pins the verifying keys {pinned}, but built {built}; give a changed circuit a new name"
    )]
    Pinned {
        /// The circuit.
        circuit: CircuitId,
        /// Keys of its descriptor.
        pinned: String,
        /// Keys that were built.
        built: String,
    },
    /// The program has another allocator.
    #[error(
        "this program does not wipe the memory that it frees: declare `#[global_allocator] static ALLOCATOR: \
         sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;` in its main file"
    )]
    Allocator,
    /// The chamber cannot be locked.
    #[error("lock the chamber")]
    Lock(#[from] LockError),
    /// There are threads when it must fork.
    #[error("the chamber has {0} threads, and forks only with one")]
    Threads(u64),
    /// The operating system refused something.
    #[error("{step}")]
    Os {
        /// The step that failed.
        step: &'static str,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl ChamberError {
    pub(super) fn os(step: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| ChamberError::Os { step, source }
    }
}
