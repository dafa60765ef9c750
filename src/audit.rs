//! The audit log: one line of JSON for each job at its end, and for each event that an investigation needs: keys,
//! bundles, chambers, start and stop. A line holds what the broker can learn of a job, durations and sizes; never a witness
//! or an answer.
//!
//! The lines of one start of a service are a chain: each has the SHA-256 of the line before. To change, remove, insert or
//! reorder one, all later lines must be written again. [`verify`] detects it.
//!
//! Lines, chains and the check are pure. [`log`] writes them from a thread of its own, so that no answer waits for a disk.

mod line;

mod chain;

pub mod verify;

#[cfg(feature = "service")]
mod sink;

#[cfg(feature = "service")]
pub mod log;

pub use chain::Chain;
pub use line::{BundleServed, ChamberReady, Event, JobEnd, Key, Line, SettledBy, Start, VERSION};
#[cfg(feature = "service")]
pub use sink::{Sink, SinkError};
