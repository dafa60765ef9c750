//! The bundle: the keys and circuits of a deployment, signed by an identity that no service holds.
//!
//! The operator signs it on the machine that has the identity key. The service serves the signed bytes. The client
//! checks them against the identity that it has pinned. This module reads no file and no clock.

use std::collections::BTreeSet;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::base64::Base64;
use super::digest::{VerifyingKeyDigest, catalogue_digest};
use super::headers::VERSION;
use super::limits::{ANSWER_GRACE, JOB_LIFETIME_MAX};
use super::names::{CircuitId, Deployment, KeyId};
use super::random;
use super::seal::{Scheme, key_id};
use super::time::UnixSeconds;

/// Prefix of the signed bytes. With it, a signature over a bundle is not valid for anything else.
const LABEL: &[u8] = b"sealprove/1 bundle\n";

/// The keys and circuits of a deployment. All times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bundle {
    /// Version of the protocol.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Name of the deployment. Every seal binds it.
    pub deployment: Deployment,
    /// Identity that signs it, for a client that has none pinned yet and trusts on first use. A client that has one
    /// pinned checks against that one alone.
    pub identity: Identity,
    /// Serial number, which increases with every bundle. A client rejects a serial lower than one it has accepted.
    pub serial: u64,
    /// Time of signing.
    pub issued_at: UnixSeconds,
    /// Time from which clients reject it.
    pub expires_at: UnixSeconds,
    /// Keys that clients may seal to. Keys of a scheme that this version does not know are ignored.
    #[serde(deserialize_with = "known_keys")]
    pub keys: Vec<BundleKey>,
    /// Circuits that the deployment proves.
    pub circuits: Vec<BundleCircuit>,
}

/// A recipient public key, with its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleKey {
    /// Id of the key, which follows from scheme and key.
    pub id: KeyId,
    /// Scheme of seals to it.
    pub scheme: Scheme,
    /// Base64 of the key: 32 bytes for `x25519`, 1216 for `xwing`.
    pub public_key: Base64,
    /// Time from which clients seal to it.
    pub seal_from: UnixSeconds,
    /// Time from which clients no longer seal to it.
    pub seal_until: UnixSeconds,
    /// Latest deadline of a job that is sealed to it.
    pub open_until: UnixSeconds,
}

/// Reads the keys of known schemes. A deployment may list keys of schemes that are newer than this program.
fn known_keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<BundleKey>, D::Error> {
    let keys = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let known = keys.into_iter().filter(|key| Scheme::deserialize(&key["scheme"]).is_ok());
    // A known scheme with a malformed key is an error: it would otherwise look as if the key had been withdrawn.
    known
        .map(|key| serde_json::from_value(key).map_err(|_| serde::de::Error::custom("expected a key")))
        .collect()
}

/// A circuit, as far as a client needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleCircuit {
    /// Name of the circuit.
    pub id: CircuitId,
    /// Digest that the job's header pins.
    pub verifying_key: VerifyingKeyDigest,
    /// Verifying keys by label, if there are several. `verifying_key` is then the SHA-256 over their sorted lines
    /// `<label>:<digest>\n`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifying_keys: Vec<LabelledKey>,
    /// Media type of a witness.
    pub media_type: String,
    /// JSON Schema of a witness, if it is JSON.
    pub schema: Option<serde_json::Value>,
    /// Largest witness, in bytes.
    pub witness_bytes_max: u32,
    /// Largest answer, in bytes.
    pub answer_bytes_max: u32,
}

/// One of several verifying keys of a circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelledKey {
    /// Label of the key.
    pub label: String,
    /// SHA-256 over the pinned key.
    pub digest: VerifyingKeyDigest,
}

/// A signed bundle: exactly the bytes that were signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedBundle {
    /// Base64 of the bundle's JSON.
    pub payload: Base64,
    /// Base64 of the Ed25519 signature (RFC 8032), 64 bytes, over `"sealprove/1 bundle\n" ‖ payload`.
    pub signature: Base64,
}

/// The public half of the identity key, which clients pin. 32 bytes, written as `ed25519:` and base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^ed25519:[A-Za-z0-9+/]{43}=$"))]
pub struct Identity([u8; 32]);

/// The private half of the identity key: 32 bytes, which the operator keeps off-line.
pub struct IdentityKey(SigningKey);

/// The reason for which a bundle is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bundle is malformed.
    #[error("the bundle is malformed: {0}")]
    Malformed(&'static str),
    /// The bundle is not signed by the pinned identity.
    #[error("the bundle is not signed by the pinned identity {0}")]
    Signature(Identity),
    /// The bundle has expired.
    #[error("the bundle expired at {}; the operator signs a new one with `sealprove bundle sign`", .0.to_rfc3339())]
    Expired(UnixSeconds),
    /// The bundle is older than one that was accepted before.
    #[error(
        "the bundle has serial {found}, but serial {seen} was accepted before; ask the operator which service still \
         serves the old one"
    )]
    Rollback {
        /// Serial of the bundle.
        found: u64,
        /// Highest serial that was accepted.
        seen: u64,
    },
}

impl Bundle {
    /// Signs the bundle. The bytes are fixed here: services and clients pass them on as they are.
    pub fn sign(&self, key: &IdentityKey) -> SignedBundle {
        // Cannot panic: the type has no map with keys that are not strings.
        let payload = serde_json::to_vec(self).expect("a bundle serialises");
        let signature = key.0.sign(&[LABEL, &payload].concat());
        SignedBundle { payload: Base64(payload), signature: Base64(signature.to_bytes().to_vec()) }
    }

    /// Returns the newest key that may be sealed to at `now` for a job that expires at `expires`, of the first of
    /// these schemes that has one.
    pub fn key_for(&self, schemes: &[Scheme], now: UnixSeconds, expires: UnixSeconds) -> Option<&BundleKey> {
        schemes.iter().find_map(|scheme| {
            self.keys
                .iter()
                .filter(|key| key.scheme == *scheme)
                .filter(|key| (key.seal_from..key.seal_until).contains(&now) && expires <= key.open_until)
                .max_by_key(|key| key.seal_from)
        })
    }

    /// Returns the circuit with this name.
    pub fn circuit(&self, id: &CircuitId) -> Option<&BundleCircuit> {
        self.circuits.iter().find(|circuit| circuit.id == *id)
    }

    /// Checks what must hold under any signature: the version, the ids, the lives and the digests. An operator's
    /// mistake is as bad for a client as a forger's intent.
    fn check(self) -> Result<Self, BundleError> {
        if self.version != VERSION {
            return Err(BundleError::Malformed("unsupported version"));
        }
        if has_twice(self.keys.iter().map(|key| &key.id)) {
            return Err(BundleError::Malformed("a key is listed twice"));
        }
        if has_twice(self.circuits.iter().map(|circuit| &circuit.id)) {
            return Err(BundleError::Malformed("a circuit is listed twice"));
        }
        for key in &self.keys {
            if key.public_key.0.len() != key.scheme.public_key_bytes() {
                return Err(BundleError::Malformed("a key is not of its scheme's length"));
            }
            if key_id(key.scheme, &key.public_key.0) != key.id {
                return Err(BundleError::Malformed("a key id does not follow from its key"));
            }
            // A client may submit until the bundle expires, and its job then lives for a day. The key must open it to the end.
            if key.seal_from >= key.seal_until
                || key.open_until < self.expires_at + JOB_LIFETIME_MAX + ANSWER_GRACE
            {
                return Err(BundleError::Malformed("a key's life ends before jobs sealed to it can"));
            }
        }
        for circuit in &self.circuits {
            let keys: Vec<_> = circuit.verifying_keys.iter().map(|key| (&key.label, key.digest)).collect();
            if !keys.is_empty() && catalogue_digest(&keys) != circuit.verifying_key {
                return Err(BundleError::Malformed("a circuit's verifying keys do not make its digest"));
            }
        }
        Ok(self)
    }
}

/// Returns whether a name is listed twice, so that it would not be clear which entry counts.
fn has_twice<'a, T: Ord + 'a>(names: impl Iterator<Item = &'a T>) -> bool {
    let mut seen = BTreeSet::new();
    !names.into_iter().all(|name| seen.insert(name))
}

impl BundleCircuit {
    /// Returns whether an answer may name this verifying key.
    pub fn has_key(&self, digest: VerifyingKeyDigest) -> bool {
        if self.verifying_keys.is_empty() {
            self.verifying_key == digest
        } else {
            self.verifying_keys.iter().any(|key| key.digest == digest)
        }
    }
}

impl SignedBundle {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// When the bytes are not of that form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        serde_json::from_slice(bytes).map_err(|_| BundleError::Malformed("expected {payload, signature}"))
    }

    /// Writes the JSON form, with a newline at the end.
    pub fn to_json(&self) -> Vec<u8> {
        // Cannot panic: two strings.
        let mut json = serde_json::to_vec(self).expect("a signed bundle serialises");
        json.push(b'\n');
        json
    }

    /// Returns the bundle, if `identity` signed it, it has not expired at `now`, and it is no older than serial
    /// `seen`.
    ///
    /// # Errors
    /// When one of these does not hold, or the bundle is malformed.
    pub fn verify(&self, identity: Identity, now: UnixSeconds, seen: u64) -> Result<Bundle, BundleError> {
        let signature =
            Signature::from_slice(&self.signature.0).map_err(|_| BundleError::Signature(identity))?;
        let key = VerifyingKey::from_bytes(&identity.0).map_err(|_| BundleError::Signature(identity))?;
        // Strict: it rejects keys of low order, under which one signature verifies many messages.
        key.verify_strict(&[LABEL, &self.payload.0].concat(), &signature)
            .map_err(|_| BundleError::Signature(identity))?;
        let bundle = self.read_unverified()?;
        // A client that trusts on first use pins the identity that the bundle names.
        if bundle.identity != identity {
            return Err(BundleError::Malformed("it names another identity than the one that signed it"));
        }
        if bundle.expires_at <= now {
            return Err(BundleError::Expired(bundle.expires_at));
        }
        if bundle.serial < seen {
            return Err(BundleError::Rollback { found: bundle.serial, seen });
        }
        Ok(bundle)
    }

    /// Returns the bundle without checking its signature, for a service: its operator configures what it serves.
    ///
    /// # Errors
    /// When the bundle is malformed.
    pub fn read_unverified(&self) -> Result<Bundle, BundleError> {
        let malformed = BundleError::Malformed("the payload is not a bundle of this version");
        // serde_json does not look for bytes outside UTF-8 in members that it skips.
        let text = str::from_utf8(&self.payload.0).map_err(|_| malformed.clone())?;
        serde_json::from_str::<Bundle>(text).map_err(|_| malformed)?.check()
    }
}

impl IdentityKey {
    /// Draws a new identity from the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(seed.as_mut_slice());
        Self::from_bytes(&seed)
    }

    /// Reads the 32 bytes of the seed (RFC 8032 section 5.1.5).
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        IdentityKey(SigningKey::from_bytes(seed))
    }

    /// Returns the seed.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns the public half.
    pub fn identity(&self) -> Identity {
        Identity(self.0.verifying_key().to_bytes())
    }
}

impl std::fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentityKey({})", self.identity())
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ed25519:{}", BASE64_STANDARD.encode(self.0))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for Identity {
    type Err = BundleError;
    fn from_str(text: &str) -> Result<Self, BundleError> {
        let malformed = BundleError::Malformed("an identity is ed25519: and base64 of 32 bytes");
        let bytes = text.trim().strip_prefix("ed25519:").and_then(|text| BASE64_STANDARD.decode(text).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Identity).ok_or(malformed)
    }
}

impl TryFrom<String> for Identity {
    type Error = BundleError;
    fn try_from(text: String) -> Result<Self, BundleError> {
        text.parse()
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> String {
        identity.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::seal::generate_key;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);
    const MINUTE: Duration = Duration::from_secs(60);

    fn identity_key() -> IdentityKey {
        IdentityKey::from_bytes(&[7; 32])
    }

    fn key(seal_from: UnixSeconds) -> BundleKey {
        key_of(Scheme::X25519, seal_from)
    }

    fn key_of(scheme: Scheme, seal_from: UnixSeconds) -> BundleKey {
        let (_, public) = generate_key(scheme);
        BundleKey {
            id: key_id(scheme, &public),
            scheme,
            public_key: Base64(public),
            seal_from,
            seal_until: NOW + DAY * 30,
            open_until: NOW + DAY * 60,
        }
    }

    fn bundle() -> Bundle {
        Bundle {
            version: "1".into(),
            deployment: "lab".parse().unwrap(),
            identity: identity_key().identity(),
            serial: 7,
            issued_at: NOW,
            expires_at: NOW + DAY * 30,
            keys: vec![key(NOW - DAY), key(NOW - DAY * 2), key(NOW + DAY)],
            circuits: vec![],
        }
    }

    #[test]
    fn a_signed_bundle_is_accepted_by_its_identity_alone() {
        let identity = identity_key();
        let signed = SignedBundle::from_json(&bundle().sign(&identity).to_json()).unwrap();
        assert_eq!(signed.verify(identity.identity(), NOW, 7).unwrap(), bundle_like(&signed));

        let other = IdentityKey::generate().identity();
        assert_eq!(signed.verify(other, NOW, 0), Err(BundleError::Signature(other)));
        for index in [0, signed.payload.0.len() / 2, signed.payload.0.len() - 1] {
            let mut changed = signed.clone();
            changed.payload.0[index] ^= 1;
            assert!(changed.verify(identity.identity(), NOW, 0).is_err());
        }
    }

    fn bundle_like(signed: &SignedBundle) -> Bundle {
        signed.read_unverified().unwrap()
    }

    #[test]
    fn a_key_of_an_unknown_scheme_is_ignored() {
        let mut json = serde_json::to_value(bundle()).unwrap();
        json["keys"][0]["scheme"] = "next".into();
        let read: Bundle = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.keys.len(), 2);
        json["keys"][1]["public_key"] = 7.into();
        assert!(serde_json::from_value::<Bundle>(json).is_err());
    }

    #[test]
    fn an_old_or_expired_bundle_is_refused() {
        let identity = identity_key();
        let signed = bundle().sign(&identity);
        let verify = |now, seen| signed.verify(identity.identity(), now, seen);
        assert_eq!(verify(NOW, 8), Err(BundleError::Rollback { found: 7, seen: 8 }));
        assert_eq!(verify(NOW + DAY * 30, 0), Err(BundleError::Expired(NOW + DAY * 30)));
    }

    #[test]
    fn a_key_that_could_strand_a_job_is_refused() {
        let mut bundle = bundle();
        bundle.keys[0].open_until = bundle.expires_at + JOB_LIFETIME_MAX;
        let signed = bundle.sign(&IdentityKey::generate());
        assert!(matches!(signed.read_unverified(), Err(BundleError::Malformed(_))));
    }

    #[test]
    fn a_key_id_must_follow_from_its_key() {
        let mut bundle = bundle();
        bundle.keys[0].public_key.0[0] ^= 1;
        let signed = bundle.sign(&IdentityKey::generate());
        assert!(matches!(signed.read_unverified(), Err(BundleError::Malformed(_))));
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        let mut bundle = bundle();
        bundle.keys[0].public_key.0.pop();
        bundle.keys[0].id = key_id(Scheme::X25519, &bundle.keys[0].public_key.0);
        let signed = bundle.sign(&IdentityKey::generate());
        assert!(matches!(signed.read_unverified(), Err(BundleError::Malformed(_))));
    }

    #[test]
    fn the_newest_key_that_may_be_sealed_to_is_chosen() {
        let bundle = bundle();
        let key_for = |now, expires| bundle.key_for(&Scheme::STRONGEST_FIRST, now, expires);
        assert_eq!(key_for(NOW, NOW + MINUTE), Some(&bundle.keys[0]));
        assert_eq!(key_for(NOW - DAY - MINUTE, NOW), Some(&bundle.keys[1]));
        assert_eq!(key_for(NOW, NOW + DAY * 61), None);
        assert_eq!(key_for(NOW + DAY * 31, NOW + DAY * 31), None);
    }

    #[test]
    fn the_stronger_scheme_is_preferred_and_a_weaker_one_only_where_it_is_allowed() {
        let mut bundle = bundle();
        let key_for = |bundle: &Bundle, schemes: &[Scheme]| {
            bundle.key_for(schemes, NOW, NOW + MINUTE).map(|key| key.scheme)
        };
        assert_eq!(key_for(&bundle, &Scheme::STRONGEST_FIRST), Some(Scheme::X25519));
        assert_eq!(key_for(&bundle, &[Scheme::XWing]), None);
        // Chosen although it is older than the others.
        bundle.keys.push(key_of(Scheme::XWing, NOW - DAY * 9));
        assert_eq!(key_for(&bundle, &Scheme::STRONGEST_FIRST), Some(Scheme::XWing));
        assert_eq!(key_for(&bundle, &[Scheme::X25519]), Some(Scheme::X25519));
    }
}
