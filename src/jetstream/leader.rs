//! Reading from a stream's leader: JetStream's STREAM.MSG.GET (ADR-31).
//!
//! Every decision of a service is made on such a read. A direct get would be cheaper and may lag: after a fault,
//! replicas answered "not found" for a second or two for answers that were stored.

use std::time::UNIX_EPOCH;

use async_nats::{Client, Request};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::REQUEST_TIMEOUT;
use super::headers::stored_headers;
use super::message::{ReadError, StoredMessage};
use super::publish::ApiError;
use crate::protocol::{UnixMillis, millis};

/// JetStream's error code for "no message found".
const NO_MESSAGE: u64 = 10037;

/// Reads the last message on a subject, which may have wildcards.
pub(crate) async fn last_on(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<StoredMessage>, ReadError> {
    get(client, stream, json!({ "last_by_subj": subject })).await
}

/// Reads the message with this sequence number.
pub(crate) async fn at(
    client: &Client,
    stream: &str,
    sequence: u64,
) -> Result<Option<StoredMessage>, ReadError> {
    get(client, stream, json!({ "seq": sequence })).await
}

/// Reads the first message on a subject, which may have wildcards, at or after this sequence number.
pub(crate) async fn first_from(
    client: &Client,
    stream: &str,
    subject: &str,
    sequence: u64,
) -> Result<Option<StoredMessage>, ReadError> {
    get(client, stream, json!({ "seq": sequence, "next_by_subj": subject })).await
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

async fn get(client: &Client, stream: &str, request: Value) -> Result<Option<StoredMessage>, ReadError> {
    let what = || format!("{request} of {stream} from its leader");
    let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let message = Request::new().payload(request.to_string().into()).timeout(Some(REQUEST_TIMEOUT));
    let reply = client.send_request(subject, message).await.map_err(|error| ReadError::new(what(), error))?;
    match serde_json::from_slice(&reply.payload) {
        Ok(Reply { message: Some(message), .. }) => {
            message.read().map(Some).ok_or_else(|| ReadError::new(what(), "the message is malformed"))
        }
        // The leader has answered: there is no such message. Every other error leaves that open.
        Ok(Reply { error: Some(ApiError { err_code: NO_MESSAGE, .. }), .. }) => Ok(None),
        Ok(Reply { error: Some(error), .. }) => Err(ReadError::new(what(), error.description)),
        _ => Err(ReadError::new(what(), "the reply is not JetStream's")),
    }
}

impl Message {
    fn read(self) -> Option<StoredMessage> {
        let stored_at = humantime::parse_rfc3339(&self.time).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(StoredMessage {
            // In JSON the broker replaces bytes that are not UTF-8 by a character outside ASCII. The NATS library
            // cannot receive a message on such a subject either.
            headers: if self.subject.is_ascii() {
                stored_headers(&BASE64_STANDARD.decode(&self.hdrs).ok()?)
            } else {
                None
            },
            subject: self.subject,
            sequence: self.seq,
            payload: BASE64_STANDARD.decode(&self.data).ok()?,
            stored_at: UnixMillis(millis(stored_at)),
        })
    }
}
