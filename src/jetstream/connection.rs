//! Connecting to the broker.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::rustls::pki_types::pem::{self, PemObject};
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::{Client, Event, ServerAddr, ServerError};

use crate::backoff::Waits;
use crate::config::{NatsConfig, TlsConfig};

/// How long one request may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the connection is probed; after two probes without an answer it is given up.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// The first and the longest wait before the next attempt to connect.
const RECONNECT_WAITS: Waits = Waits::between(Duration::from_millis(50), Duration::from_secs(4));

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
        if let Some((name, password)) = self.user() {
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
    RECONNECT_WAITS.nth(attempts)
}
