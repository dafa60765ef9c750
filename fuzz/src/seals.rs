//! Sealed jobs and sealed answers: what was not made for us does not open.
//!
//! The keys, the jobs and the answers are those of `schemas/vectors/`, which another implementation made.

use std::convert::Infallible;
use std::sync::LazyLock;

use hpke::inout::InOutBuf;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeS, Serializable, setup_sender_with_rng};
use sealprove::protocol::{
    AnswerBinding, AnswerHeader, AnswerMode, AnswerSecret, Scheme, open, public_key, sealed_bytes,
};
use sealprove::secret::PrivateKey;
use serde_json::Value;

use super::headers::{answer_header, pairs};

/// A job that opens.
pub struct Job {
    private: PrivateKey,
    /// What its seal is bound to.
    pub info: Vec<u8>,
    /// Its sealed payload.
    pub payload: Vec<u8>,
    witness: Vec<u8>,
}

/// The jobs of the vectors that open, all with one key.
pub static JOBS: LazyLock<Vec<Job>> = LazyLock::new(|| {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../../schemas/vectors/seal.json")).unwrap();
    let good = vectors.iter().filter(|vector| vector["expect"].as_str().unwrap().starts_with("opens"));
    good.map(|vector| Job {
        private: private_key(&bytes(&vector["private_key"])),
        info: vector["info"].as_str().unwrap().into(),
        payload: bytes(&vector["payload"]),
        witness: bytes(&vector["witness"]),
    })
    .collect()
});

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn private_key(bytes: &[u8]) -> PrivateKey {
    let Ok(key) = PrivateKey::fill(|key| {
        key.copy_from_slice(bytes);
        Ok::<_, Infallible>(())
    });
    key
}

/// The length of `info` in two bytes, `info`, and a payload: opened with the key of [`JOBS`].
pub fn job(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((info, payload)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else { return };
    let opened = open(Scheme::X25519, &JOBS[0].private, info, payload).ok();
    let sealed = JOBS.iter().find(|job| (&job.info[..], &job.payload[..]) == (info, payload));
    let opened = opened.as_ref().map(|opened| opened.witness.expose());
    assert_eq!(opened, sealed.map(|job| &job.witness[..]), "exactly what was sealed opens");
}

/// A padded plaintext, sealed as it is by somebody who knows the key: it opens where the padding is the one
/// that the protocol gives, and nowhere else.
pub fn padding(data: &[u8]) {
    let payload = seal(data);
    let opened = open(Scheme::X25519, &JOBS[0].private, &JOBS[0].info, &payload).ok();
    assert_eq!(opened.as_ref().map(|opened| opened.witness.expose()), unpadded(data));
    if let Some(opened) = opened {
        assert_eq!(payload.len(), sealed_bytes(Scheme::X25519, opened.witness.expose().len()));
    }
}

/// The padding as the protocol writes it down, and not as the library computes it.
fn unpadded(data: &[u8]) -> Option<&[u8]> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (witness, zeros) = rest.split_at_checked(length)?;
    // L rounded up to a multiple of 2^(E-S), where E = floor(log2 L) and S = floor(log2 E) + 1.
    let l = (length + 4) as u64;
    let e = 63 - l.leading_zeros();
    let s = 32 - e.leading_zeros();
    let granule = 1_u64 << (e - s);
    let padded = l.div_ceil(granule) * granule;
    (data.len() as u64 == padded.max(1024) && zeros.iter().all(|zero| *zero == 0)).then_some(witness)
}

/// HPKE over any plaintext at all, with an ephemeral key that is always the same, so that a run can be repeated.
fn seal(plaintext: &[u8]) -> Vec<u8> {
    type Aead = hpke::aead::ChaCha20Poly1305;
    type Kdf = hpke::kdf::HkdfSha256;
    type X25519 = X25519HkdfSha256;
    let public =
        <X25519 as Kem>::PublicKey::from_bytes(&public_key(Scheme::X25519, &JOBS[0].private)).unwrap();
    let (enc, mut context) =
        setup_sender_with_rng::<Aead, Kdf, X25519>(&OpModeS::Base, &public, &JOBS[0].info, &mut Sevens)
            .unwrap();
    let mut sealed = plaintext.to_vec();
    let tag = context.seal_inout_detached(InOutBuf::from(&mut sealed[..]), b"").unwrap();
    [&enc.to_bytes()[..], &sealed, &tag.to_bytes()].concat()
}

/// Randomness that can be repeated, and serves no other purpose.
struct Sevens;

impl TryRng for Sevens {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        buffer.fill(7);
        Ok(())
    }
}
impl TryCryptoRng for Sevens {}

/// An answer that opens, and what its client keeps.
struct Answered {
    info: Vec<u8>,
    enc: Vec<u8>,
    secret: AnswerSecret,
    header: AnswerHeader,
    document: Vec<u8>,
    payload: Vec<u8>,
}

static ANSWERS: LazyLock<Vec<Answered>> = LazyLock::new(|| {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../schemas/vectors/answer.json")).unwrap();
    let good = vectors.iter().filter(|vector| vector["expect"].as_str().unwrap().starts_with("an answer"));
    good.map(|vector| Answered {
        info: vector["info"].as_str().unwrap().into(),
        enc: bytes(&vector["enc"]),
        secret: AnswerSecret::from_bytes(bytes(&vector["answer_secret"]).try_into().unwrap()),
        header: AnswerHeader::parse(|name| vector["headers"][name].as_str()).unwrap(),
        document: vector["document"].as_str().unwrap().into(),
        payload: bytes(&vector["payload"]),
    })
    .collect()
});

/// The headers of an answer, `name: value` on each line, an empty line, and a payload: opened with what the
/// clients of the vectors keep.
pub fn answer(data: &[u8]) {
    let Some(end) = data.windows(2).position(|pair| pair == b"\n\n") else { return };
    let Ok(text) = str::from_utf8(&data[..end]) else { return };
    let Some(header) = answer_header(&pairs(text)) else { return };
    let payload = &data[end + 2..];
    for ours in ANSWERS.iter() {
        let binding = AnswerBinding { info: &ours.info, enc: &ours.enc, secret: &ours.secret };
        let opened = binding.open_answer(&header, payload).ok();
        let made = ANSWERS.iter().find(|made| made.is_to(ours) && made.is(&header, payload));
        let made = made.map(|made| &made.document[..]);
        assert_eq!(opened.as_deref(), made, "exactly what was made opens");
    }
}

impl Answered {
    fn is_to(&self, other: &Self) -> bool {
        let key = |answer: &Self| (answer.info.clone(), answer.enc.clone(), *answer.secret.expose());
        key(self) == key(other)
    }

    /// A sealed answer has no tag, and one that is put there says nothing.
    fn is(&self, header: &AnswerHeader, payload: &[u8]) -> bool {
        let bound = |header: &AnswerHeader| (header.code, header.mode, header.content_type.clone());
        let tagged = header.mode == AnswerMode::Sealed || header.tag == self.header.tag;
        bound(header) == bound(&self.header) && tagged && payload == self.payload
    }
}
