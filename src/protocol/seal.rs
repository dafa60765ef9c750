//! The seals of a witness and of its answer.
//!
//! A witness is sealed with HPKE in base mode (RFC 9180), one shot: a context serves one message and is dropped. The
//! job's header travels in clear and is bound in `info`, so a sealed witness opens only for the deployment, the tenant,
//! the circuit, the job, the deadline and the answer mode that it was made for. Answers follow the response
//! encapsulation of Oblivious HTTP (RFC 9458 section 4.4): the sender's and the recipient's context export the same
//! secret, and only those two can make or open an answer.
//!
//! This module does no I/O and keeps no keys. Only a job process calls [`open`].

use std::convert::Infallible;

use base64::prelude::{BASE64_STANDARD, Engine};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use hkdf::Hkdf;
use hpke::aead::AeadTag;
use hpke::inout::InOutBuf;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::answer::AnswerHeader;
use super::codes::Code;
use super::names::{AnswerMode, BadName, KeyId};
use super::random;
use crate::secret::{PrivateKey, Witness};

type HpkeAead = hpke::aead::ChaCha20Poly1305;
type HpkeKdf = hpke::kdf::HkdfSha256;

/// Bytes of an authentication tag (RFC 8439).
const TAG_BYTES: usize = 16;
/// Bytes of a response nonce: the larger of key and nonce length (RFC 9458 section 4.4).
const NONCE_BYTES: usize = 32;
/// Bytes of the length that stands before a witness or an answer.
const LENGTH_BYTES: usize = 4;
/// Smallest padded plaintext, in bytes.
const PADDED_BYTES_MIN: usize = 1024;

closed_set! {
    /// The scheme of seals to a key. It belongs to the key. KDF and AEAD are HKDF-SHA256 (0x0001) and ChaCha20Poly1305
    /// (0x0003) in both.
    pub Scheme, "scheme" {
        /// DHKEM(X25519, HKDF-SHA256), 0x0020 (RFC 9180 section 7.1).
        X25519 = "x25519",
        /// X-Wing, 0x647a: X25519 with ML-KEM-768 (draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq). A seal holds until
        /// both are broken.
        XWing = "xwing",
    }
}

impl Scheme {
    /// All schemes, the strongest first: the order of preference.
    pub const STRONGEST_FIRST: [Scheme; 2] = [Scheme::XWing, Scheme::X25519];

    /// Returns the length of a public key, in bytes.
    pub fn public_key_bytes(self) -> usize {
        match self {
            Scheme::X25519 => 32,
            Scheme::XWing => 1216,
        }
    }

    /// Returns the length of an encapsulated key, in bytes. It stands before the ciphertext.
    pub fn enc_bytes(self) -> usize {
        match self {
            Scheme::X25519 => 32,
            Scheme::XWing => 1120,
        }
    }
}

/// A seal that cannot be made or does not open. One error without detail: a forger learns nothing from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not open")]
pub struct SealError;

/// The key to an answer: 32 bytes that the client and the job process share once a witness is sealed.
#[derive(Clone)]
pub struct AnswerSecret(Zeroizing<[u8; 32]>);

impl AnswerSecret {
    /// Restores a secret that the client has kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        AnswerSecret(Zeroizing::new(bytes))
    }

    /// Returns the secret.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for AnswerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerSecret")
    }
}

/// A sealed witness, with the secret that its sender keeps.
#[derive(Debug)]
pub struct Sealed {
    /// Payload of the job: `enc ‖ ciphertext`.
    pub payload: Vec<u8>,
    /// Encapsulated key, the first bytes of the payload.
    pub enc: Vec<u8>,
    /// Key to the answer.
    pub answer_secret: AnswerSecret,
}

/// An opened witness, with the secret that answers it.
#[derive(Debug)]
pub struct Opened {
    /// Witness, without its padding.
    pub witness: Witness,
    /// Key to the answer.
    pub answer_secret: AnswerSecret,
    /// Scheme of the seal, which determines the length of the encapsulated key before the ciphertext.
    pub scheme: Scheme,
}

/// Draws a key pair from the operating system: the private key, and the public key of its scheme's length.
///
/// # Panics
/// When the operating system has no randomness.
pub fn generate_key(scheme: Scheme) -> (PrivateKey, Vec<u8>) {
    let filled = PrivateKey::fill(|bytes| {
        random::fill(bytes);
        Ok::<_, Infallible>(())
    });
    let Ok(private) = filled;
    let public = public_key(scheme, &private);
    (private, public)
}

/// Derives the public key of a private key under this scheme.
pub fn public_key(scheme: Scheme, private: &PrivateKey) -> Vec<u8> {
    match scheme {
        Scheme::X25519 => public_key_with::<X25519HkdfSha256>(private),
        Scheme::XWing => public_key_with::<XWing>(private),
    }
}

fn public_key_with<K: Kem>(private: &PrivateKey) -> Vec<u8> {
    // Cannot panic: any 32 bytes are a scalar once clamped, and any are a seed.
    let private = K::PrivateKey::from_bytes(private.expose()).expect("32 bytes are a private key");
    K::sk_to_pk(&private).to_bytes().to_vec()
}

/// Returns the length of the payload that a witness of `witness_bytes` makes, in bytes.
pub fn sealed_bytes(scheme: Scheme, witness_bytes: usize) -> usize {
    scheme.enc_bytes() + padded(LENGTH_BYTES + witness_bytes) + TAG_BYTES
}

/// Returns the id of a public key: the first 16 bytes of `SHA-256("sealprove/1 key\n" ‖ scheme ‖ "\n" ‖ key)`.
pub fn key_id(scheme: Scheme, public_key: &[u8]) -> KeyId {
    let digest = Sha256::new()
        .chain_update("sealprove/1 key\n")
        .chain_update(scheme.as_str())
        .chain_update("\n")
        .chain_update(public_key)
        .finalize();
    // Cannot panic: 16 bytes are 32 lower-case hexadecimal digits.
    hex::encode(&digest[..16]).parse().expect("a key id")
}

/// Seals a witness to a public key, bound to `info` (see [`JobHeader::info`](super::JobHeader::info)).
///
/// # Errors
/// When the public key is invalid, or the witness is longer than 4 GiB.
pub fn seal(scheme: Scheme, public_key: &[u8], info: &[u8], witness: &[u8]) -> Result<Sealed, SealError> {
    match scheme {
        Scheme::X25519 => seal_with::<X25519HkdfSha256>(public_key, info, witness),
        Scheme::XWing => seal_with::<XWing>(public_key, info, witness),
    }
}

fn seal_with<K: Kem>(public_key: &[u8], info: &[u8], witness: &[u8]) -> Result<Sealed, SealError> {
    let public_key = K::PublicKey::from_bytes(public_key).map_err(|_| SealError)?;
    let (enc, mut context) =
        setup_sender::<HpkeAead, HpkeKdf, K>(&OpModeS::Base, &public_key, info).map_err(|_| SealError)?;
    let enc = enc.to_bytes().to_vec();

    // At its final size from the start: a buffer that grows leaves a copy of the witness in the old block.
    let mut payload = Vec::with_capacity(enc.len() + padded(LENGTH_BYTES + witness.len()) + TAG_BYTES);
    payload.extend_from_slice(&enc);
    pad_into(&mut payload, witness)?;
    let plaintext = &mut payload[enc.len()..];
    let tag = context.seal_inout_detached(InOutBuf::from(plaintext), b"").map_err(|_| SealError)?;
    payload.extend_from_slice(&tag.to_bytes());

    let mut secret = Zeroizing::new([0; 32]);
    context.export(ANSWER_LABEL, secret.as_mut_slice()).map_err(|_| SealError)?;
    Ok(Sealed { payload, enc, answer_secret: AnswerSecret(secret) })
}

/// Opens `enc ‖ ciphertext`, in place in a buffer of the final size that is wiped.
///
/// # Errors
/// When the key is wrong, the header is not the bound one, the payload is damaged, or its padding is not what [`seal`]
/// makes. All are one error.
pub fn open(
    scheme: Scheme,
    private_key: &PrivateKey,
    info: &[u8],
    payload: &[u8],
) -> Result<Opened, SealError> {
    let plaintext_bytes = payload.len().checked_sub(scheme.enc_bytes() + TAG_BYTES).ok_or(SealError)?;
    let (enc, ciphertext) = payload.split_at(scheme.enc_bytes());
    let (ciphertext, tag) = ciphertext.split_at(plaintext_bytes);
    let opened = match scheme {
        Scheme::X25519 => open_with::<X25519HkdfSha256>(private_key, info, enc, ciphertext, tag),
        Scheme::XWing => open_with::<XWing>(private_key, info, enc, ciphertext, tag),
    };
    opened.map(|(witness, answer_secret)| Opened { witness, answer_secret, scheme })
}

fn open_with<K: Kem>(
    private_key: &PrivateKey,
    info: &[u8],
    enc: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
) -> Result<(Witness, AnswerSecret), SealError> {
    let private_key = K::PrivateKey::from_bytes(private_key.expose()).map_err(|_| SealError)?;
    let enc = K::EncappedKey::from_bytes(enc).map_err(|_| SealError)?;
    let mut context = setup_receiver::<HpkeAead, HpkeKdf, K>(&OpModeR::Base, &private_key, &enc, info)
        .map_err(|_| SealError)?;
    let tag = AeadTag::<HpkeAead>::from_bytes(tag).map_err(|_| SealError)?;

    let mut witness = Witness::fill(ciphertext.len(), |buffer| {
        buffer.copy_from_slice(ciphertext);
        context.open_inout_detached(InOutBuf::from(buffer), b"", &tag).map_err(|_| SealError)
    })?;
    let length = unpadded(witness.expose()).ok_or(SealError)?;
    witness.trim(LENGTH_BYTES, length);

    let mut secret = Zeroizing::new([0; 32]);
    context.export(ANSWER_LABEL, secret.as_mut_slice()).map_err(|_| SealError)?;
    Ok((witness, AnswerSecret(secret)))
}

/// Label of the secret that both contexts export.
const ANSWER_LABEL: &[u8] = b"sealprove/1 answer";

/// The binding of an answer to its job: the secret that both share, and the job's `info` and `enc`.
#[derive(Debug, Clone, Copy)]
pub struct AnswerBinding<'a> {
    /// The job's `info`.
    pub info: &'a [u8],
    /// Encapsulated key of the job.
    pub enc: &'a [u8],
    /// Key to the answer.
    pub secret: &'a AnswerSecret,
}

impl AnswerBinding<'_> {
    /// Seals or tags the document of an answer. Returns the header and the payload of its message.
    ///
    /// # Panics
    /// When the operating system has no randomness, or the document is longer than 4 GiB.
    pub fn seal_answer(
        &self,
        mode: AnswerMode,
        code: Code,
        content_type: &str,
        document: &[u8],
    ) -> (AnswerHeader, Vec<u8>) {
        // Fresh for every answer: a job that is tried twice may have two, under the same secret.
        let nonce = random::random::<NONCE_BYTES>();
        let mut header = AnswerHeader { code, mode, content_type: content_type.to_owned(), tag: None };
        match mode {
            AnswerMode::Sealed => {
                let payload = self.encrypt(&header, nonce, document);
                (header, payload)
            }
            AnswerMode::Open => {
                header.tag = Some(BASE64_STANDARD.encode(self.tag(&header, nonce, document)));
                (header, document.to_vec())
            }
        }
    }

    /// Opens a sealed answer, or checks the tag of an open one. Returns its document.
    ///
    /// # Errors
    /// When the answer is not from a process that had opened the job, or has been changed.
    pub fn open_answer(&self, header: &AnswerHeader, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        match header.mode {
            AnswerMode::Sealed => self.decrypt(header, payload),
            AnswerMode::Open => self.check_tag(header, payload).map(|()| payload.to_vec()),
        }
    }

    fn encrypt(&self, header: &AnswerHeader, nonce: [u8; NONCE_BYTES], document: &[u8]) -> Vec<u8> {
        let (aead, iv) = self.keys(&nonce);
        let mut payload = Vec::with_capacity(NONCE_BYTES + padded(LENGTH_BYTES + document.len()) + TAG_BYTES);
        payload.extend_from_slice(&nonce);
        // Cannot panic: a circuit bounds its answers far below 4 GiB.
        pad_into(&mut payload, document).expect("a document is shorter than 4 GiB");
        let plaintext = InOutBuf::from(&mut payload[NONCE_BYTES..]);
        let sealed = aead.encrypt_inout_detached(&iv, &self.aad(header), plaintext);
        // Cannot panic: ChaCha20Poly1305 refuses only plaintexts of 256 GiB and more.
        let tag = sealed.expect("the document is not too long");
        payload.extend_from_slice(&tag);
        payload
    }

    fn decrypt(&self, header: &AnswerHeader, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        let padded_bytes = payload.len().checked_sub(NONCE_BYTES + TAG_BYTES).ok_or(SealError)?;
        let (nonce, ciphertext) = payload.split_at(NONCE_BYTES);
        let (ciphertext, tag) = ciphertext.split_at(padded_bytes);
        let (aead, iv) = self.keys(nonce);
        let mut document = ciphertext.to_vec();
        let tag = Tag::try_from(tag).map_err(|_| SealError)?;
        aead.decrypt_inout_detached(&iv, &self.aad(header), InOutBuf::from(&mut document[..]), &tag)
            .map_err(|_| SealError)?;
        let length = unpadded(&document).ok_or(SealError)?;
        Ok(document[LENGTH_BYTES..LENGTH_BYTES + length].to_vec())
    }

    /// Computes `nonce ‖ tag` over an empty plaintext with the payload in the associated data.
    fn tag(&self, header: &AnswerHeader, nonce: [u8; NONCE_BYTES], payload: &[u8]) -> Vec<u8> {
        let (aead, iv) = self.keys(&nonce);
        let mut nothing: [u8; 0] = [];
        let aad = self.tag_aad(header, payload);
        let tagged = aead.encrypt_inout_detached(&iv, &aad, InOutBuf::from(&mut nothing[..]));
        // Cannot panic: the plaintext is empty.
        let tag = tagged.expect("the plaintext is not too long");
        [&nonce[..], &tag[..]].concat()
    }

    fn check_tag(&self, header: &AnswerHeader, payload: &[u8]) -> Result<(), SealError> {
        let stated = header.tag.as_ref().and_then(|tag| BASE64_STANDARD.decode(tag).ok()).ok_or(SealError)?;
        if stated.len() != NONCE_BYTES + TAG_BYTES {
            return Err(SealError);
        }
        let (nonce, tag) = stated.split_at(NONCE_BYTES);
        let (aead, iv) = self.keys(nonce);
        let mut nothing: [u8; 0] = [];
        let tag = Tag::try_from(tag).map_err(|_| SealError)?;
        let aad = self.tag_aad(header, payload);
        aead.decrypt_inout_detached(&iv, &aad, InOutBuf::from(&mut nothing[..]), &tag).map_err(|_| SealError)
    }

    /// Derives key and nonce of the AEAD by RFC 9458 section 4.4, with the exported secret in place of its own:
    ///
    /// ```text
    /// prk = Extract(salt = enc ‖ response_nonce, secret)
    /// key = Expand(prk, "key", Nk)        iv = Expand(prk, "nonce", Nn)
    /// ```
    fn keys(&self, nonce: &[u8]) -> (ChaCha20Poly1305, Nonce) {
        let salt = [self.enc, nonce].concat();
        let hkdf = Hkdf::<Sha256>::new(Some(&salt), self.secret.expose());
        let mut key = Zeroizing::new([0; 32]);
        let mut iv = [0; 12];
        // Cannot panic: 32 bytes are less than 255 blocks.
        hkdf.expand(b"key", key.as_mut_slice()).expect("32 bytes are not too many");
        // Cannot panic: as above.
        hkdf.expand(b"nonce", &mut iv).expect("12 bytes are not too many");
        (ChaCha20Poly1305::new(&Key::from(*key)), Nonce::from(iv))
    }

    fn aad(&self, header: &AnswerHeader) -> Vec<u8> {
        // The outcome and the code of a header are bound, so that no one can put others on a real answer.
        let mut aad = self.info.to_vec();
        aad.extend_from_slice(
            format!("answer\n{}\n{}\n{}\n", header.code.outcome(), header.code, header.content_type)
                .as_bytes(),
        );
        aad
    }

    fn tag_aad(&self, header: &AnswerHeader, payload: &[u8]) -> Vec<u8> {
        let mut aad = self.aad(header);
        aad.extend_from_slice(payload);
        aad
    }
}

/// Appends `length ‖ bytes ‖ zeros`, padded.
fn pad_into(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), SealError> {
    let length = u32::try_from(bytes.len()).map_err(|_| SealError)?;
    let start = buffer.len();
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(bytes);
    buffer.resize(start + padded(LENGTH_BYTES + bytes.len()), 0);
    Ok(())
}

/// Returns the length of the bytes in a padded plaintext, or `None` if [`pad_into`] would not have made it.
///
/// Only the padding of this protocol is accepted, so every implementation hides lengths alike.
fn unpadded(plaintext: &[u8]) -> Option<usize> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let padding = rest.get(length..)?;
    let is_canonical = padded(LENGTH_BYTES + length) == plaintext.len();
    // Reads all of the padding, in a time that does not depend on where the first byte that is not zero lies.
    let is_zero = padding.iter().fold(0, |sum, byte| sum | byte) == 0;
    (is_canonical && is_zero).then_some(length)
}

/// Returns the padded length of a plaintext, by PADMÉ (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files
/// and Communication with PURBs", PETS 2019, section 4).
///
/// For a length L, with E = ⌊log2 L⌋ and S = ⌊log2 E⌋ + 1, that is L rounded up to a multiple of 2^(E−S); at least
/// [`PADDED_BYTES_MIN`].
fn padded(length: usize) -> usize {
    if length <= PADDED_BYTES_MIN {
        return PADDED_BYTES_MIN;
    }
    let e = length.ilog2();
    let s = e.ilog2() + 1;
    length.next_multiple_of(1 << (e - s))
}

#[cfg(test)]
mod tests;
