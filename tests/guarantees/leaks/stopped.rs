//! A job process at work: stopped, looked at, let go for a moment, and stopped again.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::needles::{Encoding, What};
use super::scan::{Scan, Scanner};
use crate::kit::{PATIENCE, children_of, is_alive, is_stopped, kill};

/// Time that a job works between two looks. Short: some forms of a witness live for milliseconds.
const STEP: Duration = Duration::from_millis(1);
/// Total time that a job may be stopped: its time limit goes on.
const HELD_MAX: Duration = Duration::from_secs(15);

/// A job process that is stopped, and continues when this is dropped.
pub(crate) struct Job {
    pub(crate) pid: i32,
    since: Instant,
    /// Set once it has forgotten the keys: it has looked at its witness, which comes after.
    has_begun: bool,
}

impl Job {
    /// Stops the next process that the chamber starts.
    pub(crate) fn catch(chamber: i32) -> Self {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(pid) = children_of(chamber).first() {
                let job = Job { pid: *pid, since: Instant::now(), has_begun: false };
                if job.stop() {
                    return job;
                }
            }
        }
        panic!("the chamber starts no job in {PATIENCE:?}");
    }

    /// Waits until it stands still; `false` where it has ended instead.
    fn stop(&self) -> bool {
        kill(self.pid, Signal::STOP);
        while is_alive(self.pid) && !is_stopped(self.pid) {
            std::thread::sleep(Duration::from_micros(200));
        }
        is_alive(self.pid)
    }

    /// Its memory, once it has begun with its witness, or a little later than the last time; `None` when it
    /// has ended or was held long enough. It is stopped then.
    pub(crate) fn next_look(&mut self, scanner: &Scanner) -> Option<Scan> {
        while self.since.elapsed() < HELD_MAX {
            kill(self.pid, Signal::CONT);
            std::thread::sleep(STEP);
            if !self.stop() {
                return None;
            }
            let scan = scanner.process(self.pid)?;
            self.has_begun |= scan.count(|kind| kind == (What::Blinding, Encoding::Montgomery)) > 0;
            if self.has_begun {
                return Some(scan);
            }
        }
        None
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        kill(self.pid, Signal::CONT);
    }
}
