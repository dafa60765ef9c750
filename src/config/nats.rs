//! The `[nats]` table: the connection to the broker.

use std::io;
use std::path::PathBuf;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// The connection to the broker: the `[nats]` table of a configuration.
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
    /// The prefix of this connection's inboxes, if the account's permissions demand a prefix of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox_prefix: Option<String>,
    /// TLS settings beyond the scheme of the address.
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
    /// Whether the TLS handshake comes before the server's greeting, as with `handshake_first` on the server.
    pub first: bool,
}

/// An address of the broker is invalid.
#[derive(Debug, thiserror::Error)]
#[error("{address} is not an address of a broker; write nats://host:4222 or tls://host:4222")]
pub struct AddressError {
    /// The address without its user.
    address: String,
    source: io::Error,
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

impl NatsConfig {
    /// Returns the addresses, without the users and passwords in them. They may be logged; `url` may not.
    ///
    /// # Errors
    /// When one is invalid.
    pub fn addresses(&self) -> Result<Vec<ServerAddr>, AddressError> {
        self.url.split(',').map(|text| Ok(parse(text)?.0)).collect()
    }

    /// Returns the first user name and password in the addresses.
    pub(crate) fn user(&self) -> Result<Option<(String, String)>, AddressError> {
        let users: Vec<_> = self.url.split(',').map(|text| Ok(parse(text)?.1)).collect::<Result<_, _>>()?;
        Ok(users.into_iter().flatten().next())
    }
}

/// Joins addresses with commas, for people.
pub(crate) fn join(addresses: &[ServerAddr]) -> String {
    addresses.iter().map(ServerAddr::as_url_str).collect::<Vec<_>>().join(",")
}

/// Splits an address from its user and password, which the NATS library would ignore there.
fn parse(text: &str) -> Result<(ServerAddr, Option<(String, String)>), AddressError> {
    // A password must not get into an error.
    let failed = |source| AddressError {
        address: text.rsplit('@').next().unwrap_or_default().trim().to_owned(),
        source,
    };
    let address: ServerAddr = text.trim().parse().map_err(failed)?;
    let user = address.username().zip(address.password());
    let user = user.map(|(name, password)| (decode(name), decode(password)));
    let mut url = address.into_inner();
    // Both fail only without a host, and then there is no user either.
    let _ = (url.set_username(""), url.set_password(None));
    Ok((ServerAddr::from_url(url).map_err(failed)?, user))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(url: &str) -> NatsConfig {
        NatsConfig { url: url.to_owned(), ..NatsConfig::default() }
    }

    #[test]
    fn users_are_decoded_and_stand_in_no_address() {
        let user = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        for (url, addresses, expected) in [
            ("nats://host:4222", "nats://host:4222", None),
            ("host", "nats://host", None),
            ("nats://a:p%40%3A@host:4222", "nats://host:4222", user("a", "p@:")),
            ("nats://a:p@ss@host", "nats://host", user("a", "p@ss")),
            ("tls://one:4222, nats://b:c@[::1]:4223", "tls://one:4222,nats://[::1]:4223", user("b", "c")),
            ("nats://only-a-name@host", "nats://host", None),
        ] {
            let nats = nats(url);
            assert_eq!(join(&nats.addresses().unwrap()), addresses, "{url}");
            assert_eq!(nats.user().unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn a_password_stands_in_no_error() {
        for url in ["http://a:secret@host", "nats://a:secret@host:port", "nats://a:sec/ret@host"] {
            let error = nats(url).addresses().unwrap_err();
            assert!(error.to_string().starts_with("host"), "{error}");
            assert!(!format!("{error:?}").contains("ret"), "{error:?}");
        }
    }
}
