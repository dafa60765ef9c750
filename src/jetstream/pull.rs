//! Pull requests: one message from one queue, if there is one.
//!
//! A request that waits at the broker is never withdrawn: unsubscribing from its inbox would lose a message that is
//! under way at that moment, until its lease runs out. So requests wait for a short time only, and whatever they
//! bring while no slot is free is handed back.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_nats::{Client, StatusCode, Subscriber};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tracing::debug;

use super::broker::Broker;
use super::delivery::Delivery;
use super::lanes::Queue;
use super::names::jobs_stream;

/// Time that a request waits at the broker.
pub(crate) const EXPIRES: Duration = Duration::from_secs(2);
/// Silence after which a request is given up: the broker ends every request within [`EXPIRES`].
const SILENCE: Duration = Duration::from_secs(5);
/// Time in which a broker with a leader answers a request that does not wait.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Time that a request waits at a queue with an in-flight limit. At the limit, the broker answers one that does not
/// wait only once there is room again.
const AT_LIMIT: Duration = Duration::from_millis(20);

/// A pull failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PullError {
    /// The connection is closed.
    #[error("the connection for jobs is closed: {0}")]
    Closed(String),
    /// The broker refuses to serve this queue at the moment.
    #[error("the broker refuses a pull on {queue}: {reason}")]
    Refused {
        /// The queue that was pulled from.
        queue: Queue,
        /// The broker's status and description.
        reason: String,
    },
}

impl PullError {
    fn closed(error: impl std::error::Error) -> Self {
        PullError::Closed(error.to_string())
    }
}

/// A delivery with the queue that it is from, or `None` where there is none.
pub(crate) type Pulled = Result<Option<(Queue, Delivery)>, PullError>;

/// The requests of one connection. They stay here until they are answered, even if a caller stops waiting.
pub(crate) struct Pulls {
    client: Client,
    /// The connection on which deliveries are acknowledged: a job's headers can end the other one at any moment.
    broker: Broker,
    sent: u64,
    /// The queues at which a request waits, with that request's number.
    asked: HashMap<Queue, u64>,
    /// The latest result from each queue.
    latest: HashMap<Queue, Latest>,
    waiting: FuturesUnordered<Request>,
}

/// The latest result from a queue.
#[derive(Clone, Copy)]
enum Latest {
    Job,
    Empty(Instant),
}

type Request = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The answer to a request.
struct Answer {
    number: u64,
    queue: Queue,
    pulled: Pulled,
}

impl Pulls {
    /// Pulls on `client`, and has deliveries acknowledged on the broker's own connection.
    pub(crate) fn new(client: Client, broker: Broker) -> Self {
        Pulls {
            client,
            broker,
            sent: 0,
            asked: HashMap::new(),
            latest: HashMap::new(),
            waiting: FuturesUnordered::new(),
        }
    }

    /// Returns whether a queue is empty, as far as is known: a request waits there, or it was found empty less than
    /// `rest` ago.
    pub(crate) fn is_empty(&self, queue: &Queue, rest: Duration) -> bool {
        self.asked.contains_key(queue)
            || matches!(self.latest.get(queue), Some(Latest::Empty(found)) if found.elapsed() < rest)
    }

    /// Returns whether the latest result from a queue was a job.
    pub(crate) fn had_job(&self, queue: &Queue) -> bool {
        matches!(self.latest.get(queue), Some(Latest::Job))
    }

    /// Marks a queue that was found empty in another way.
    pub(crate) fn mark_empty(&mut self, queue: &Queue) {
        self.latest.insert(queue.clone(), Latest::Empty(Instant::now()));
    }

    /// Asks a queue for a message that is there now, and takes it, or one that a waiting request brings meanwhile.
    /// `limited` says whether the queue has an in-flight limit.
    pub(crate) async fn now(&mut self, queue: &Queue, limited: bool) -> Pulled {
        let request = if limited {
            json!({ "batch": 1, "expires": nanoseconds(AT_LIMIT) })
        } else {
            json!({ "batch": 1, "no_wait": true })
        };
        // One message, here and in every request: the lease of each runs from its delivery, also while it lies in a
        // buffer.
        let number = self.send(queue, &request).await?;
        let answer = async {
            loop {
                match self.next_answer().await {
                    // A request that waited at another queue has ended: this says nothing about the queue asked.
                    Some(Answer { pulled: Ok(None), number: of, .. }) if of != number => {}
                    Some(Answer { pulled, .. }) => return pulled,
                    None => return Ok(None),
                }
            }
        };
        // A late answer is not lost: the request stays, and the next call takes what it brings.
        tokio::time::timeout(AT_ONCE, answer).await.unwrap_or(Ok(None))
    }

    /// Has a request wait at this queue, if none does yet.
    pub(crate) async fn ask(&mut self, queue: &Queue) -> Result<(), PullError> {
        if !self.asked.contains_key(queue) {
            let number = self.send(queue, &json!({ "batch": 1, "expires": nanoseconds(EXPIRES) })).await?;
            self.asked.insert(queue.clone(), number);
        }
        Ok(())
    }

    /// Waits for the first answer to a request; returns `None` when there is no request.
    pub(crate) async fn next(&mut self) -> Option<Pulled> {
        self.next_answer().await.map(|answered| answered.pulled)
    }

    /// Returns the first delivery or error that requests have brought already.
    pub(crate) fn arrived(&mut self) -> Pulled {
        while let Some(Some(pulled)) = self.next().now_or_never() {
            if !matches!(pulled, Ok(None)) {
                return pulled;
            }
        }
        Ok(None)
    }

    /// Waits for the next delivery, ignoring failed requests. Never returns when there is no request.
    pub(crate) async fn next_delivery(&mut self) -> Delivery {
        loop {
            match self.next().await {
                Some(Ok(Some((_, delivery)))) => return delivery,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    async fn next_answer(&mut self) -> Option<Answer> {
        let answered = self.waiting.next().await?;
        // Other requests at this queue, those that do not wait, have numbers of their own and leave the entry alone.
        if self.asked.get(&answered.queue) == Some(&answered.number) {
            self.asked.remove(&answered.queue);
        }
        match answered.pulled {
            Ok(Some(_)) => drop(self.latest.insert(answered.queue.clone(), Latest::Job)),
            Ok(None) => self.mark_empty(&answered.queue),
            Err(_) => {}
        }
        Some(answered)
    }

    /// Sends a request, and keeps it until it is answered.
    async fn send(&mut self, queue: &Queue, request: &Value) -> Result<u64, PullError> {
        let mut pull = Pull::send(&self.client, queue, request).await?;
        self.sent += 1;
        let (number, broker) = (self.sent, self.broker.clone());
        // Kept here and not by the caller, whose future may be dropped while a message is under way.
        self.waiting.push(Box::pin(async move {
            let answer = pull.answer(&broker).await;
            let pulled = answer.map(|found| found.map(|delivery| (pull.queue.clone(), delivery)));
            Answer { number, queue: pull.queue, pulled }
        }));
        Ok(number)
    }
}

/// Returns a duration as JetStream expects it.
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
        // Not flushed: on one connection the broker handles the subscription before the request.
        let subscriber = client.subscribe(inbox.clone()).await.map_err(PullError::closed)?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", jobs_stream(&queue.tenant), queue.lane);
        let payload = request.to_string().into();
        client.publish_with_reply(subject, inbox, payload).await.map_err(PullError::closed)?;
        Ok(Pull { queue: queue.clone(), subscriber })
    }

    async fn answer(&mut self, broker: &Broker) -> Result<Option<Delivery>, PullError> {
        let answered = tokio::time::timeout(SILENCE, self.subscriber.next()).await;
        let next = answered.map_err(|_| PullError::refused(&self.queue, "no answer"))?;
        let message = next.ok_or_else(|| PullError::Closed("no more messages".to_owned()))?;
        let (status, description) = (message.status, message.description.clone());
        // A publisher can write a status into a job; only the broker writes the acknowledgement subject.
        if let Some(delivery) = Delivery::new(message, broker.client(), broker.metrics()) {
            return Ok(Some(delivery));
        }
        match status {
            // 404 to a request that does not wait, 408 at the end of one that does.
            Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => Ok(None),
            Some(status) => {
                let reason = description.as_deref().unwrap_or_default();
                debug!(queue = %self.queue, %status, reason, "pull ended");
                Err(PullError::refused(&self.queue, format!("{status} {reason}")))
            }
            None => Err(PullError::refused(&self.queue, "the message is not a delivery")),
        }
    }
}

impl PullError {
    fn refused(queue: &Queue, reason: impl Into<String>) -> Self {
        PullError::Refused { queue: queue.clone(), reason: reason.into() }
    }
}
