//! One pull request: one message from one queue, if there is one.

use std::time::Duration;

use async_nats::{Client, StatusCode, Subscriber};
use futures_util::StreamExt;
use serde_json::json;
use tracing::{debug, warn};

use super::delivery::Delivery;
use super::streams::jobs_stream;
use crate::job::{Lane, Tenant};

/// How long a pull waits at the broker.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often a waiting pull shows that the broker is there.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Without a sign of life for so long, a pull is given up.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a pull that does not wait may take: at the limit of deliveries in flight, the broker is silent.
const NO_WAIT: Duration = Duration::from_secs(2);

/// One queue: a tenant's lane.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) tenant: Tenant,
    pub(super) lane: Lane,
}

/// A pull came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the broker does not serve a pull on {queue}: {reason}")]
pub(super) struct PullError {
    pub(super) queue: Queue,
    reason: String,
    /// The connection itself is of no use any more.
    pub(super) broken: bool,
}

/// One pull request at the broker.
pub(super) struct Pull<'a> {
    queue: &'a Queue,
    subscriber: Subscriber,
}

impl<'a> Pull<'a> {
    /// Asks for what is there now, and takes it.
    pub(super) async fn now(client: &Client, queue: &'a Queue) -> Result<Option<Delivery>, PullError> {
        let mut pull = Pull::send(client, queue, &json!({ "batch": 1, "no_wait": true })).await?;
        match tokio::time::timeout(NO_WAIT, pull.answer()).await {
            Ok(answer) => answer,
            Err(_) => {
                pull.take_back(client).await;
                Ok(None)
            }
        }
    }

    /// Asks to wait for a message.
    pub(super) async fn waiting(client: &Client, queue: &'a Queue) -> Result<Self, PullError> {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (expires, heartbeat) = (nanoseconds(EXPIRES), nanoseconds(HEARTBEAT));
        Pull::send(client, queue, &json!({ "batch": 1, "expires": expires, "idle_heartbeat": heartbeat }))
            .await
    }

    async fn send(client: &Client, queue: &'a Queue, request: &serde_json::Value) -> Result<Self, PullError> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(inbox.clone()).await.map_err(|error| queue.broken(error))?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", jobs_stream(&queue.tenant), queue.lane);
        let payload = request.to_string().into();
        client.publish_with_reply(subject, inbox, payload).await.map_err(|error| queue.broken(error))?;
        Ok(Pull { queue, subscriber })
    }

    /// What the broker answers: a job, or that there is none.
    pub(super) async fn answer(&mut self) -> Result<Option<Delivery>, PullError> {
        loop {
            let message = tokio::time::timeout(SILENCE, self.subscriber.next()).await;
            let message = message.map_err(|_| self.queue.failed("it gives no sign of life"))?;
            let message = message.ok_or_else(|| self.queue.broken("the connection is closed"))?;
            let (status, description) = (message.status, message.description.clone());
            // Whoever publishes a job can write a status into it; only the broker writes where to acknowledge.
            if let Some(delivery) = Delivery::new(message) {
                return Ok(Some(delivery));
            }
            match status {
                None => return Err(self.queue.failed("it sent what is no delivery")),
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => return Ok(None),
                Some(status) => {
                    let reason = description.as_deref().unwrap_or_default();
                    debug!(queue = %self.queue, %status, reason, "pull ended");
                    return Err(self.queue.failed(format!("{status} {reason}")));
                }
            }
        }
    }

    /// Withdraws the request. A message that was already under way goes back at once: nobody would look
    /// at it until its lease ran out.
    pub(super) async fn take_back(mut self, client: &Client) {
        if self.subscriber.drain().await.is_err() {
            return;
        }
        while let Ok(Some(message)) = tokio::time::timeout(NO_WAIT, self.subscriber.next()).await {
            if let Some(reply) = message.reply
                && client.publish(reply, "-NAK".into()).await.is_err()
            {
                warn!(queue = %self.queue, "a delivery could not be handed back; its lease will run out");
            }
        }
    }
}

impl Queue {
    fn failed(&self, reason: impl ToString) -> PullError {
        PullError { queue: self.clone(), reason: reason.to_string(), broken: false }
    }

    pub(super) fn broken(&self, reason: impl ToString) -> PullError {
        PullError { broken: true, ..self.failed(reason) }
    }
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.lane, jobs_stream(&self.tenant))
    }
}
