//! What opening a seal computes on the way, derived once more from the private key: no interface gives it
//! out, and it has to be known to be looked for.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

/// DHKEM(X25519, HKDF-SHA256): RFC 9180 section 4.1.
const KEM: &[u8] = b"KEM\x00\x20";
/// With HKDF-SHA256 and ChaCha20Poly1305: RFC 9180 section 5.1.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";
const ENC_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The secrets of one seal.
pub(crate) struct SealSecrets {
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
    pub(crate) fn derive(private_key: [u8; 32], info: &[u8], payload: &[u8]) -> Self {
        let enc: [u8; ENC_BYTES] = payload[..ENC_BYTES].try_into().expect("an encapsulated key");
        let diffie_hellman = x25519(private_key, enc);
        let public_key = x25519(private_key, X25519_BASEPOINT_BYTES);
        let eae_prk = extract(KEM, b"", b"eae_prk", &diffie_hellman);
        let shared_secret = expand(KEM, &eae_prk, b"shared_secret", &[enc, public_key].concat());

        let psk_id_hash = extract(SUITE, b"", b"psk_id_hash", b"");
        let info_hash = extract(SUITE, b"", b"info_hash", info);
        let context = [&[0][..], &psk_id_hash, &info_hash].concat();
        let key_schedule = extract(SUITE, &shared_secret, b"secret", b"");
        let exporter_secret = expand(SUITE, &key_schedule, b"exp", &context);
        SealSecrets {
            diffie_hellman,
            shared_secret,
            key_schedule,
            key: expand(SUITE, &key_schedule, b"key", &context),
            base_nonce: expand(SUITE, &key_schedule, b"base_nonce", &context),
            exporter_secret,
            answer_secret: expand(SUITE, &exporter_secret, b"sec", b"sealprove/1 answer"),
        }
    }

    /// Opens a payload: what opens it is what the job process had.
    pub(crate) fn open(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let ciphertext = &payload[ENC_BYTES..];
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
