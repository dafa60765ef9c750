//! Known answers for the suite, and what must not open.

use hex_literal::hex;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::setup_sender_with_rng;
use serde_json::Value;

use super::*;
use crate::protocol::ANSWER_MEDIA_TYPE;

const INFO: &[u8] = b"sealprove/1 job\nlab\n";

type HpkeKem = X25519HkdfSha256;

fn sealed(scheme: Scheme, witness: &[u8]) -> (PrivateKey, Sealed) {
    let (private, public) = generate_key(scheme);
    assert_eq!(public.len(), scheme.public_key_bytes());
    let sealed = seal(scheme, &public, INFO, witness).unwrap();
    assert_eq!(sealed.enc.len(), scheme.enc_bytes());
    assert_eq!(sealed.payload.len(), sealed_bytes(scheme, witness.len()));
    (private, sealed)
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// Gives out the bytes of a test vector, once.
struct Replay(Vec<u8>);

impl TryRng for Replay {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }
    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Self::Error> {
        buffer.copy_from_slice(&self.0[..buffer.len()]);
        self.0.drain(..buffer.len());
        Ok(())
    }
}
impl TryCryptoRng for Replay {}

#[test]
fn the_suites_give_the_known_answers_of_their_specifications() {
    let rfc_9180 = include_str!("../../../tests/data/rfc9180-x25519-chacha20poly1305.json");
    assert_eq!(known_answers::<X25519HkdfSha256>(rfc_9180), 7);
    let hpke_pq = include_str!("../../../tests/data/hpke-pq-xwing-chacha20poly1305.json");
    assert_eq!(known_answers::<XWing>(hpke_pq), 9);
}

/// Holds a suite to the test vectors of its specification; how many encryptions and exports there were.
fn known_answers<K: Kem>(vectors: &str) -> usize {
    let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    let mut covered = 0;
    for vector in &vectors {
        assert_eq!(vector["kem_id"], K::KEM_ID);
        let (info, enc) = (bytes(&vector["info"]), bytes(&vector["enc"]));
        let private = K::PrivateKey::from_bytes(&bytes(&vector["skRm"])).unwrap();
        let public = K::PublicKey::from_bytes(&bytes(&vector["pkRm"])).unwrap();
        assert_eq!(K::sk_to_pk(&private).to_bytes().to_vec(), bytes(&vector["pkRm"]));

        let mut ephemeral = Replay(bytes(&vector["ikmE"]));
        let (made_enc, mut sender) =
            setup_sender_with_rng::<HpkeAead, HpkeKdf, K>(&OpModeS::Base, &public, &info, &mut ephemeral)
                .unwrap();
        assert_eq!(made_enc.to_bytes().to_vec(), enc);

        let enc = K::EncappedKey::from_bytes(&enc).unwrap();
        let mut receiver =
            setup_receiver::<HpkeAead, HpkeKdf, K>(&OpModeR::Base, &private, &enc, &info).unwrap();
        for encryption in vector["encryptions"].as_array().unwrap() {
            let (aad, plain) = (bytes(&encryption["aad"]), bytes(&encryption["pt"]));
            assert_eq!(sender.seal(&plain, &aad).unwrap(), bytes(&encryption["ct"]));
            assert_eq!(receiver.open(&bytes(&encryption["ct"]), &aad).unwrap(), plain);
            covered += 1;
        }
        for export in vector["exports"].as_array().unwrap() {
            let mut secret = [0; 32];
            receiver.export(&bytes(&export["exporter_context"]), &mut secret).unwrap();
            assert_eq!(secret.to_vec(), bytes(&export["exported_value"]));
            covered += 1;
        }
    }
    covered
}

/// draft-connolly-cfrg-xwing-kem, appendix C: from the seed of a private key on.
#[test]
fn x_wing_gives_the_known_answers_of_its_draft() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/data/xwing-draft.json")).unwrap();
    for vector in &vectors {
        let private = PrivateKey::fill(|seed| {
            seed.copy_from_slice(&bytes(&vector["sk"]));
            Ok::<_, ()>(())
        });
        assert_eq!(public_key(Scheme::XWing, &private.unwrap()), bytes(&vector["pk"]));

        let public = <XWing as Kem>::PublicKey::from_bytes(&bytes(&vector["pk"])).unwrap();
        let (secret, enc) =
            XWing::encap_with_rng(&public, None, &mut Replay(bytes(&vector["eseed"]))).unwrap();
        assert_eq!(enc.to_bytes().to_vec(), bytes(&vector["ct"]));
        assert_eq!(secret.0.to_vec(), bytes(&vector["ss"]));

        let private = <XWing as Kem>::PrivateKey::from_bytes(&bytes(&vector["sk"])).unwrap();
        assert_eq!(XWing::decap(&private, None, &enc).unwrap().0, secret.0);
    }
    assert_eq!(vectors.len(), 3);
}

#[test]
fn an_opened_witness_is_what_was_sealed() {
    for scheme in Scheme::ALL {
        for length in [0, 1, 1019, 1020, 1021, 5000, 512 * 1024] {
            let witness: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let (private, sealed) = sealed(scheme, &witness);
            let opened = open(scheme, &private, INFO, &sealed.payload).unwrap();
            assert_eq!(opened.witness.expose(), witness);
            assert_eq!(opened.answer_secret.expose(), sealed.answer_secret.expose());
            assert_eq!(opened.scheme, scheme);
            assert_eq!(sealed.payload[..scheme.enc_bytes()], sealed.enc);
        }
    }
}

#[test]
fn damage_at_any_byte_opens_nothing() {
    for scheme in Scheme::ALL {
        let (private, sealed) = sealed(scheme, b"witness");
        for index in 0..sealed.payload.len() {
            let mut damaged = sealed.payload.clone();
            damaged[index] ^= 1;
            assert_eq!(open(scheme, &private, INFO, &damaged).unwrap_err(), SealError, "byte {index}");
        }
        for length in 0..sealed.payload.len() {
            assert!(open(scheme, &private, INFO, &sealed.payload[..length]).is_err(), "length {length}");
        }
        let longer = [&sealed.payload[..], &[0]].concat();
        assert!(open(scheme, &private, INFO, &longer).is_err());
    }
}

#[test]
fn another_header_key_or_scheme_opens_nothing() {
    for [scheme, other_scheme] in [[Scheme::X25519, Scheme::XWing], [Scheme::XWing, Scheme::X25519]] {
        let (private, sealed) = sealed(scheme, b"witness");
        let (other, _) = generate_key(scheme);
        assert!(open(scheme, &other, INFO, &sealed.payload).is_err());
        assert!(open(scheme, &private, b"sealprove/1 job\nother\n", &sealed.payload).is_err());
        assert!(open(other_scheme, &private, INFO, &sealed.payload).is_err());
    }
}

#[test]
fn a_low_order_point_opens_nothing() {
    let (private, sealed) = sealed(Scheme::X25519, b"witness");
    for point in [[0; 32], hex!("0100000000000000000000000000000000000000000000000000000000000000")] {
        let payload = [&point[..], &sealed.payload[32..]].concat();
        assert!(open(Scheme::X25519, &private, INFO, &payload).is_err());
        assert!(seal(Scheme::X25519, &point, INFO, b"witness").is_err());
    }
}

/// Seals a plaintext as it stands, with whatever padding it has.
fn seal_raw(public: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let public = <HpkeKem as Kem>::PublicKey::from_bytes(public).unwrap();
    let (enc, mut context) =
        setup_sender::<HpkeAead, HpkeKdf, HpkeKem>(&OpModeS::Base, &public, INFO).unwrap();
    [enc.to_bytes().to_vec(), context.seal(plaintext, b"").unwrap()].concat()
}

#[test]
fn a_padding_that_padme_would_not_make_opens_nothing() {
    let (private, public) = generate_key(Scheme::X25519);
    let mut good = vec![0; 1024];
    good[..4].copy_from_slice(&7_u32.to_be_bytes());
    good[4..11].copy_from_slice(b"witness");
    assert!(open(Scheme::X25519, &private, INFO, &seal_raw(&public, &good)).is_ok());

    let mut not_zero = good.clone();
    not_zero[1023] = 1;
    let mut too_long = good.clone();
    too_long[..4].copy_from_slice(&1021_u32.to_be_bytes());
    let mut huge = good.clone();
    huge[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let too_padded = [&good[..], &[0; 32]].concat();
    for plaintext in [&not_zero, &too_long, &huge, &too_padded, &good[..1023].to_vec(), &vec![], &vec![0; 3]]
    {
        assert!(open(Scheme::X25519, &private, INFO, &seal_raw(&public, plaintext)).is_err());
    }
}

#[test]
fn padme_grows_as_its_paper_says() {
    let expected = [(0, 1024), (1024, 1024), (1025, 1088), (2000, 2048), (2049, 2176), (100_000, 100_352)];
    for (length, padded_length) in expected {
        assert_eq!(padded(length), padded_length, "{length}");
    }
    for length in 1025..200_000 {
        let padded = padded(length);
        assert!(padded >= length && padded <= length + length / 8, "{length}");
    }
}

fn binding<'a>(sealed: &'a Sealed) -> AnswerBinding<'a> {
    AnswerBinding { info: INFO, enc: &sealed.enc, secret: &sealed.answer_secret }
}

#[test]
fn an_answer_opens_for_the_sender_alone_and_unchanged() {
    let (_, sealed_job) = sealed(Scheme::XWing, b"witness");
    let (_, other_job) = sealed(Scheme::XWing, b"witness");
    for mode in [AnswerMode::Sealed, AnswerMode::Open] {
        let (header, payload) =
            binding(&sealed_job).seal_answer(mode, Code::Ok, ANSWER_MEDIA_TYPE, b"{\"proof\":1}");
        assert_eq!(binding(&sealed_job).open_answer(&header, &payload).unwrap(), b"{\"proof\":1}");
        assert!(binding(&other_job).open_answer(&header, &payload).is_err());

        for changed in [
            AnswerHeader { code: Code::Timeout, ..header.clone() },
            AnswerHeader { content_type: "text/plain".into(), ..header.clone() },
            AnswerHeader { tag: None, mode: AnswerMode::Open, ..header.clone() },
        ] {
            assert!(binding(&sealed_job).open_answer(&changed, &payload).is_err());
        }
        for index in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[index] ^= 1;
            assert!(binding(&sealed_job).open_answer(&header, &damaged).is_err());
        }
    }
}

#[test]
fn two_answers_to_one_job_share_no_nonce() {
    let (_, job) = sealed(Scheme::XWing, b"witness");
    let [one, two] =
        [(); 2].map(|()| binding(&job).seal_answer(AnswerMode::Sealed, Code::Ok, ANSWER_MEDIA_TYPE, b"{}").1);
    assert_ne!(one[..NONCE_BYTES], two[..NONCE_BYTES]);
}

#[test]
fn a_forged_open_answer_has_no_good_tag() {
    let (_, job) = sealed(Scheme::XWing, b"witness");
    let header = AnswerHeader::unauthenticated(Code::Timeout);
    assert!(binding(&job).open_answer(&header, b"{}").is_err());
    let short = AnswerHeader { tag: Some("AAAA".into()), ..header };
    assert!(binding(&job).open_answer(&short, b"{}").is_err());
}
