//! The lease on a delivery: while it is extended, the broker delivers the job to no other service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tracing::warn;

use super::acknowledgement::Acknowledgement;

/// Wait before a failed extension is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Extensions within one `ack_wait`.
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
        let task = tokio::spawn(extend(acknowledgement, ack_wait, extended.clone()));
        Lease { ack_wait, extended, task }
    }

    /// Returns whether the delivery is certainly still this service's, by the monotonic clock.
    pub(super) fn is_held(&self) -> bool {
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
        // Taken before the request: the broker counts from when it hears of it, which is later.
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
