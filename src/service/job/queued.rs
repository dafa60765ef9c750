//! A job in its queue, for cancel requests, the sweeper and poison messages: they answer it without a delivery.

use crate::jetstream::StoredMessage;
use crate::protocol::{H_KEY, H_TRACE, JobSubject, KeyId, TraceParent, UnixMillis};

/// A job as it lies in its queue.
pub(crate) struct QueuedJob {
    pub(crate) subject: JobSubject,
    /// Sequence number in the job stream.
    pub(super) sequence: u64,
    /// The broker's timestamp.
    pub(super) stored_at: UnixMillis,
    /// Size of the sealed witness, in bytes.
    pub(super) payload_bytes: u64,
    pub(super) key: Option<KeyId>,
    pub(super) trace: Option<TraceParent>,
}

impl QueuedJob {
    /// Returns a job with this subject, as the leader has it.
    pub(crate) fn new(subject: JobSubject, message: &StoredMessage) -> Self {
        QueuedJob {
            subject,
            sequence: message.sequence,
            stored_at: message.stored_at,
            payload_bytes: message.payload.len() as u64,
            key: message.header(H_KEY).and_then(|key| key.parse().ok()),
            trace: TraceParent::only(message.header_values(H_TRACE)),
        }
    }
}
