//! The lease of a delivery: while it is kept alive, nobody else gets the job.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{Client, Request, Subject};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::broker::REQUEST_TIMEOUT;
use crate::metrics::{BrokerEvent, Metrics};

/// How soon a sign of life that was not taken is given again.
const RETRY: Duration = Duration::from_secs(1);

/// Gives signs of life until it is dropped.
pub(super) struct Lease {
    ack_wait: Duration,
    last: Arc<Mutex<Instant>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Keeps the delivery that is acknowledged on `reply`, four times within its `ack_wait`.
    pub(super) fn keep(client: Client, reply: Subject, ack_wait: Duration, metrics: Arc<Metrics>) -> Self {
        let last = Arc::new(Mutex::new(Instant::now()));
        let kept = last.clone();
        let task = tokio::spawn(async move {
            let mut pause = ack_wait / 4;
            loop {
                tokio::time::sleep(pause).await;
                let sent = Instant::now();
                if acknowledge(&client, &reply, "+WPI").await {
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = sent;
                    pause = ack_wait / 4;
                } else {
                    metrics.broker.event(BrokerEvent::LeaseFailed);
                    warn!("a lease could not be prolonged");
                    pause = RETRY.min(ack_wait / 4);
                }
            }
        });
        Lease { ack_wait, last, task }
    }

    /// Whether the delivery is certainly still ours, by the monotonic clock.
    pub(super) fn is_held(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < self.ack_wait
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Gives a delivery back, to be delivered again after `delay`; says whether the broker took it.
pub(super) async fn give_back(client: &Client, reply: &Subject, delay: Duration) -> bool {
    acknowledge(client, reply, &format!("-NAK {{\"delay\": {}}}", delay.as_nanos())).await
}

/// Sends an acknowledgement of any kind as a request, so that its failure is seen.
pub(super) async fn acknowledge(client: &Client, reply: &Subject, kind: &str) -> bool {
    let request = Request::new().payload(kind.to_owned().into()).timeout(Some(REQUEST_TIMEOUT));
    client.send_request(reply.clone(), request).await.is_ok()
}
