//! The lease on a delivery: while it is extended, the broker delivers the job to no other service.
//!
//! A lease decides only who may acknowledge a job or hand it back. It does not make the answer unique: a service that
//! was stopped for a while believes in a lease that it has lost. Compare-and-set does that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tracing::warn;

use super::acknowledgement::Acknowledgement;

/// Wait before a failed extension is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Extensions within one `ack_wait`: several may fail, as during an election of 4 to 9 s, before the lease is lost.
const EXTENSIONS: u32 = 4;

/// A lease, extended by a task of its own until it is dropped.
pub(super) struct Lease {
    ack_wait: Duration,
    extended: Arc<Mutex<Instant>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Keeps a lease that began a moment ago and runs out after `ack_wait`.
    pub(super) fn keep(acknowledgement: Acknowledgement, ack_wait: Duration) -> Self {
        let extended = Arc::new(Mutex::new(Instant::now()));
        // A task of its own, since the job's task waits for its process for minutes.
        let task = tokio::spawn(extend(acknowledgement, ack_wait, extended.clone()));
        Lease { ack_wait, extended, task }
    }

    /// Returns whether the delivery is still this service's.
    pub(super) fn is_held(&self) -> bool {
        // By the monotonic clock: the wall clock may be set while the job runs.
        self.extended.lock().elapsed() < self.ack_wait
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn extend(acknowledgement: Acknowledgement, ack_wait: Duration, extended: Arc<Mutex<Instant>>) {
    let mut pause = ack_wait / EXTENSIONS;
    loop {
        tokio::time::sleep(pause).await;
        // Taken before the request: the broker counts from the moment at which it receives it, which is later, so the
        // lease ends here no later than there.
        let sent = Instant::now();
        if acknowledgement.progress().await {
            *extended.lock() = sent;
            pause = ack_wait / EXTENSIONS;
        } else {
            warn!("the lease could not be extended; trying again");
            pause = RETRY_WAIT.min(ack_wait / EXTENSIONS);
        }
    }
}
