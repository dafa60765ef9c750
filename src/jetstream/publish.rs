//! Publishing into a stream, with the acknowledgement read from the reply.
//!
//! A publish is a plain request here: the protocol's decisions depend on JetStream's error codes and descriptions,
//! which a typed publish hides.

use async_nats::{Client, HeaderMap, Request, RequestErrorKind};
use serde::Deserialize;

use super::connection::REQUEST_TIMEOUT;

/// A publish was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The broker refuses it.
    #[error("the broker refuses it: {description} ({err_code})")]
    Refused {
        /// JetStream's error code.
        err_code: u64,
        /// JetStream's description.
        description: String,
    },
    /// The subject has no responder: no stream, no leader, or no permission.
    #[error("no stream listens there, or it has no leader just now")]
    NoStream,
    /// It exceeds the connection's payload limit, so nothing was sent.
    #[error("larger than the broker takes")]
    TooLarge,
    /// No reply came in time. It may be stored.
    #[error("not acknowledged in time")]
    Unknown,
}

/// JetStream's "maximum … exceeded" of a stream that discards what is new.
const STREAM_LIMIT: u64 = 10077;
/// That limit, where it means that there is a message on this very subject.
const ONE_A_SUBJECT: &str = "maximum messages per subject exceeded";
/// JetStream's "message size exceeds maximum allowed".
#[cfg(feature = "service")]
const MESSAGE_TOO_LARGE: u64 = 10054;

impl PublishError {
    /// Returns whether there is a message on this subject already, and the stream takes no second one.
    pub(crate) fn is_taken(&self) -> bool {
        // One code stands for this and for a full stream. Only the description distinguishes a job that is stored from
        // one that is not.
        matches!(self, PublishError::Refused { err_code: STREAM_LIMIT, description } if description == ONE_A_SUBJECT)
    }

    /// Returns whether the stream is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, PublishError::Refused { err_code: STREAM_LIMIT, .. }) && !self.is_taken()
    }

    /// Returns whether it is larger than connection or stream will ever take.
    #[cfg(feature = "service")]
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, PublishError::TooLarge | PublishError::Refused { err_code: MESSAGE_TOO_LARGE, .. })
    }
}

#[derive(Deserialize)]
struct PublishAck {
    error: Option<ApiError>,
    #[serde(default)]
    duplicate: bool,
}

/// The reason of a refusal by JetStream.
#[derive(Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// Publishes into a stream and waits for the broker's acknowledgement.
///
/// # Errors
/// When it is not stored, or that is not known.
pub(crate) async fn publish(
    client: &Client,
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
) -> Result<(), PublishError> {
    let request = Request::new().headers(headers).payload(payload.into()).timeout(Some(REQUEST_TIMEOUT));
    let reply = client.send_request(subject, request).await.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => PublishError::NoStream,
        RequestErrorKind::MaxPayloadExceeded => PublishError::TooLarge,
        _ => PublishError::Unknown,
    })?;
    match serde_json::from_slice::<PublishAck>(&reply.payload) {
        Ok(PublishAck { error: None, duplicate: false }) => Ok(()),
        // JetStream drops a duplicate and reports success. It compares a message id, which no message here has, over
        // all subjects of a stream: what it has kept is another message.
        Ok(PublishAck { error: None, duplicate: true }) => {
            Err(PublishError::Refused { err_code: 0, description: "taken for a duplicate".to_owned() })
        }
        Ok(PublishAck { error: Some(error), .. }) => {
            Err(PublishError::Refused { err_code: error.err_code, description: error.description })
        }
        Err(_) => Err(PublishError::Unknown),
    }
}

/// Returns these headers as the NATS library takes them.
pub(crate) fn header_map(headers: impl IntoIterator<Item = (&'static str, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name, value);
    }
    map
}
