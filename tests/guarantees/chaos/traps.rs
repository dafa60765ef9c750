//! Traps: what is done to the first service that gets to a named point of a job's path.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::schedule::Point;
use super::wire::Sight;

/// A blow at a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    Kill,
    Freeze(Duration),
    /// Left to the code that set the trap.
    Nothing,
}

/// A trap at a named point.
pub(crate) struct Trap {
    pub(crate) point: Point,
    pub(crate) strike: Strike,
    pub(crate) sprung: oneshot::Sender<Sprung>,
}

/// A trap has sprung.
#[derive(Debug)]
pub(crate) struct Sprung {
    pub(crate) service: usize,
    pub(crate) at: u64,
    pub(crate) job: String,
    /// All jobs that the service had.
    pub(crate) held: Vec<String>,
}

/// The traps of all services.
#[derive(Default)]
pub(crate) struct Traps(Mutex<Vec<Trap>>);

impl Traps {
    /// Sets a trap, and waits at most this long until a service gets there.
    pub(crate) async fn spring(&self, point: Point, strike: Strike, wait: Duration) -> Option<Sprung> {
        let (sprung, springs) = oneshot::channel();
        self.set().push(Trap { point, strike, sprung });
        let caught = tokio::time::timeout(wait, springs).await;
        self.set().retain(|trap| !trap.sprung.is_closed());
        caught.ok()?.ok()
    }

    /// The trap that a sight springs, and the job in it.
    pub(crate) fn sprung_by(&self, sight: &Sight) -> Option<(Trap, String)> {
        let (at, job) = match sight {
            Sight::Delivered(job) => (Point::BeforeStart, job),
            Sight::Proving(job) => (Point::WhileProving, job),
            Sight::Answering(job) => (Point::BeforeAnswer, job),
            Sight::Acknowledging(job) => (Point::BeforeAck, job),
            Sight::Stored(_) | Sight::Other => return None,
        };
        let mut set = self.set();
        let first = set.iter().position(|trap| trap.point == at && !trap.sprung.is_closed())?;
        Some((set.remove(first), job.clone()))
    }

    fn set(&self) -> MutexGuard<'_, Vec<Trap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
