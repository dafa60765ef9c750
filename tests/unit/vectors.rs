//! The test vectors of `schemas/vectors/`, which an implementation in another language is held to as
//! well. They were made by another implementation than this one. Each says in `expect` what is to come
//! of it, and most must fail.

use std::path::Path;

use sealprove::protocol::{
    AnswerBinding, AnswerHeader, AnswerSecret, Deployment, Identity, JobHeader, KeyId, Scheme, SignedBundle,
    Subjects, UnixSeconds, key_id, open, public_key,
};
use sealprove::secret::PrivateKey;
use serde_json::{Value, json};

fn vectors(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(vector, name)).unwrap()
}

fn private_key(vector: &Value) -> PrivateKey {
    let Ok(key) = PrivateKey::fill(|key| {
        key.copy_from_slice(&bytes(vector, "private_key"));
        Ok::<_, std::convert::Infallible>(())
    });
    key
}

/// Does what a job process does, and says what came of it.
fn opened(vector: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let subject = Subjects::default().parse_job(text(vector, "subject")).unwrap();
    let headers = vector["headers"].as_object().unwrap();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let header = JobHeader::parse(subject, headers).unwrap();
    let info = header.info(&text(vector, "deployment").parse::<Deployment>().unwrap());
    if vector["info"].is_string() {
        assert_eq!(String::from_utf8(info.clone()).unwrap(), text(vector, "info"));
        let private = private_key(vector);
        assert_eq!(public_key(Scheme::X25519, &private), bytes(vector, "public_key"));
        assert_eq!(key_id(Scheme::X25519, &bytes(vector, "public_key")), header.key);
    }
    let opened = open(Scheme::X25519, &private_key(vector), &info, &bytes(vector, "payload")).ok()?;
    Some((opened.witness.expose().to_vec(), opened.answer_secret.expose().to_vec()))
}

#[test]
fn seals_open_as_their_vectors_say() {
    let (mut opens, mut refused) = (0, 0);
    for vector in vectors("seal.json") {
        let expect = text(&vector, "expect");
        if expect.starts_with("opens: ") {
            let expected = (bytes(&vector, "witness"), bytes(&vector, "answer_secret"));
            assert_eq!(opened(&vector), Some(expected), "{expect}");
            opens += 1;
        } else {
            assert!(expect.starts_with("UNSEAL_FAILED: "), "{expect}");
            assert_eq!(opened(&vector), None, "{expect}");
            refused += 1;
        }
    }
    assert_eq!((opens, refused), (3, 20));
}

fn accepted(vector: &Value) -> Option<Vec<u8>> {
    let header = AnswerHeader::parse(|name| vector["headers"][name].as_str())?;
    let secret = AnswerSecret::from_bytes(bytes(vector, "answer_secret").try_into().unwrap());
    let (info, enc) = (text(vector, "info").as_bytes(), bytes(vector, "enc"));
    let binding = AnswerBinding { info, enc: &enc, secret: &secret };
    binding.open_answer(&header, &bytes(vector, "payload")).ok()
}

#[test]
fn answers_are_accepted_as_their_vectors_say() {
    let (mut answers, mut refused) = (0, 0);
    for vector in vectors("answer.json") {
        let expect = text(&vector, "expect");
        if expect.starts_with("an answer: ") {
            assert_eq!(accepted(&vector).unwrap(), text(&vector, "document").as_bytes(), "{expect}");
            answers += 1;
        } else {
            assert!(expect.starts_with("not an answer: "), "{expect}");
            assert_eq!(accepted(&vector), None, "{expect}");
            refused += 1;
        }
    }
    assert_eq!((answers, refused), (3, 15));
}

#[test]
fn bundles_are_accepted_as_their_vectors_say() {
    let (mut accepted, mut refused) = (0, 0);
    for vector in vectors("bundle.json") {
        let expect = text(&vector, "expect");
        let identity: Identity = text(&vector, "identity").parse().unwrap();
        let signed = SignedBundle::from_json(vector["signed"].to_string().as_bytes()).unwrap();
        let verified = signed.verify(
            identity,
            UnixSeconds(vector["now"].as_u64().unwrap()),
            vector["seen"].as_u64().unwrap(),
        );
        assert_eq!(verified.is_ok(), expect.starts_with("accepted"), "{expect}: {verified:?}");
        match verified {
            Ok(bundle) => {
                accepted += 1;
                if vector["bundle"].is_object() {
                    assert_eq!(json!(bundle), vector["bundle"], "{expect}");
                }
                let id: KeyId = "3a6adfa7dbe1cc0644f3c700a7bce70b".parse().unwrap();
                assert_eq!(
                    bundle
                        .key_for(
                            &Scheme::STRONGEST_FIRST,
                            UnixSeconds(1_800_000_000),
                            UnixSeconds(1_800_000_600)
                        )
                        .map(|key| &key.id),
                    Some(&id)
                );
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!((accepted, refused), (3, 11));
}
