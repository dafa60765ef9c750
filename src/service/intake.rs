//! Taking jobs from the broker: one message for each free slot, never more.
//!
//! A pull is one request of one message. Lanes are first asked in their order, without waiting; when all
//! are empty, all are asked to wait, and the first message wins. A message that comes on another lane in
//! that same moment goes back at once.

use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tracing::{debug, warn};

use super::Stopping;
use super::delivery::Delivery;
use crate::broker::jobs_stream;
use crate::job::{Lane, Tenant};

/// How long a pull waits at the broker.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often a waiting pull shows that the broker is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a pull that does not wait may take: at the limit of deliveries in flight, the broker is silent.
const NO_WAIT: Duration = Duration::from_secs(2);

/// One queue: a tenant's lane.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) tenant: Tenant,
    pub(super) lane: Lane,
}

/// A pull came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PullError {
    /// The broker is away, has no leader, or gave no sign of life.
    #[error("the broker does not answer a pull on {0}")]
    Away(String),
    /// There is no such consumer.
    #[error("consumer {0} is gone")]
    ConsumerGone(String),
}

/// One pull request at the broker.
struct Pull<'a> {
    queue: &'a Queue,
    subscriber: Subscriber,
}

/// The next job of these queues, the first of them first; waits until there is one, or until the service
/// is to stop.
pub(super) async fn next(
    client: &Client,
    queues: &[Queue],
    stopping: &Stopping,
) -> Result<Option<Delivery>, PullError> {
    while !stopping.has_come() {
        for queue in queues {
            let mut pull = Pull::send(client, queue, &json!({ "batch": 1, "no_wait": true })).await?;
            match tokio::time::timeout(NO_WAIT, pull.answer()).await {
                Ok(Ok(Some(delivery))) => return Ok(Some(delivery)),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => pull.take_back(client).await,
            }
        }
        if let Some(delivery) = wait(client, queues, stopping).await? {
            return Ok(Some(delivery));
        }
    }
    Ok(None)
}

/// Asks all queues to wait; the first message wins, and all other requests are withdrawn.
async fn wait(client: &Client, queues: &[Queue], stopping: &Stopping) -> Result<Option<Delivery>, PullError> {
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let request = json!({
        "batch": 1, "expires": nanoseconds(EXPIRES), "idle_heartbeat": nanoseconds(HEARTBEAT),
    });
    let mut pulls = Vec::new();
    for queue in queues {
        pulls.push(Pull::send(client, queue, &request).await?);
    }
    let mut answers: FuturesUnordered<_> = pulls
        .iter_mut()
        .enumerate()
        .map(|(index, pull)| async move { (index, pull.answer().await) })
        .collect();
    let first = tokio::select! {
        first = answers.next() => first,
        () = stopping.wait() => None,
    };
    drop(answers);
    let (answered, answer) = first.map_or((None, Ok(None)), |(index, answer)| (Some(index), answer));
    for (_, pull) in pulls.into_iter().enumerate().filter(|(index, _)| Some(*index) != answered) {
        pull.take_back(client).await;
    }
    answer
}

impl<'a> Pull<'a> {
    async fn send(client: &Client, queue: &'a Queue, request: &serde_json::Value) -> Result<Self, PullError> {
        let away = || PullError::Away(queue.to_string());
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(inbox.clone()).await.map_err(|_| away())?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", jobs_stream(&queue.tenant), queue.lane);
        let payload = request.to_string().into();
        client.publish_with_reply(subject, inbox, payload).await.map_err(|_| away())?;
        Ok(Pull { queue, subscriber })
    }

    /// What the broker answers: a job, or that there is none.
    async fn answer(&mut self) -> Result<Option<Delivery>, PullError> {
        let away = || PullError::Away(self.queue.to_string());
        loop {
            let message = tokio::time::timeout(2 * HEARTBEAT + HEARTBEAT, self.subscriber.next()).await;
            let message = message.map_err(|_| away())?.ok_or_else(away)?;
            match (message.status, message.description.as_deref()) {
                (None, _) => return Delivery::new(message).map(Some).ok_or_else(away),
                (Some(StatusCode::IDLE_HEARTBEAT), _) => {}
                (Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT), _) => return Ok(None),
                (Some(StatusCode::REQUEST_TERMINATED), Some(reason))
                    if reason.contains("Consumer Deleted") =>
                {
                    return Err(PullError::ConsumerGone(self.queue.to_string()));
                }
                (Some(status), reason) => {
                    debug!(queue = %self.queue, %status, reason, "pull ended");
                    return Err(away());
                }
            }
        }
    }

    /// Withdraws the request. A message that was already under way goes back at once: nobody would look
    /// at it until its lease ran out.
    async fn take_back(mut self, client: &Client) {
        if self.subscriber.drain().await.is_err() {
            return;
        }
        while let Ok(Some(message)) = tokio::time::timeout(NO_WAIT, self.subscriber.next()).await {
            if let Message { status: None, reply: Some(reply), .. } = message
                && client.publish(reply, "-NAK".into()).await.is_err()
            {
                warn!(queue = %self.queue, "a delivery could not be handed back; its lease will run out");
            }
        }
    }
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.lane, jobs_stream(&self.tenant))
    }
}
