//! Connecting to the broker, with the credentials and the TLS settings of the configuration.
//!
//! Clients, services and operators connect here. A file that cannot be used is an error here, with its name, before the
//! NATS library passes over it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::rustls::pki_types::pem::{self, PemObject};
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::{Client, Event, ServerError};

use crate::backoff::Waits;
use crate::config::{AddressError, NatsConfig, TlsConfig, join_addresses};

/// Time limit of one request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which the connection is probed. After two probes without an answer it is given up, so a broker that is
/// away is noticed within nine seconds; the library's own interval would take three minutes.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// The first and the longest wait before the next attempt to connect.
const RECONNECT_WAITS: Waits = Waits::between(Duration::from_millis(50), Duration::from_secs(4));

/// A connection cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file that the configuration names cannot be used.
    #[error("read {what} {path}")]
    File {
        /// Expected content.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `certificate` and `key` come together.
    #[error("tls.certificate and tls.key are given together or not at all")]
    HalfIdentity,
    /// An address is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The broker cannot be reached or refuses.
    #[error("connect to the broker at {url}: is it running, and are {settings} right?")]
    Broker {
        /// Its addresses, without users.
        url: String,
        /// The settings that may be wrong.
        settings: &'static str,
        /// The cause.
        source: LibraryError,
    },
}

/// An error of the NATS library. Its text contains its causes, so it has no source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LibraryError(Box<dyn std::error::Error + Send + Sync>);

impl LibraryError {
    pub(super) fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        LibraryError(error.into())
    }
}

impl NatsConfig {
    /// Returns the options of a connection called `name`.
    ///
    /// # Errors
    /// When a file or an address that the configuration names cannot be used.
    pub async fn options(&self, name: &str) -> Result<async_nats::ConnectOptions, ConnectError> {
        let mut options = async_nats::ConnectOptions::new()
            .name(name)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(reconnect_delay);
        if let Some((name, password)) = self.user()? {
            options = options.user_and_password(name, password);
        }
        if let Some(path) = &self.credentials {
            options = options.credentials_file(path).await.map_err(|source| ConnectError::File {
                what: "credentials",
                path: path.clone(),
                source,
            })?;
        }
        if let Some(path) = &self.nkey {
            let seed = tokio::fs::read_to_string(path).await.map_err(|source| ConnectError::File {
                what: "the nkey seed",
                path: path.clone(),
                source,
            })?;
            // Editors and `echo` end the file with a newline, which is not part of the seed.
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

    /// Connects, with a single attempt.
    ///
    /// # Errors
    /// When that fails.
    pub async fn connect(&self, name: &str) -> Result<Client, ConnectError> {
        // The broker reports a missing permission as an event of the connection alone. The request that lacked it ends
        // in a time-out, which would send the user looking elsewhere.
        let options = self.options(name).await?.event_callback(async |event| {
            if let Event::ServerError(ServerError::Other(refused)) = event {
                tracing::warn!("the broker says: {refused}; are user, tenant and inbox_prefix right?");
            }
        });
        let addresses = self.addresses()?;
        let connected = options.connect(&addresses[..]).await;
        connected.map_err(|error| ConnectError::Broker {
            url: join_addresses(&addresses),
            settings: match &self.tls {
                Some(_) => "address, credentials and [nats.tls] (authority, first)",
                None => "address and credentials",
            },
            source: LibraryError::new(error),
        })
    }
}

impl TlsConfig {
    fn apply(
        &self,
        mut options: async_nats::ConnectOptions,
    ) -> Result<async_nats::ConnectOptions, ConnectError> {
        // Even where the address says `nats://`: the library would send the credentials in clear.
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

/// Checks that a file holds at least one certificate and no broken one.
fn has_certificates(what: &'static str, path: &Path) -> Result<(), ConnectError> {
    // The library passes over a certificate that it cannot read, and then trusts fewer authorities than the file lists.
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
        // The parser's message may quote the file, which may be a private key.
        _ => io::Error::new(io::ErrorKind::InvalidData, "it holds none in PEM, or a broken one"),
    };
    ConnectError::File { what, path: path.to_owned(), source }
}

/// Returns the wait before an attempt, with jitter: after a restart of the broker, clients come back spread over time.
fn reconnect_delay(attempts: usize) -> Duration {
    RECONNECT_WAITS.nth(attempts)
}
