//! SHA-256 digests: of a verifying key, of a catalogue of them, of a line of the audit log.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::names::{BadName, lower_hex};

/// The digest of a pinned verifying key.
pub type VerifyingKeyDigest = Sha256Digest;

/// A SHA-256 digest, written as `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// The digest before the first line of an audit chain.
    pub const ZERO: Sha256Digest = Sha256Digest([0; 32]);

    /// Hashes `bytes`.
    pub fn hash(bytes: &[u8]) -> Self {
        Sha256Digest(Sha256::digest(bytes).into())
    }
}

impl FromStr for Sha256Digest {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName::new("digest", "sha256: and 64 lower-case hexadecimal digits");
        let digits = text.strip_prefix("sha256:").filter(|digits| lower_hex(digits)).ok_or(bad.clone())?;
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| bad)?;
        Ok(Sha256Digest(digest))
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Returns the digest that a job's header and the bundle pin.
///
/// That is the only verifying key's own digest. Where a circuit has several, it is the SHA-256 over their sorted
/// lines `<label>:<digest>\n`.
pub fn catalogue_digest<L: AsRef<str>>(keys: &[(L, VerifyingKeyDigest)]) -> VerifyingKeyDigest {
    if let [(_, only)] = keys {
        return *only;
    }
    let mut lines: Vec<String> =
        keys.iter().map(|(label, digest)| format!("{}:{digest}\n", label.as_ref())).collect();
    lines.sort();
    Sha256Digest::hash(lines.concat().as_bytes())
}
