//! A delivery: a message as the broker gave it to this service, and the job that it names.

use std::time::Duration;

use async_nats::{Message, Subject};

use super::admission;
use super::settle::Offer;
use crate::clock::{millis, unix_now_ms};
use crate::job::{JobSubject, KeyId, Subjects};
use crate::wire::{Code, H_KEY, H_TRACE, LIFETIME_SECONDS_MAX, Timings, TraceParent};

/// A message as the broker delivered it: a job, or something that cannot be one.
#[must_use = "an unsettled delivery is redelivered after ack_wait"]
pub(super) struct Delivery {
    message: Message,
    reply: Subject,
    sequence: u64,
    pub(super) delivered: u32,
    /// The broker's timestamp, in Unix milliseconds.
    stored_at_ms: u64,
}

/// A delivery whose subject names a job, so that it can be answered.
#[must_use = "an unsettled delivery is redelivered after ack_wait"]
pub(super) struct Job {
    pub(super) subject: JobSubject,
    pub(super) reply: Subject,
    pub(super) sequence: u64,
    pub(super) delivered: u32,
    pub(super) message: Message,
    pub(super) stored_at_ms: u64,
    /// How long it had waited when it came, in milliseconds.
    pub(super) queued_ms: u64,
    /// When it has outlived itself, in Unix seconds: at the latest a day after it was stored, and earlier
    /// once its header has been read.
    pub(super) deadline: u64,
}

impl Delivery {
    /// A message with a JetStream acknowledgement subject; `None` where it has none.
    pub(super) fn new(message: Message) -> Option<Self> {
        let reply = message.reply.clone()?;
        let (sequence, delivered, stored_at_ms) = ack_subject(&reply)?;
        Some(Delivery { message, reply, sequence, delivered, stored_at_ms })
    }

    /// What it is acknowledged on.
    pub(super) fn reply(&self) -> &Subject {
        &self.reply
    }

    /// The job that it names; where it names none, what it is acknowledged on.
    pub(super) fn name(self, subjects: &Subjects) -> Result<Job, Subject> {
        let Delivery { message, reply, sequence, delivered, stored_at_ms } = self;
        match subjects.parse_job(&message.subject) {
            Ok(subject) => {
                let deadline = stored_at_ms / 1000 + LIFETIME_SECONDS_MAX;
                let queued_ms = unix_now_ms().saturating_sub(stored_at_ms);
                Ok(Job { subject, reply, sequence, delivered, message, stored_at_ms, queued_ms, deadline })
            }
            Err(_) => Err(reply),
        }
    }
}

/// Stream sequence, deliveries and timestamp from `$JS.ACK.<stream>.<consumer>.<delivered>.<stream
/// sequence>.<consumer sequence>.<nanoseconds>.<pending>` (ADR-15), which in its second form has two
/// tokens more before the stream.
fn ack_subject(reply: &str) -> Option<(u64, u32, u64)> {
    let tokens: Vec<&str> = reply.split('.').collect();
    let tokens = match tokens.len() {
        9 => &tokens[2..],
        11.. => &tokens[4..],
        _ => return None,
    };
    let [_stream, _consumer, delivered, sequence, _consumer_sequence, nanoseconds, ..] = tokens else {
        return None;
    };
    let stored_at_ns: u64 = nanoseconds.parse().ok()?;
    Some((sequence.parse().ok()?, delivered.parse().ok()?, stored_at_ns / 1_000_000))
}

impl Job {
    /// How long it has waited.
    pub(super) fn queued(&self) -> Duration {
        Duration::from_millis(unix_now_ms().saturating_sub(self.stored_at_ms))
    }

    /// What there is to be judged.
    pub(super) fn message(&self) -> admission::Message<'_, impl Iterator<Item = (&str, &str)>> {
        let headers = self.message.headers.iter().flat_map(|headers| headers.iter());
        let headers = headers.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        });
        let stored_at = self.stored_at_ms / 1000;
        admission::Message { subject: &self.subject, headers, payload: &self.message.payload, stored_at }
    }

    /// The key that its header names.
    pub(super) fn key(&self) -> Option<KeyId> {
        self.message.headers.as_ref()?.get(H_KEY)?.as_str().parse().ok()
    }

    /// The client's trace, where it sent one.
    pub(super) fn trace(&self) -> Option<TraceParent> {
        let values = self.message.headers.as_ref()?.get_all(H_TRACE);
        TraceParent::only(values.map(|value| value.as_str()))
    }

    /// The size of what was sealed, padded: the same for all witnesses of about one size.
    pub(super) fn payload_bytes(&self) -> usize {
        self.message.payload.len()
    }

    /// An answer that the network side makes: its code, and nothing else.
    pub(super) fn offer(&self, code: Code) -> Offer {
        let timings = Timings { queued: Some(millis(self.queued())), ..Timings::default() };
        Offer::of_code(&self.subject, code, self.delivered, timings)
    }
}

#[cfg(test)]
mod tests {
    use super::ack_subject;

    #[test]
    fn both_forms_of_an_acknowledgement_subject_are_read() {
        let first = "$JS.ACK.PROVE_JOBS_default.standard.3.17.9.1800000000123456789.5";
        let second = "$JS.ACK._.szMpdrwD.PROVE_JOBS_default.standard.3.17.9.1800000000123456789.5";
        for subject in [first, second] {
            assert_eq!(ack_subject(subject), Some((17, 3, 1_800_000_000_123)), "{subject}");
        }
        assert_eq!(ack_subject("$JS.ACK.too.short"), None);
        assert_eq!(ack_subject("_INBOX.abc"), None);
    }
}
