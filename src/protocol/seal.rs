//! Sealing a witness, and opening it again; sealing an answer, and opening that.
//!
//! HPKE base mode (RFC 9180), one shot: a context serves one message and is dropped. The job's header
//! travels in clear and is bound in `info`, so a sealed witness opens only for the deployment, the
//! tenant, the circuit, the job, the deadline and the answer mode that it was made for. Answers follow
//! the response encapsulation of Oblivious HTTP (RFC 9458 section 4.4): the sender's and the
//! recipient's context export the same secret, and only those two can make or open an answer.
//!
//! This module does no I/O and keeps no keys. Only a job process calls [`open`].

use base64::prelude::{BASE64_STANDARD, Engine};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use hkdf::Hkdf;
use hpke::aead::AeadTag;
use hpke::inout::InOutBuf;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::answer::AnswerHeader;
use super::codes::Code;
use super::names::{AnswerMode, KeyId};
use super::random;
use crate::secret::{PrivateKey, Witness};

type HpkeAead = hpke::aead::ChaCha20Poly1305;
type HpkeKdf = hpke::kdf::HkdfSha256;

/// Bytes of an authentication tag (RFC 8439).
const TAG_BYTES: usize = 16;
/// Bytes of a response nonce: the larger of key and nonce length (RFC 9458 section 4.4).
const NONCE_BYTES: usize = 32;
/// Bytes of the length before a witness or an answer.
const LENGTH_BYTES: usize = 4;
/// The smallest padded plaintext, in bytes.
const PADDED_BYTES_MIN: usize = 1024;

/// The way in which a key is sealed to. It belongs to the key. KDF and AEAD are HKDF-SHA256 (0x0001) and
/// ChaCha20Poly1305 (0x0003) in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// DHKEM(X25519, HKDF-SHA256), 0x0020 (RFC 9180 section 7.1).
    X25519,
    /// X-Wing, 0x647a: X25519 with ML-KEM-768 (draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq). What is
    /// sealed so stays sealed until somebody breaks both.
    XWing,
}

impl Scheme {
    /// All schemes, the strongest first.
    pub const ALL: [Scheme; 2] = [Scheme::XWing, Scheme::X25519];

    /// The scheme's name in the bundle, and what the file of a private key ends in.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::X25519 => "x25519",
            Scheme::XWing => "xwing",
        }
    }

    /// Bytes of a public key.
    pub fn public_key_bytes(self) -> usize {
        match self {
            Scheme::X25519 => 32,
            Scheme::XWing => 1216,
        }
    }

    /// Bytes of an encapsulated key, which stands before the ciphertext.
    pub fn enc_bytes(self) -> usize {
        match self {
            Scheme::X25519 => 32,
            Scheme::XWing => 1120,
        }
    }
}

impl std::str::FromStr for Scheme {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Scheme::ALL.into_iter().find(|scheme| scheme.as_str() == text).ok_or("expected x25519 or xwing")
    }
}

/// The seal cannot be made or does not open. One error, no detail: an attacker learns nothing from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not open")]
pub struct SealError;

/// What a client and a job process share once a witness is sealed: the key to the answer. 32 bytes.
#[derive(Clone)]
pub struct AnswerSecret(Zeroizing<[u8; 32]>);

impl AnswerSecret {
    /// Reads the secret back from where the client kept it.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        AnswerSecret(Zeroizing::new(bytes))
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for AnswerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerSecret")
    }
}

/// A sealed witness, and what its sender keeps.
#[derive(Debug)]
pub struct Sealed {
    /// `enc ‖ ciphertext`: the payload of the job.
    pub payload: Vec<u8>,
    /// The encapsulated key, the first bytes of the payload.
    pub enc: Vec<u8>,
    /// The key to the answer.
    pub answer_secret: AnswerSecret,
}

/// An opened witness, and what answers it.
#[derive(Debug)]
pub struct Opened {
    /// The witness, without its padding.
    pub witness: Witness,
    /// The key to the answer.
    pub answer_secret: AnswerSecret,
    /// How it was sealed, which says how long the encapsulated key before the ciphertext is.
    pub scheme: Scheme,
}

/// Draws a key pair from the operating system: the private key, and the public key of its scheme's length.
///
/// # Panics
/// When the operating system has no randomness.
pub fn generate_key(scheme: Scheme) -> (PrivateKey, Vec<u8>) {
    let private =
        PrivateKey::fill(|bytes| getrandom::fill(bytes)).expect("the operating system gives randomness");
    let public = public_key(scheme, &private);
    (private, public)
}

/// The public key that belongs to a private key under this scheme.
pub fn public_key(scheme: Scheme, private: &PrivateKey) -> Vec<u8> {
    match scheme {
        Scheme::X25519 => public_key_with::<X25519HkdfSha256>(private),
        Scheme::XWing => public_key_with::<XWing>(private),
    }
}

fn public_key_with<K: Kem>(private: &PrivateKey) -> Vec<u8> {
    let private = K::PrivateKey::from_bytes(private.expose())
        // Cannot panic: any 32 bytes are a scalar once clamped, and any are a seed.
        .expect("32 bytes are a private key");
    K::sk_to_pk(&private).to_bytes().to_vec()
}

/// Bytes of the payload that a witness of `witness_bytes` makes.
pub fn sealed_bytes(scheme: Scheme, witness_bytes: usize) -> usize {
    scheme.enc_bytes() + padded(LENGTH_BYTES + witness_bytes) + TAG_BYTES
}

/// The id of a public key: the first 16 bytes of `SHA-256("sealprove/1 key\n" ‖ scheme ‖ "\n" ‖ key)`.
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
/// When the public key is not one, or the witness is longer than a length can say.
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
/// Wrong key, wrong header, damage, a padding that [`seal`] would not have made: all the same.
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

const ANSWER_LABEL: &[u8] = b"sealprove/1 answer";

/// What an answer is bound to, besides its secret: the job's `info` and `enc`.
#[derive(Debug, Clone, Copy)]
pub struct AnswerBinding<'a> {
    /// The job's `info`.
    pub info: &'a [u8],
    /// The job's encapsulated key.
    pub enc: &'a [u8],
    /// The key to the answer.
    pub secret: &'a AnswerSecret,
}

impl AnswerBinding<'_> {
    /// Seals or tags the document of an answer: its header and its payload. The nonce comes from the
    /// operating system, fresh for every answer.
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
        let mut nonce = [0; NONCE_BYTES];
        random::fill(&mut nonce);
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

    /// Opens an answer, or checks the tag of an open one: the document, if it is from the process that
    /// had opened the job.
    ///
    /// # Errors
    /// When it is not, or has been changed.
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
        pad_into(&mut payload, document).expect("a document is shorter than 4 GiB");
        let tag = aead
            .encrypt_inout_detached(&iv, &self.aad(header), InOutBuf::from(&mut payload[NONCE_BYTES..]))
            // Cannot panic: ChaCha20Poly1305 refuses only plaintexts of 256 GiB and more.
            .expect("the document is not too long");
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

    /// `nonce ‖ tag` over an empty plaintext with the payload in the associated data.
    fn tag(&self, header: &AnswerHeader, nonce: [u8; NONCE_BYTES], payload: &[u8]) -> Vec<u8> {
        let (aead, iv) = self.keys(&nonce);
        let mut nothing: [u8; 0] = [];
        let tag = aead
            .encrypt_inout_detached(&iv, &self.tag_aad(header, payload), InOutBuf::from(&mut nothing[..]))
            // Cannot panic: the plaintext is empty.
            .expect("the plaintext is not too long");
        [&nonce[..], &tag[..]].concat()
    }

    fn check_tag(&self, header: &AnswerHeader, payload: &[u8]) -> Result<(), SealError> {
        let tag = header.tag.as_ref().and_then(|tag| BASE64_STANDARD.decode(tag).ok()).ok_or(SealError)?;
        if tag.len() != NONCE_BYTES + TAG_BYTES {
            return Err(SealError);
        }
        let (nonce, tag) = tag.split_at(NONCE_BYTES);
        let (aead, iv) = self.keys(nonce);
        let mut nothing: [u8; 0] = [];
        let tag = Tag::try_from(tag).map_err(|_| SealError)?;
        aead.decrypt_inout_detached(
            &iv,
            &self.tag_aad(header, payload),
            InOutBuf::from(&mut nothing[..]),
            &tag,
        )
        .map_err(|_| SealError)
    }

    /// RFC 9458 section 4.4, with the exported secret in place of its own:
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
        // Cannot panic: both are shorter than 255 blocks.
        hkdf.expand(b"key", key.as_mut_slice()).expect("32 bytes are not too many");
        hkdf.expand(b"nonce", &mut iv).expect("12 bytes are not too many");
        (ChaCha20Poly1305::new(&Key::from(*key)), Nonce::from(iv))
    }

    fn aad(&self, header: &AnswerHeader) -> Vec<u8> {
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

/// The length of the bytes in a padded plaintext; `None` where [`pad_into`] would not have made it.
fn unpadded(plaintext: &[u8]) -> Option<usize> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let padding = rest.get(length..)?;
    let is_canonical = padded(LENGTH_BYTES + length) == plaintext.len();
    // All of the padding is read, whatever it holds.
    let is_zero = padding.iter().fold(0, |sum, byte| sum | byte) == 0;
    (is_canonical && is_zero).then_some(length)
}

/// PADMÉ (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
/// PURBs", PETS 2019, section 4): for a length L, with E = ⌊log2 L⌋ and S = ⌊log2 E⌋ + 1, L rounded up
/// to a multiple of 2^(E−S); at least [`PADDED_BYTES_MIN`].
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
