//! Reading from a stream's leader: what decisions are made on. Any other replica may lag after a fault.

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind, Stream};

/// A message as the leader has it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) subject: String,
    pub(super) sequence: u64,
    headers: HeaderMap,
    pub(super) payload: Vec<u8>,
    /// The broker's timestamp, in Unix milliseconds.
    pub(super) stored_at_ms: u64,
}

/// A read failed: nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("read {what} from its leader")]
pub(super) struct ReadError {
    what: String,
    source: Cause,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The last message on a subject, which may have wildcards.
pub(super) async fn last_on(
    context: &Context,
    stream: &str,
    subject: &str,
) -> Result<Option<Found>, ReadError> {
    let read = async |stream: Stream<()>| stream.get_last_raw_message_by_subject(subject).await;
    get(context, stream, subject.to_owned(), read).await
}

/// The message with this sequence number.
pub(super) async fn at(context: &Context, stream: &str, sequence: u64) -> Result<Option<Found>, ReadError> {
    let read = async |stream: Stream<()>| stream.get_raw_message(sequence).await;
    get(context, stream, format!("message {sequence} of {stream}"), read).await
}

/// The first message at or after this sequence number.
pub(super) async fn first_from(
    context: &Context,
    stream: &str,
    sequence: u64,
) -> Result<Option<Found>, ReadError> {
    let read = async |stream: Stream<()>| stream.get_first_raw_message_by_subject(">", sequence).await;
    get(context, stream, format!("{stream} from message {sequence}"), read).await
}

/// That there is no such message is an answer too.
async fn get(
    context: &Context,
    stream: &str,
    what: String,
    read: impl AsyncFnOnce(Stream<()>) -> Result<StreamMessage, LastRawMessageError>,
) -> Result<Option<Found>, ReadError> {
    let stream = match context.get_stream_no_info(stream).await {
        Ok(stream) => stream,
        Err(error) => return Err(ReadError { what, source: error.into() }),
    };
    match read(stream).await {
        Ok(found) => Ok(Some(found.into())),
        Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(ReadError { what, source: error.into() }),
    }
}

impl Found {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }
}

impl From<StreamMessage> for Found {
    fn from(message: StreamMessage) -> Self {
        let milliseconds = message.time.unix_timestamp_nanos() / 1_000_000;
        Found {
            subject: message.subject.into_string(),
            sequence: message.sequence,
            headers: message.headers,
            payload: message.payload.to_vec(),
            stored_at_ms: u64::try_from(milliseconds).unwrap_or(0),
        }
    }
}
