//! Reading from a stream's leader: what decisions are made on. Any other replica may lag after a fault.
//!
//! This is JetStream's STREAM.MSG.GET (ADR-31), in which headers travel as base64 in JSON: a message that
//! the NATS library could not receive can still be read.

use std::time::UNIX_EPOCH;

use async_nats::{Client, Request};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::broker::{ApiError, REQUEST_TIMEOUT, stored_headers};

/// A message as the leader has it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) subject: String,
    pub(super) sequence: u64,
    /// None, where a NATS library cannot read them.
    headers: Option<Vec<(String, String)>>,
    pub(super) payload: Vec<u8>,
    /// The broker's timestamp, in Unix milliseconds.
    pub(super) stored_at_ms: u64,
}

/// A read failed: nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("read {what} from its leader: {reason}")]
pub(super) struct ReadError {
    what: String,
    reason: String,
}

/// The last message on a subject, which may have wildcards.
pub(super) async fn last_on(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<Found>, ReadError> {
    get(client, stream, json!({ "last_by_subj": subject })).await
}

/// The message with this sequence number.
pub(super) async fn at(client: &Client, stream: &str, sequence: u64) -> Result<Option<Found>, ReadError> {
    get(client, stream, json!({ "seq": sequence })).await
}

/// The first message at or after this sequence number.
pub(super) async fn first_from(
    client: &Client,
    stream: &str,
    subject: &str,
    sequence: u64,
) -> Result<Option<Found>, ReadError> {
    get(client, stream, json!({ "seq": sequence, "next_by_subj": subject })).await
}

/// The first message on a subject, which may have wildcards.
pub(super) async fn first_on(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<Found>, ReadError> {
    get(client, stream, json!({ "seq": 0, "next_by_subj": subject })).await
}

#[derive(Deserialize)]
struct Reply {
    message: Option<Message>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct Message {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: String,
}

/// JetStream's "no message found".
const NO_MESSAGE: u64 = 10037;

async fn get(client: &Client, stream: &str, request: Value) -> Result<Option<Found>, ReadError> {
    let failed = |reason: String| ReadError { what: format!("{request} of {stream}"), reason };
    let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let asked = Request::new().payload(request.to_string().into()).timeout(Some(REQUEST_TIMEOUT));
    let reply = client.send_request(subject, asked).await.map_err(|error| failed(error.to_string()))?;
    match serde_json::from_slice(&reply.payload) {
        Ok(Reply { message: Some(message), .. }) => {
            message.read().map(Some).ok_or_else(|| failed("it is not of JetStream's form".to_owned()))
        }
        // That there is no such message is an answer too.
        Ok(Reply { error: Some(ApiError { err_code: NO_MESSAGE, .. }), .. }) => Ok(None),
        Ok(Reply { error: Some(error), .. }) => Err(failed(error.description)),
        _ => Err(failed("the reply is not of JetStream's form".to_owned())),
    }
}

impl Message {
    fn read(self) -> Option<Found> {
        let stored_at = humantime::parse_rfc3339(&self.time).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Found {
            // The broker's JSON has this sign for what is not UTF-8, and no library reads that.
            headers: if self.subject.is_ascii() {
                stored_headers(&BASE64_STANDARD.decode(&self.hdrs).ok()?)
            } else {
                None
            },
            subject: self.subject,
            sequence: self.seq,
            payload: BASE64_STANDARD.decode(&self.data).ok()?,
            stored_at_ms: crate::clock::millis(stored_at),
        })
    }
}

impl Found {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_deref().unwrap_or_default();
        headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let headers = self.headers.as_deref().unwrap_or_default();
        headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a NATS library can receive it.
    pub(super) fn is_readable(&self) -> bool {
        self.headers.is_some()
    }
}
