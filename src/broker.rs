//! The broker as client and service see it: connecting, and publishing with the broker's own word on it.
//!
//! Publishing is a plain request here, because the decisions of the protocol hang on the broker's error
//! codes and descriptions, which a typed publish hides.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::DirectGetErrorKind;
use async_nats::rustls::pki_types::pem::{self, PemObject};
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::{Client, Event, HeaderMap, Request, RequestErrorKind, ServerAddr, ServerError};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::job::Tenant;

mod headers;

pub use headers::stored_headers;

/// How long one request may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the connection is probed; after two probes without an answer it is given up.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// The first and the longest wait before the next attempt to connect.
const RECONNECT_WAIT: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(4)];

/// How the broker is reached: the `[nats]` table of a configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConfig {
    /// One or more addresses, separated by commas: `nats://host:4222`, `tls://host:4222`, or with a user,
    /// `nats://name:password@host:4222`.
    pub url: String,
    /// A credentials file (JWT and nkey seed), as `nsc` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PathBuf>,
    /// A file that holds an nkey seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<PathBuf>,
    /// The prefix of this connection's inboxes, where the account's permissions want one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox_prefix: Option<String>,
    /// TLS, where the address alone does not say enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// TLS to the broker: the `[nats.tls]` table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Certificates of the authorities that are trusted in place of the system's, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// This side's certificate, in PEM, for mutual TLS. Needs `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Whether the TLS handshake comes before the server's greeting, as `handshake_first` there.
    pub first: bool,
}

impl Default for NatsConfig {
    fn default() -> Self {
        NatsConfig {
            url: "nats://127.0.0.1:4222".to_owned(),
            credentials: None,
            nkey: None,
            inbox_prefix: None,
            tls: None,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file that the configuration names cannot be used.
    #[error("read {what} {path}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// `certificate` and `key` come together.
    #[error("tls.certificate and tls.key are given together or not at all")]
    HalfIdentity,
    /// An address is not one.
    #[error("{url} is no address of a broker; write nats://host:4222 or tls://host:4222")]
    Address {
        /// What stands in its place.
        url: String,
        /// Why it is none.
        source: io::Error,
    },
    /// The broker cannot be reached or refuses.
    #[error("connect to the broker at {url}: is it running, and are {settings} right?")]
    Broker {
        /// Its address.
        url: String,
        /// What may be wrong with the configuration.
        settings: &'static str,
        /// What happened.
        source: async_nats::ConnectError,
    },
}

impl NatsConfig {
    /// The options of a connection called `name`.
    ///
    /// # Errors
    /// When a file or an address that the configuration names cannot be used.
    pub async fn options(&self, name: &str) -> Result<async_nats::ConnectOptions, ConnectError> {
        for url in self.addresses() {
            url.parse::<ServerAddr>().map_err(|source| ConnectError::Address { url, source })?;
        }
        let mut options = async_nats::ConnectOptions::new()
            .name(name)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(reconnect_delay);
        if let Some((name, password)) = self.urls().find_map(|url| user_in(url).1) {
            options = options.user_and_password(name, password);
        }
        if let Some(path) = &self.credentials {
            let file = |source| ConnectError::File { what: "credentials", path: path.clone(), source };
            options = options.credentials_file(path).await.map_err(file)?;
        }
        if let Some(path) = &self.nkey {
            let file = |source| ConnectError::File { what: "the nkey seed", path: path.clone(), source };
            let seed = tokio::fs::read_to_string(path).await.map_err(file)?;
            options = options.nkey(seed.trim().to_owned());
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        match &self.tls {
            Some(tls) => tls.apply(options),
            None => Ok(options),
        }
    }

    /// Connects, once. What the broker refuses later is a warning in the log: to whoever asked it looks like no answer.
    ///
    /// # Errors
    /// When that fails.
    pub async fn connect(&self, name: &str) -> Result<Client, ConnectError> {
        let options = self.options(name).await?.event_callback(async |event| {
            if let Event::ServerError(ServerError::Other(refused)) = event {
                tracing::warn!("the broker says: {refused}; are user, tenant and inbox_prefix right?");
            }
        });
        let settings = match &self.tls {
            Some(_) => "address, credentials and [nats.tls] (authority, first)",
            None => "address and credentials",
        };
        let broker = |source| ConnectError::Broker { url: self.shown(), settings, source };
        options.connect(self.addresses()).await.map_err(broker)
    }

    /// The addresses, one by one, without the user who may stand in them.
    pub fn addresses(&self) -> Vec<String> {
        self.urls().map(|url| user_in(url).0).collect()
    }

    /// The addresses as a log may have them: `url` may hold a password.
    pub(crate) fn shown(&self) -> String {
        self.addresses().join(",")
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.url.split(',').map(str::trim)
    }
}

/// An address, and the user who stands in it, which the NATS library does not look for there.
fn user_in(url: &str) -> (String, Option<(String, String)>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    let Some((user, host)) = rest.rsplit_once('@') else { return (url.to_owned(), None) };
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = user.split_once(':').map(|(name, password)| (decoded(name), decoded(password)));
    (format!("{scheme}://{host}"), user)
}

impl TlsConfig {
    fn apply(
        &self,
        mut options: async_nats::ConnectOptions,
    ) -> Result<async_nats::ConnectOptions, ConnectError> {
        options = options.require_tls(true);
        if self.first {
            options = options.tls_first();
        }
        if let Some(ca) = &self.ca {
            has_certificates("the authorities' certificates", ca)?;
            options = options.add_root_certificates(ca.clone());
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                has_certificates("the certificate", certificate)?;
                PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("the private key", key, error))?;
                Ok(options.add_client_certificate(certificate.clone(), key.clone()))
            }
            (None, None) => Ok(options),
            _ => Err(ConnectError::HalfIdentity),
        }
    }
}

/// At least one, and nothing that looks like one and is none: the library passes over what it cannot read.
fn has_certificates(what: &'static str, path: &Path) -> Result<(), ConnectError> {
    let unusable = |error| unusable(what, path, error);
    let mut certificates = CertificateDer::pem_file_iter(path).map_err(unusable)?.peekable();
    if certificates.peek().is_none() {
        return Err(unusable(pem::Error::NoItemsFound));
    }
    certificates.try_for_each(|certificate| certificate.map(drop)).map_err(unusable)
}

fn unusable(what: &'static str, path: &Path, error: pem::Error) -> ConnectError {
    let source = match error {
        pem::Error::Io(error) => error,
        // Its words may be what stands in the file.
        _ => io::Error::new(io::ErrorKind::InvalidData, "it holds none in PEM, or a broken one"),
    };
    ConnectError::File { what, path: path.to_owned(), source }
}

/// So that a thousand clients do not come back in the same moment.
fn reconnect_delay(attempts: usize) -> Duration {
    Backoff::new(RECONNECT_WAIT).nth(attempts)
}

/// Waits that double from the first to the longest, with jitter, and never end.
pub(crate) struct Backoff {
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new([first, longest]: [Duration; 2]) -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
        Backoff { waits: builder.with_jitter().without_max_times().build(), longest }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        self.waits.next().unwrap_or(self.longest)
    }

    /// The wait after so many others.
    pub(crate) fn nth(mut self, index: usize) -> Duration {
        self.waits.nth(index.min(WAITS_UNTIL_LONGEST)).unwrap_or(self.longest)
    }

    /// Sleeps for the next wait.
    #[cfg(feature = "service")]
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

/// After so many waits, every backoff here is at its longest.
const WAITS_UNTIL_LONGEST: usize = 16;

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

/// A message as it lies in a stream.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
}

impl Stored {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }
}

/// A read from a stream failed: nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("read {subject}")]
pub struct ReadError {
    subject: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The last message on a subject, as any replica has it: "not found" means "not yet".
pub(crate) async fn direct_get(
    context: &jetstream::Context,
    stream: &str,
    subject: &str,
) -> Result<Option<Stored>, ReadError> {
    let failed = |source| ReadError { subject: subject.to_owned(), source };
    let stream = context.get_stream_no_info(stream).await.map_err(|error| failed(error.into()))?;
    match stream.direct_get_last_for_subject(subject).await {
        Ok(found) => Ok(Some(Stored { headers: found.headers, payload: found.payload.to_vec() })),
        Err(error) if matches!(error.kind(), DirectGetErrorKind::NotFound) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// The stream that a tenant's answers are kept in.
pub(crate) fn answers_stream(tenant: &Tenant) -> String {
    format!("PROVE_ANSWERS_{tenant}")
}

/// The stream of last known states.
pub(crate) const STATUS_STREAM: &str = "PROVE_STATUS";
