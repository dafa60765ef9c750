//! The chamber, driven as the service drives it: a real process, real sockets, and circuits that
//! misbehave (`tests/rogue`).

mod answers;
mod doors;
mod ends;
mod harness;
mod hostile;
mod inside;
mod locked;
mod memory;
mod refusals;
mod starts;
mod stops;

use std::path::Path;
use std::process::Command;

use harness::Chamber;

use crate::kit::rogue;

const CIRCUITS: [&str; 15] = [
    "aborts-v1",
    "breaks-v1",
    "counts-v1",
    "draws-v1",
    "exits-v1",
    "garbles-v1",
    "hides-v1",
    "lies-v1",
    "overflows-v1",
    "panics-v1",
    "probes-v1",
    "refuses-v1",
    "searches-v1",
    "sleeps-v1",
    "spins-v1",
];

impl Chamber {
    /// Starts one of the circuits that misbehave.
    fn start() -> Self {
        Self::start_with(32, |_, _| {})
    }

    /// Starts one that takes `jobs_max` jobs at a time.
    fn with_jobs_max(jobs_max: usize) -> Self {
        Self::start_with(jobs_max, |_, _| {})
    }

    /// Starts one that does not lock itself, so that its jobs can look about and say what they see.
    fn unlocked() -> Self {
        Self::start_with(32, |command, _| {
            command.args(["--sandbox", "off"]);
        })
    }

    /// Starts one, after `change` had its way with the command and the folder.
    fn start_with(jobs_max: usize, change: impl FnOnce(&mut Command, &Path)) -> Self {
        Self::start_program(&rogue(), &CIRCUITS, jobs_max, change)
    }
}
