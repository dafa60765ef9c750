//! The needles: every secret of a job, in every form that it could have taken on.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine};
use ff::PrimeField;
use pasta_curves::Fp;
use sealprove::circuits::credentials::{SecretElement, threshold};

use super::seal::{SealSecrets, XWingKey};

/// Something that must not be found where it does not belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// No secret, and looked for to see that a place is looked at at all.
    JobId,
    Document,
    Blinding,
    Value,
    AnswerSecret,
    PrivateKey,
    /// The expansion of an X-Wing seed: the seeds of ML-KEM, and the X25519 scalar.
    ExpandedKey,
    /// The secret that ML-KEM decapsulates.
    Decapsulated,
    DiffieHellman,
    SharedSecret,
    KeySchedule,
    AeadKey,
    BaseNonce,
    ExporterSecret,
}

impl What {
    pub(crate) fn is_secret(self) -> bool {
        self != What::JobId
    }

    /// Checks whether it is the witness, or what a proof makes of it.
    pub(crate) fn is_witness(self) -> bool {
        matches!(self, What::Document | What::Blinding | What::Value)
    }

    /// Checks whether it opens a job without its submitter.
    pub(crate) fn opens_jobs(self) -> bool {
        self.is_secret() && !self.is_witness() && self != What::AnswerSecret
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            What::JobId => "job id",
            What::Document => "document",
            What::Blinding => "blinding",
            What::Value => "value",
            What::AnswerSecret => "answer secret",
            What::PrivateKey => "private key",
            What::ExpandedKey => "expanded key",
            What::Decapsulated => "ML-KEM shared secret",
            What::DiffieHellman => "Diffie-Hellman output",
            What::SharedSecret => "shared secret",
            What::KeySchedule => "key schedule",
            What::AeadKey => "AEAD key",
            What::BaseNonce => "base nonce",
            What::ExporterSecret => "exporter secret",
        })
    }
}

/// The encoding of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Encoding {
    /// JSON or decimal digits, as the client wrote it.
    Text,
    Hex,
    /// The bytes themselves; of a field element, its canonical form.
    Raw,
    /// A field element times 2^256, which is how the prover computes with it.
    Montgomery,
    Base64,
    /// A list of numbers, as a debug print of bytes is.
    Numbers,
    /// Eight bytes of 32 raw ones: what one register holds, and what is left of a block whose first bytes the
    /// allocator has used since.
    Limb,
    /// A private key as the curve's arithmetic takes it (RFC 7748 section 5).
    Clamped,
}

/// One secret in one form.
pub(crate) type Kind = (What, Encoding);

/// The number of times each was found.
pub(crate) type Hits = BTreeMap<Kind, u64>;

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Encoding::Text => "text",
            Encoding::Hex => "hex",
            Encoding::Raw => "raw",
            Encoding::Montgomery => "Montgomery",
            Encoding::Base64 => "base64",
            Encoding::Numbers => "numbers",
            Encoding::Limb => "limb",
            Encoding::Clamped => "clamped",
        })
    }
}

/// Byte strings, and what each of them is.
#[derive(Default, Clone)]
pub(crate) struct Needles(BTreeMap<Vec<u8>, Kind>);

impl Needles {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.0.iter().map(|(bytes, kind)| (&bytes[..], *kind))
    }

    /// Every kind that there is, secret by secret.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.0.values().copied().collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn longest(&self) -> usize {
        self.0.keys().map(Vec::len).max().unwrap_or(1)
    }

    /// Forms that look the same are looked for as the first of them.
    fn add(&mut self, what: What, encoding: Encoding, bytes: impl Into<Vec<u8>>) {
        self.0.entry(bytes.into()).or_insert((what, encoding));
    }

    fn add_base64(&mut self, what: What, bytes: &[u8]) {
        for text in base64_anywhere(bytes) {
            self.add(what, Encoding::Base64, text);
        }
    }

    /// 32 bytes in all the ways in which bytes are written.
    pub(crate) fn add_bytes(&mut self, what: What, bytes: &[u8]) {
        self.add(what, Encoding::Raw, bytes);
        self.add_written(what, bytes);
        self.add_limbs(what, bytes);
    }

    fn add_written(&mut self, what: What, bytes: &[u8]) {
        self.add(what, Encoding::Hex, hex::encode(bytes));
        self.add(what, Encoding::Hex, hex::encode_upper(bytes));
        self.add_base64(what, bytes);
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        self.add(what, Encoding::Numbers, numbers.join(", "));
        self.add(what, Encoding::Numbers, numbers.join(","));
    }

    fn add_limbs(&mut self, what: What, bytes: &[u8]) {
        for limb in bytes.as_chunks::<8>().0 {
            self.add(what, Encoding::Limb, *limb);
        }
    }

    fn add_element(&mut self, what: What, element: Fp) {
        self.add_bytes(what, &element.to_repr());
        self.add(what, Encoding::Montgomery, montgomery(element));
        self.add_limbs(what, &montgomery(element));
    }

    pub(crate) fn add_private_key(&mut self, key: [u8; 32]) {
        self.add_bytes(What::PrivateKey, &key);
        let mut clamped = key;
        clamped[0] &= 248;
        clamped[31] = clamped[31] & 127 | 64;
        self.add(What::PrivateKey, Encoding::Clamped, clamped);
    }

    pub(crate) fn add_expanded(&mut self, key: &XWingKey) {
        for part in [key.d, key.z, key.x25519] {
            self.add_bytes(What::ExpandedKey, &part);
        }
    }

    /// Adds the secrets that opening one job makes.
    pub(crate) fn add_seal(&mut self, seal: &SealSecrets) {
        if let Some(decapsulated) = seal.decapsulated {
            self.add_bytes(What::Decapsulated, &decapsulated);
        }
        self.add_bytes(What::DiffieHellman, &seal.diffie_hellman);
        self.add_bytes(What::SharedSecret, &seal.shared_secret);
        self.add_bytes(What::KeySchedule, &seal.key_schedule);
        self.add_bytes(What::AeadKey, &seal.key);
        self.add_bytes(What::BaseNonce, &seal.base_nonce);
        self.add_bytes(What::ExporterSecret, &seal.exporter_secret);
        self.add_bytes(What::AnswerSecret, &seal.answer_secret);
    }

    pub(crate) fn add_job(&mut self, id: &str) {
        self.add(What::JobId, Encoding::Text, id);
    }

    pub(crate) fn add_witness(&mut self, witness: &Recognisable) {
        self.add(What::Document, Encoding::Text, &witness.document[..]);
        self.add_written(What::Document, &witness.document);
        // A part of the document gives the secret away as well as the whole.
        self.add_written(What::Document, hex::encode(witness.blinding).as_bytes());
        let element = Fp::from_repr(witness.blinding).expect("a canonical element");
        self.add_element(What::Blinding, element);
        self.add(What::Value, Encoding::Text, witness.value.to_string());
        self.add(What::Value, Encoding::Raw, witness.value.to_le_bytes());
        self.add(What::Value, Encoding::Raw, witness.value.to_be_bytes());
        self.add(What::Value, Encoding::Montgomery, montgomery(Fp::from(witness.value)));
    }
}

/// `element` times 2^256, which is what lies in memory, limb after limb.
fn montgomery(element: Fp) -> [u8; 32] {
    let two_to_256 = (0..256).fold(Fp::one(), |power, _| power.double());
    (element * two_to_256).to_repr()
}

/// The characters that bytes become in base64 whatever stands before and after them: there are three ways
/// to fall on its groups, and the first and last characters hold bits of the neighbours.
fn base64_anywhere(bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    for before in 0..3 {
        let padded = [&[0; 2][..before], bytes].concat();
        let own = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        for text in [BASE64_STANDARD_NO_PAD.encode(&padded), BASE64_URL_SAFE_NO_PAD.encode(&padded)] {
            texts.push(text[own.clone()].to_owned());
        }
    }
    texts
}

/// A witness that cannot be mistaken for anything else.
pub(crate) struct Recognisable {
    pub(crate) value: u64,
    pub(crate) blinding: [u8; 32],
    pub(crate) document: Vec<u8>,
}

impl Recognisable {
    /// Draws one for which the statement of `threshold-v1` holds.
    pub(crate) fn draw() -> Self {
        let blinding = SecretElement::random();
        let mut value = [0; 8];
        getrandom::fill(&mut value).expect("randomness");
        // Twenty digits, whatever was drawn.
        let value = u64::from_le_bytes(value) | 1 << 63 | 1 << 62;
        let document = threshold::witness(value, &blinding, 50_000).expose().to_vec();
        Recognisable { value, blinding: *blinding.expose_bytes(), document }
    }

    /// The same secrets in a document that the circuit refuses, in a field's name as well.
    pub(crate) fn refused(&self) -> Vec<u8> {
        let blinding = hex::encode(self.blinding);
        let document = serde_json::json!({
            "value": self.value.to_string(),
            "blinding": format!("0x{blinding}"),
            blinding: self.value,
        });
        document.to_string().into_bytes()
    }
}
