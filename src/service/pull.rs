//! Pull requests: one message from one queue, if there is one.
//!
//! A request that waits at the broker is never withdrawn. To unsubscribe from its inbox would lose the
//! message that is under way at that moment, until its lease runs out. So requests wait for a short time
//! only, and whatever they bring while no slot is free goes back to the queue.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_nats::{Client, StatusCode, Subscriber};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tracing::debug;

use super::delivery::Delivery;
use super::streams::jobs_stream;
use crate::job::{Lane, Tenant};

/// How long a request waits at the broker.
pub(super) const EXPIRES: Duration = Duration::from_secs(2);
/// Without an answer for so long, a request is given up.
const SILENCE: Duration = Duration::from_secs(5);
/// How soon a request that does not wait is answered, by a broker that has a leader.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a request waits at a queue that limits what is in flight. Once the limit is reached, the broker
/// answers one that does not wait only when it has room again.
const AT_LIMIT: Duration = Duration::from_millis(20);

/// One queue: a tenant's lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    pub(super) tenant: Tenant,
    pub(super) lane: Lane,
}

/// A pull came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum PullError {
    /// The connection is of no use any more.
    #[error("the connection that jobs come in on is gone: {0}")]
    Broken(String),
    /// The broker does not serve this queue at the moment.
    #[error("the broker does not serve a pull on {queue}: {reason}")]
    Refused {
        /// Which.
        queue: Queue,
        /// What it says.
        reason: String,
    },
}

impl PullError {
    fn broken(error: impl std::error::Error) -> Self {
        PullError::Broken(error.to_string())
    }
}

/// A job and the queue that it is from, or that there is none.
pub(super) type Pulled = Result<Option<(Queue, Delivery)>, PullError>;

/// The requests of one connection. All of them stay here until they are answered, whoever stops waiting.
pub(super) struct Pulls {
    client: Client,
    sent: u64,
    /// The queues that a request waits at, by that request's number.
    asked: HashMap<Queue, u64>,
    /// What the last was that was heard of a queue.
    heard: HashMap<Queue, Heard>,
    waiting: FuturesUnordered<Waiting>,
}

/// What was heard of a queue.
#[derive(Clone, Copy)]
enum Heard {
    Job,
    Empty(Instant),
}

type Waiting = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// A request that was answered.
struct Answered {
    number: u64,
    queue: Queue,
    pulled: Pulled,
}

impl Pulls {
    pub(super) fn on(client: Client) -> Self {
        Pulls {
            client,
            sent: 0,
            asked: HashMap::new(),
            heard: HashMap::new(),
            waiting: FuturesUnordered::new(),
        }
    }

    /// Whether there is nothing in a queue, as far as is known: a request waits there, or it was found empty
    /// less than `rest` ago.
    pub(super) fn is_empty(&self, queue: &Queue, rest: Duration) -> bool {
        let rests = || matches!(self.heard.get(queue), Some(Heard::Empty(found)) if found.elapsed() < rest);
        self.asked.contains_key(queue) || rests()
    }

    /// Whether the last that came from a queue was a job.
    pub(super) fn had_one(&self, queue: &Queue) -> bool {
        matches!(self.heard.get(queue), Some(Heard::Job))
    }

    /// A queue was found empty in another way.
    pub(super) fn found_empty(&mut self, queue: &Queue) {
        self.heard.insert(queue.clone(), Heard::Empty(Instant::now()));
    }

    /// Asks for what is there now, and takes it; or what a waiting request brings meanwhile. `limited` is
    /// whether the queue limits what is in flight.
    pub(super) async fn now(&mut self, queue: &Queue, limited: bool) -> Pulled {
        let request = if limited {
            json!({ "batch": 1, "expires": nanoseconds(AT_LIMIT) })
        } else {
            json!({ "batch": 1, "no_wait": true })
        };
        let number = self.send(queue, &request).await?;
        let answer = async {
            loop {
                match self.answered().await {
                    Some(Answered { pulled: Ok(None), number: of, .. }) if of != number => {}
                    Some(Answered { pulled, .. }) => return pulled,
                    None => return Ok(None),
                }
            }
        };
        tokio::time::timeout(AT_ONCE, answer).await.unwrap_or(Ok(None))
    }

    /// Has a request wait at this queue, if none does.
    pub(super) async fn ask(&mut self, queue: &Queue) -> Result<(), PullError> {
        if !self.asked.contains_key(queue) {
            let number = self.send(queue, &json!({ "batch": 1, "expires": nanoseconds(EXPIRES) })).await?;
            self.asked.insert(queue.clone(), number);
        }
        Ok(())
    }

    /// What the first of the requests brings; `None` when there is none.
    pub(super) async fn next(&mut self) -> Option<Pulled> {
        self.answered().await.map(|answered| answered.pulled)
    }

    /// What requests have brought already, up to the first that is more than "nothing".
    pub(super) fn arrived(&mut self) -> Pulled {
        while let Some(Some(pulled)) = self.next().now_or_never() {
            if !matches!(pulled, Ok(None)) {
                return pulled;
            }
        }
        Ok(None)
    }

    /// The next message that a request brings, whatever becomes of the others; never, when there is none.
    pub(super) async fn next_delivery(&mut self) -> Delivery {
        loop {
            match self.next().await {
                Some(Ok(Some((_, delivery)))) => return delivery,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    async fn answered(&mut self) -> Option<Answered> {
        let answered = self.waiting.next().await?;
        if self.asked.get(&answered.queue) == Some(&answered.number) {
            self.asked.remove(&answered.queue);
        }
        match answered.pulled {
            Ok(Some(_)) => drop(self.heard.insert(answered.queue.clone(), Heard::Job)),
            Ok(None) => self.found_empty(&answered.queue),
            Err(_) => {}
        }
        Some(answered)
    }

    /// Sends a request, and keeps it until it is answered.
    async fn send(&mut self, queue: &Queue, request: &Value) -> Result<u64, PullError> {
        let mut pull = Pull::send(&self.client, queue, request).await?;
        self.sent += 1;
        let number = self.sent;
        self.waiting.push(Box::pin(async move {
            let pulled = pull.answer().await;
            let pulled = pulled.map(|found| found.map(|delivery| (pull.queue.clone(), delivery)));
            Answered { number, queue: pull.queue, pulled }
        }));
        Ok(number)
    }
}

/// As JetStream takes durations.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// One request at the broker.
struct Pull {
    queue: Queue,
    subscriber: Subscriber,
}

impl Pull {
    async fn send(client: &Client, queue: &Queue, request: &Value) -> Result<Self, PullError> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(inbox.clone()).await.map_err(PullError::broken)?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", jobs_stream(&queue.tenant), queue.lane);
        let payload = request.to_string().into();
        client.publish_with_reply(subject, inbox, payload).await.map_err(PullError::broken)?;
        Ok(Pull { queue: queue.clone(), subscriber })
    }

    async fn answer(&mut self) -> Result<Option<Delivery>, PullError> {
        let message = tokio::time::timeout(SILENCE, self.subscriber.next()).await;
        let message = message.map_err(|_| self.queue.refused("it gives no sign of life"))?;
        let message = message.ok_or_else(|| PullError::Broken("closed".to_owned()))?;
        let (status, description) = (message.status, message.description.clone());
        // Whoever publishes a job can write a status into it; only the broker writes where to acknowledge.
        if let Some(delivery) = Delivery::new(message) {
            return Ok(Some(delivery));
        }
        match status {
            Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => Ok(None),
            Some(status) => {
                let reason = description.as_deref().unwrap_or_default();
                debug!(queue = %self.queue, %status, reason, "pull ended");
                Err(self.queue.refused(format!("{status} {reason}")))
            }
            None => Err(self.queue.refused("it sent what is no delivery")),
        }
    }
}

impl Queue {
    fn refused(&self, reason: impl Into<String>) -> PullError {
        PullError::Refused { queue: self.clone(), reason: reason.into() }
    }
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.lane, jobs_stream(&self.tenant))
    }
}
