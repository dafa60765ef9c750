//! A message as it lies in a stream, and how a client reads it: from any replica (direct get), where "not found" means
//! "not yet". A service reads from the stream's leader.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::DirectGetErrorKind;

use crate::protocol::UnixMillis;

/// A message in a stream.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "service"),
    expect(dead_code, reason = "a client reads the headers and the payload alone")
)]
pub(crate) struct StoredMessage {
    pub(crate) subject: String,
    /// Sequence number in the stream.
    pub(crate) sequence: u64,
    /// Names and values in order; `None` where the NATS library cannot read them.
    pub(super) headers: Option<Vec<(String, String)>>,
    pub(crate) payload: Vec<u8>,
    /// The broker's timestamp.
    pub(crate) stored_at: UnixMillis,
}

/// A read from a stream failed, so nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {reason}")]
pub struct ReadError {
    what: String,
    reason: String,
}

impl ReadError {
    pub(super) fn new(what: impl Into<String>, reason: impl ToString) -> Self {
        ReadError { what: what.into(), reason: reason.to_string() }
    }
}

impl StoredMessage {
    /// Returns the first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).next()
    }

    /// Returns all values of a header.
    pub(crate) fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        let headers = self.headers.as_deref().unwrap_or_default();
        headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether the NATS library can receive it.
    #[cfg(feature = "service")]
    pub(crate) fn is_readable(&self) -> bool {
        self.headers.is_some()
    }
}

/// Reads the last message on a subject, as any replica has it.
pub(crate) async fn read_any_replica(
    context: &Context,
    stream: &str,
    subject: &str,
) -> Result<Option<StoredMessage>, ReadError> {
    // Without asking for the stream's info, which a tenant's account does not reach.
    let stream = context.get_stream_no_info(stream).await.map_err(|error| ReadError::new(subject, error))?;
    match stream.direct_get_last_for_subject(subject).await {
        Ok(found) => Ok(Some(StoredMessage {
            subject: found.subject.to_string(),
            sequence: found.sequence,
            headers: Some(pairs(&found.headers)),
            payload: found.payload.to_vec(),
            stored_at: UnixMillis(
                u64::try_from(found.time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
            ),
        })),
        Err(error) if matches!(error.kind(), DirectGetErrorKind::NotFound) => Ok(None),
        Err(error) => Err(ReadError::new(subject, error)),
    }
}

/// Returns the names and values of a header map, each value on its own.
fn pairs(headers: &async_nats::HeaderMap) -> Vec<(String, String)> {
    let values = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    values.map(|(name, value)| (name.to_string(), value.as_str().to_owned())).collect()
}
