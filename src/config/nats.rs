//! The `[nats]` table: how the broker is reached.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

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

impl NatsConfig {
    /// The addresses, one by one, without the user who may stand in them.
    pub fn addresses(&self) -> Vec<String> {
        self.urls().map(|url| user_in(url).0).collect()
    }

    /// The addresses as a log may have them: `url` may hold a password.
    pub(crate) fn shown(&self) -> String {
        self.addresses().join(",")
    }

    /// The user name and password that one of the addresses carries.
    pub(crate) fn user(&self) -> Option<(String, String)> {
        self.urls().find_map(|url| user_in(url).1)
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
