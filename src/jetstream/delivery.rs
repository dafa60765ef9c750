//! A delivery, its lease, and the right to acknowledge it.
//!
//! [`Delivery`] → [`LeasedJob`] is the only way to an acknowledgement. Each ending consumes the value:
//! [`LeasedJob::ack`] removes the job and asks for [`Settled`], the evidence that its one answer is stored;
//! [`LeasedJob::nak`] hands it back; [`Unnamed::term`] removes what names no job. So a job cannot be acknowledged
//! before it is answered:
//!
//! ```
//! # #[cfg(feature = "service")] {
//! use sealprove::jetstream::{LeasedJob, Settled};
//!
//! async fn finish(job: LeasedJob, settled: &Settled) -> bool {
//!     job.ack(settled).await
//! }
//! # }
//! ```
//!
//! There is no acknowledgement without that evidence, and no code outside of `jetstream` can make it up:
//!
//! ```compile_fail,E0061
//! use sealprove::jetstream::LeasedJob;
//!
//! async fn finish(job: LeasedJob) -> bool {
//!     job.ack().await
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use sealprove::jetstream::{LeasedJob, Settled};
//! use sealprove::protocol::JobSubject;
//!
//! async fn finish(job: LeasedJob, other: Settled, subject: JobSubject) -> bool {
//!     job.ack(&Settled { tenant: subject.tenant, job: subject.job, ..other }).await
//! }
//! ```
//!
//! Nor can it be acknowledged twice:
//!
//! ```compile_fail,E0382
//! use sealprove::jetstream::{LeasedJob, Settled};
//!
//! async fn finish(job: LeasedJob, settled: &Settled) {
//!     job.ack(settled).await;
//!     job.ack(settled).await;
//! }
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message};

use super::acknowledgement::Acknowledgement;
use super::answers::Settled;
use super::lease::Lease;
use crate::backoff::Waits;
use crate::metrics::Metrics;
use crate::protocol::{H_KEY, H_TRACE, JobSubject, KeyId, Subjects, TraceParent, UnixMillis, millis};

/// Waits between tries to acknowledge an answered job.
const ACK_WAITS: Waits = Waits::between(Duration::from_millis(100), Duration::from_secs(5));
/// Tries to acknowledge an answered job; after that, redelivery finds the answer.
const ACK_TRIES: u32 = 5;

/// A message as the broker delivered it: a job, or something that cannot be one.
#[must_use = "an unsettled delivery is redelivered after ack_wait"]
pub struct Delivery {
    message: Message,
    acknowledgement: Acknowledgement,
    sequence: u64,
    delivered: u32,
    stored_at: UnixMillis,
}

/// A job that this service has a lease on.
#[must_use = "an unsettled job is redelivered after ack_wait"]
pub struct LeasedJob {
    subject: JobSubject,
    message: Message,
    acknowledgement: Acknowledgement,
    sequence: u64,
    delivered: u32,
    stored_at: UnixMillis,
    queued_ms: u64,
    lease: Lease,
}

/// A delivery whose subject names no job, so no one can be answered.
#[must_use = "an unsettled delivery is redelivered after ack_wait"]
pub struct Unnamed(Box<Acknowledgement>);

impl Delivery {
    /// Takes a message with a JetStream acknowledgement subject; returns `None` for one without. `client` is the
    /// connection that it is acknowledged on.
    pub(super) fn new(message: Message, client: &Client, metrics: &Arc<Metrics>) -> Option<Self> {
        let reply = message.reply.clone()?;
        let AckSubject { sequence, delivered, stored_at } = AckSubject::parse(&reply)?;
        let acknowledgement = Acknowledgement::new(client.clone(), reply, metrics.clone());
        Some(Delivery { message, acknowledgement, sequence, delivered, stored_at })
    }

    /// Returns the number of this delivery of the message, from 1.
    pub(crate) fn delivered(&self) -> u32 {
        self.delivered
    }

    /// Takes a lease on the job that the message names, and keeps it until the job is settled or dropped.
    pub(crate) fn lease(self, subjects: &Subjects, ack_wait: Duration) -> Result<LeasedJob, Unnamed> {
        let Delivery { message, acknowledgement, sequence, delivered, stored_at } = self;
        // The names of the job, and so the subject of its answer, come from the subject that it was delivered on:
        // there the broker has bound the tenant. Headers and reply subject are the publisher's choice.
        let Ok(subject) = subjects.parse_job(&message.subject) else {
            return Err(Unnamed(Box::new(acknowledgement)));
        };
        let queued_ms = millis(stored_at.elapsed());
        let lease = Lease::keep(acknowledgement.clone(), ack_wait);
        Ok(LeasedJob { subject, message, acknowledgement, sequence, delivered, stored_at, queued_ms, lease })
    }

    /// Hands it back, to be delivered again after `delay`; returns whether the broker took it.
    pub(crate) async fn nak(self, delay: Duration) -> bool {
        self.acknowledgement.nak(delay).await
    }
}

impl Unnamed {
    /// Removes the message. JetStream's advisory carries the reason.
    pub(crate) async fn term(self, reason: &str) {
        self.0.term(reason).await;
    }
}

impl LeasedJob {
    /// Returns the names of tenant, lane, circuit and job.
    pub(crate) fn subject(&self) -> &JobSubject {
        &self.subject
    }

    /// Returns the sequence number in the job stream.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns the number of this delivery of the job, from 1.
    pub(crate) fn delivered(&self) -> u32 {
        self.delivered
    }

    /// Returns the broker's timestamp of the submission.
    pub(crate) fn stored_at(&self) -> UnixMillis {
        self.stored_at
    }

    /// Returns the time in the queue before this delivery, in milliseconds.
    pub(crate) fn queued_ms(&self) -> u64 {
        self.queued_ms
    }

    /// Returns the time since its submission.
    pub(crate) fn age(&self) -> Duration {
        self.stored_at.elapsed()
    }

    /// Returns the sealed bytes: `enc ‖ ciphertext`.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    /// Returns the names and values of its headers, repeated ones as often as they stand there.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.message.headers.iter().flat_map(|headers| headers.iter());
        headers.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        })
    }

    /// Returns the key that its header names.
    pub(crate) fn key(&self) -> Option<KeyId> {
        self.message.headers.as_ref()?.get(H_KEY)?.as_str().parse().ok()
    }

    /// Returns the client's trace, if it sent exactly one.
    pub(crate) fn trace(&self) -> Option<TraceParent> {
        let values = self.message.headers.as_ref()?.get_all(H_TRACE);
        TraceParent::only(values.map(|value| value.as_str()))
    }

    /// Removes the answered job from its queue; returns whether the broker took it. Does nothing without a lease.
    ///
    /// # Panics
    /// When `settled` is the evidence of another job.
    pub async fn ack(self, settled: &Settled) -> bool {
        assert!(settled.is_of(&self.subject), "evidence of another job's answer");
        let mut waits = ACK_WAITS.start();
        for _ in 0..ACK_TRIES {
            // JetStream takes a late acknowledgement for the delivery that another service has now, and removes the job
            // under it. That service finds the answer by itself.
            if !self.lease.is_held() {
                return false;
            }
            if self.acknowledgement.ack().await {
                return true;
            }
            // The job may be gone and only the reply lost: a second acknowledgement is taken like the first.
            waits.pause().await;
        }
        false
    }

    /// Hands the job back, to be delivered again after `delay`. Does nothing without a lease: the NAK would end the
    /// delivery of another service.
    pub(crate) async fn nak(self, delay: Duration) {
        if self.lease.is_held() {
            self.acknowledgement.nak(delay).await;
        }
    }

    /// Acknowledges before there is an answer: the mistake that the chaos tests must find.
    #[cfg(sealprove_wrong = "acknowledges_first")]
    pub(crate) async fn acknowledge_too_early(&self) {
        self.acknowledgement.ack().await;
    }
}

/// The facts that JetStream writes into a delivery's reply subject.
#[derive(Debug, PartialEq, Eq)]
struct AckSubject {
    sequence: u64,
    delivered: u32,
    stored_at: UnixMillis,
}

impl AckSubject {
    /// Parses `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`
    /// (ADR-15), which in its second form has two more tokens before the stream.
    fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.split('.').collect();
        // nats-server 2.15 writes the first form, and the second behind its feature flag `js_ack_fc_v2`.
        let facts = match tokens.len() {
            9 => &tokens[2..],
            11.. => &tokens[4..],
            _ => return None,
        };
        let [_stream, _consumer, delivered, sequence, _consumer_sequence, nanoseconds, ..] = facts else {
            return None;
        };
        Some(AckSubject {
            sequence: sequence.parse().ok()?,
            delivered: delivered.parse().ok()?,
            stored_at: UnixMillis(nanoseconds.parse::<u64>().ok()? / 1_000_000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AckSubject, UnixMillis};

    #[test]
    fn both_forms_of_an_acknowledgement_subject_are_read() {
        let first = "$JS.ACK.PROVE_JOBS_default.standard.3.17.9.1800000000123456789.5";
        let second = "$JS.ACK._.szMpdrwD.PROVE_JOBS_default.standard.3.17.9.1800000000123456789.5";
        let expected = AckSubject { sequence: 17, delivered: 3, stored_at: UnixMillis(1_800_000_000_123) };
        for subject in [first, second] {
            assert_eq!(AckSubject::parse(subject).as_ref(), Some(&expected), "{subject}");
        }
        assert_eq!(AckSubject::parse("$JS.ACK.too.short"), None);
        assert_eq!(AckSubject::parse("_INBOX.abc"), None);
    }
}
