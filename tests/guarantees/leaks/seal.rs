//! The intermediate secrets of opening a seal, derived once more from the private key: no interface gives them
//! out, and it has to be known to be looked for.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use hkdf::Hkdf;
use ml_kem::kem::Decapsulate;
use ml_kem::ml_kem_768;
use sealprove::protocol::Scheme;
use sha2::{Digest, Sha256};
use sha3::Sha3_256;
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

/// DHKEM(X25519, HKDF-SHA256): RFC 9180 section 4.1.
const KEM: &[u8] = b"KEM\x00\x20";
const TAG_BYTES: usize = 16;
/// Bytes of an ML-KEM-768 ciphertext and of its public key (FIPS 203 section 8).
const CIPHERTEXT_BYTES: usize = 1088;
/// Label at the end of X-Wing's hash.
const XWING_LABEL: &[u8] = br"\.//^\";

/// With HKDF-SHA256 and ChaCha20Poly1305: RFC 9180 section 5.1.
fn suite(scheme: Scheme) -> &'static [u8] {
    match scheme {
        Scheme::X25519 => b"HPKE\x00\x20\x00\x01\x00\x03",
        Scheme::XWing => b"HPKE\x64\x7a\x00\x01\x00\x03",
    }
}

/// An X-Wing private key as it is computed with (draft-connolly-cfrg-xwing-kem section 5.2):
/// `expanded = SHAKE256(seed, 96)`, which is `d ‖ z` of ML-KEM and an X25519 scalar.
pub(crate) struct XWingKey {
    pub(crate) d: [u8; 32],
    pub(crate) z: [u8; 32],
    pub(crate) x25519: [u8; 32],
}

impl XWingKey {
    pub(crate) fn expand(seed: &[u8; 32]) -> Self {
        let mut expanded = [0; 96];
        let mut hash = Shake256::default();
        hash.update(seed);
        hash.finalize_xof().read(&mut expanded);
        let part = |from: usize| expanded[from..from + 32].try_into().expect("32 bytes");
        XWingKey { d: part(0), z: part(32), x25519: part(64) }
    }

    /// The ML-KEM shared secret, the Diffie-Hellman output, and what X-Wing makes of both (section 5.3):
    /// `SHA3-256(ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ label)`.
    fn decapsulate(&self, enc: &[u8]) -> ([u8; 32], [u8; 32], [u8; 32]) {
        let (ciphertext, ephemeral) = enc.split_at(CIPHERTEXT_BYTES);
        let seed = [self.d, self.z].concat();
        let key = ml_kem_768::DecapsulationKey::from_seed(seed[..].try_into().expect("64 bytes"));
        let ss_m: [u8; 32] = key.decapsulate(&ciphertext.try_into().expect("a ciphertext")).into();
        let ss_x = x25519(self.x25519, ephemeral.try_into().expect("a public key"));
        let pk_x = x25519(self.x25519, X25519_BASEPOINT_BYTES);
        let hash = Sha3_256::new().chain_update(ss_m).chain_update(ss_x).chain_update(ephemeral);
        let shared = hash.chain_update(pk_x).chain_update(XWING_LABEL).finalize().into();
        (ss_m, ss_x, shared)
    }
}

/// The secrets of one seal.
pub(crate) struct SealSecrets {
    scheme: Scheme,
    /// The share of ML-KEM, where it has a part.
    pub(crate) decapsulated: Option<[u8; 32]>,
    pub(crate) diffie_hellman: [u8; 32],
    pub(crate) shared_secret: [u8; 32],
    pub(crate) key_schedule: [u8; 32],
    pub(crate) key: [u8; 32],
    pub(crate) base_nonce: [u8; 12],
    pub(crate) exporter_secret: [u8; 32],
    pub(crate) answer_secret: [u8; 32],
}

impl SealSecrets {
    /// RFC 9180, base mode:
    ///
    /// ```text
    /// dh = DH(skR, pkE)
    /// eae_prk = LabeledExtract("", "eae_prk", dh)
    /// shared_secret = LabeledExpand(eae_prk, "shared_secret", enc ‖ pkRm, 32)
    ///
    /// psk_id_hash = LabeledExtract("", "psk_id_hash", "")
    /// info_hash = LabeledExtract("", "info_hash", info)
    /// key_schedule_context = 0x00 ‖ psk_id_hash ‖ info_hash
    /// secret = LabeledExtract(shared_secret, "secret", "")
    /// key = LabeledExpand(secret, "key", key_schedule_context, 32)
    /// base_nonce = LabeledExpand(secret, "base_nonce", key_schedule_context, 12)
    /// exporter_secret = LabeledExpand(secret, "exp", key_schedule_context, 32)
    ///
    /// Export(context, 32) = LabeledExpand(exporter_secret, "sec", context, 32)
    /// ```
    pub(crate) fn derive(scheme: Scheme, private_key: &[u8; 32], info: &[u8], payload: &[u8]) -> Self {
        let enc = &payload[..scheme.enc_bytes()];
        let (decapsulated, diffie_hellman, shared_secret) = match scheme {
            Scheme::X25519 => {
                let (dh, shared) = decapsulate_x25519(*private_key, enc.try_into().expect("a public key"));
                (None, dh, shared)
            }
            Scheme::XWing => {
                let (ss_m, dh, shared) = XWingKey::expand(private_key).decapsulate(enc);
                (Some(ss_m), dh, shared)
            }
        };
        let suite = suite(scheme);
        let psk_id_hash = extract(suite, b"", b"psk_id_hash", b"");
        let info_hash = extract(suite, b"", b"info_hash", info);
        let context = [&[0][..], &psk_id_hash, &info_hash].concat();
        let key_schedule = extract(suite, &shared_secret, b"secret", b"");
        let exporter_secret = expand(suite, &key_schedule, b"exp", &context);
        SealSecrets {
            scheme,
            decapsulated,
            diffie_hellman,
            shared_secret,
            key_schedule,
            key: expand(suite, &key_schedule, b"key", &context),
            base_nonce: expand(suite, &key_schedule, b"base_nonce", &context),
            exporter_secret,
            answer_secret: expand(suite, &exporter_secret, b"sec", b"sealprove/1 answer"),
        }
    }

    /// Opens a payload: what opens it is what the job process had.
    pub(crate) fn open(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let ciphertext = &payload[self.scheme.enc_bytes()..];
        let (ciphertext, tag) = ciphertext.split_at(ciphertext.len() - TAG_BYTES);
        let mut plaintext = ciphertext.to_vec();
        let aead = ChaCha20Poly1305::new(&Key::from(self.key));
        let tag = Tag::try_from(tag).ok()?;
        aead.decrypt_inout_detached(
            &Nonce::from(self.base_nonce),
            b"",
            hpke::inout::InOutBuf::from(&mut plaintext[..]),
            &tag,
        )
        .ok()?;
        Some(plaintext)
    }
}

/// DHKEM(X25519, HKDF-SHA256): the Diffie-Hellman output and the shared secret.
fn decapsulate_x25519(private_key: [u8; 32], enc: [u8; 32]) -> ([u8; 32], [u8; 32]) {
    let diffie_hellman = x25519(private_key, enc);
    let public_key = x25519(private_key, X25519_BASEPOINT_BYTES);
    let eae_prk = extract(KEM, b"", b"eae_prk", &diffie_hellman);
    (diffie_hellman, expand(KEM, &eae_prk, b"shared_secret", &[enc, public_key].concat()))
}

fn extract(suite: &[u8], salt: &[u8], label: &[u8], input: &[u8]) -> [u8; 32] {
    let input = [b"HPKE-v1", suite, label, input].concat();
    Hkdf::<Sha256>::extract(Some(salt), &input).0.into()
}

fn expand<const BYTES: usize>(suite: &[u8], prk: &[u8], label: &[u8], info: &[u8]) -> [u8; BYTES] {
    let length = u16::try_from(BYTES).expect("a length").to_be_bytes();
    let info = [&length, &b"HPKE-v1"[..], suite, label, info].concat();
    let mut output = [0; BYTES];
    let hkdf = Hkdf::<Sha256>::from_prk(prk).expect("a key of 32 bytes");
    hkdf.expand(&info, &mut output).expect("few bytes");
    output
}
