//! Names: tenant, circuit, job, key, deployment, lane and answer mode.
//!
//! Small types that parse and print. Every value is well formed, so a subject or a seal built from them
//! contains no dot, no newline and no wildcard.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::random::random_hex;

/// A name is not of the shape that the protocol gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: expected {shape}")]
pub struct BadName {
    what: &'static str,
    shape: &'static str,
}

impl BadName {
    pub(crate) fn new(what: &'static str, shape: &'static str) -> Self {
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
            /// The name as it stands in subjects, headers and the seal.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok($name(text.to_owned()))
                } else {
                    Err(BadName { what: $what, shape: $shape })
                }
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
    /// Who a job belongs to: the third token of its subject. In a multi-tenant deployment the broker
    /// writes it.
    Tenant, "tenant", "1 to 64 of A-Z a-z 0-9 _ -", "^[A-Za-z0-9_-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
);

name!(
    /// A circuit's name with its version, such as `membership-v1`. Another verifying key is another name.
    CircuitId, "circuit", "1 to 64 of a-z 0-9 -", "^[a-z0-9-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

name!(
    /// 128 random bits in 32 lower-case hexadecimal digits, chosen by the client and never used twice.
    JobId, "job id", "32 lower-case hexadecimal digits", "^[0-9a-f]{32}$",
    |text| sized(text, 32, 32) && lower_hex(text)
);

name!(
    /// The first 16 bytes of SHA-256 over scheme and public key, in 32 lower-case hexadecimal digits.
    KeyId, "key id", "32 lower-case hexadecimal digits", "^[0-9a-f]{32}$",
    |text| sized(text, 32, 32) && lower_hex(text)
);

name!(
    /// The name of a deployment, as its bundle gives it: what the operator calls the service.
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
    /// When the operating system has no randomness: nothing that follows would be safe.
    pub fn random() -> Self {
        JobId(random_hex::<16>())
    }
}

impl Default for Tenant {
    /// The tenant of a deployment that has only one.
    fn default() -> Self {
        Tenant("default".to_owned())
    }
}

/// Which of a tenant's two queues a job waits in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Served first.
    Express,
    /// Served next.
    #[default]
    Standard,
}

impl Lane {
    /// Both lanes, in the order in which they are served.
    pub const ALL: [Lane; 2] = [Lane::Express, Lane::Standard];

    /// The lane as it stands in subjects and in the seal.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Express => "express",
            Lane::Standard => "standard",
        }
    }
}

impl FromStr for Lane {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "express" => Ok(Lane::Express),
            "standard" => Ok(Lane::Standard),
            _ => Err(BadName { what: "lane", shape: "express or standard" }),
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the client wants its answer: sealed to the job's own secret, or in clear with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum AnswerMode {
    /// Only the client can read the answer.
    #[default]
    Sealed,
    /// Anybody on the broker can read the answer; only the client can tell it from a forgery.
    Open,
}

impl AnswerMode {
    /// The mode as it stands in headers and in the seal.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerMode::Sealed => "sealed",
            AnswerMode::Open => "open",
        }
    }
}

impl FromStr for AnswerMode {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "sealed" => Ok(AnswerMode::Sealed),
            "open" => Ok(AnswerMode::Open),
            _ => Err(BadName { what: "answer mode", shape: "sealed or open" }),
        }
    }
}

impl fmt::Display for AnswerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
