//! Names: tenant, circuit, job, key, deployment, lane and answer mode.
//!
//! Each is checked where it is parsed. So a subject or a seal that is built from names holds no dot, no newline and no
//! wildcard that was not meant.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::random::random_hex;

/// A text that does not have the form of the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: expected {shape}")]
pub struct BadName {
    what: &'static str,
    shape: &'static str,
}

impl BadName {
    /// An error about a `what`, which should be `shape`. It never quotes the text: that may be a secret in the wrong
    /// place.
    pub(crate) const fn new(what: &'static str, shape: &'static str) -> Self {
        BadName { what, shape }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $shape:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        // The schema is that of the field below, which says the pattern.
        #[schemars(!try_from, !into)]
        pub struct $name(#[schemars(regex(pattern = $pattern))] String);

        impl $name {
            /// Returns the name as it stands in subjects, headers and the seal.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let is_valid: fn(&str) -> bool = $valid;
                if !is_valid(text) {
                    return Err(BadName::new($what, $shape));
                }
                Ok($name(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The tenant that a job belongs to: the third token of its subject. In a multi-tenant deployment the broker writes
    /// it.
    Tenant, "tenant", "1 to 64 of A-Z a-z 0-9 _ -", "^[A-Za-z0-9_-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
);

name!(
    /// The name of a circuit with its version, such as `membership-v1`. A circuit with a different verifying key must
    /// have a different name.
    CircuitId, "circuit", "1 to 64 of a-z 0-9 -", "^[a-z0-9-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

name!(
    /// The id of a job: 128 random bits in 32 lower-case hexadecimal digits, drawn by the client and never used twice.
    JobId, "job id", "32 lower-case hexadecimal digits", "^[0-9a-f]{32}$",
    |text| sized(text, 32, 32) && lower_hex(text)
);

name!(
    /// The id of a key: the first 16 bytes of SHA-256 over scheme and public key, in 32 lower-case hexadecimal digits.
    KeyId, "key id", "32 lower-case hexadecimal digits", "^[0-9a-f]{32}$",
    |text| sized(text, 32, 32) && lower_hex(text)
);

name!(
    /// The name of a deployment, which its operator chooses and its bundle states.
    Deployment, "deployment", "1 to 64 of A-Z a-z 0-9 _ . -", "^[A-Za-z0-9_.-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
);

fn sized(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len())
}

pub(super) fn lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl JobId {
    /// Draws a new id from the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness. Nothing that follows would be safe.
    pub fn random() -> Self {
        JobId(random_hex::<16>())
    }
}

impl Default for Tenant {
    /// Returns the tenant of a deployment that has only one.
    fn default() -> Self {
        Tenant("default".to_owned())
    }
}

closed_set! {
    /// The queue of a tenant that a job waits in.
    #[derive(Default)]
    pub Lane, "lane" {
        /// Served first.
        Express = "express",
        /// Served next.
        #[default]
        Standard = "standard",
    }
}

closed_set! {
    /// The form in which the client wants its answer.
    #[derive(Default)]
    pub AnswerMode, "answer mode" {
        /// Sealed to the job's own secret: only the client can read it.
        #[default]
        Sealed = "sealed",
        /// In clear, with a tag: anyone on the broker can read it, and only the client can tell it from a forgery.
        Open = "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_job_ids_are_well_formed_and_differ() {
        let (one, two) = (JobId::random(), JobId::random());
        assert_ne!(one, two);
        assert_eq!(one.as_str().parse::<JobId>().unwrap(), one);
    }
}
