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
        /// JetStream's words.
        description: String,
    },
    /// Nobody listens on that subject: no stream, no leader, or no permission.
    #[error("no stream listens there, or it has no leader just now")]
    NoStream,
    /// The connection's payload limit.
    #[error("larger than the broker takes")]
    TooLarge,
    /// Whether it was stored is not known.
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
    /// There is a message on this subject already, and the stream takes no second one. The broker has one
    /// number for this and for a full stream; only its words tell them apart.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, PublishError::Refused { err_code: STREAM_LIMIT, description } if description == ONE_A_SUBJECT)
    }

    /// The stream is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, PublishError::Refused { err_code: STREAM_LIMIT, .. }) && !self.is_taken()
    }

    /// It is larger than connection or stream will ever take.
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

/// Why JetStream refused something.
#[derive(Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// Publishes into a stream and waits for the broker's word.
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
        Ok(PublishAck { error: None, duplicate: true }) => {
            Err(PublishError::Refused { err_code: 0, description: "taken for a duplicate".to_owned() })
        }
        Ok(PublishAck { error: Some(error), .. }) => {
            Err(PublishError::Refused { err_code: error.err_code, description: error.description })
        }
        Err(_) => Err(PublishError::Unknown),
    }
}

/// The headers of a message of ours.
pub(crate) fn header_map(headers: impl IntoIterator<Item = (&'static str, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name, value);
    }
    map
}
