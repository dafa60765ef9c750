//! A recipient's judgement of a message: the service first, which has no key, then a job process.

use serde_json::json;

use super::{File, counted, judge_all};
use crate::circuit::{Circuit, ProvingKey};
use crate::circuits::credentials::threshold::Threshold;
use crate::config::Tenants;
use crate::frame::ReadyKey;
use crate::protocol::{
    Bundle, BundleCircuit, CircuitId, Code, Deployment, IdentityKey, JobHeader, KeyId, Scheme, Subjects,
    UnixSeconds, VerifyingKeyDigest, key_id, open, public_key,
};
use crate::secret::PrivateKey;
use crate::service::job::admission::{Admission, Message, Recipient, check};
use crate::service::prover::ChamberKeys;

/// The recipient that a file describes.
struct Held {
    private: Vec<(ReadyKey, PrivateKey)>,
    keys: ChamberKeys,
    bundle: Bundle,
}

impl Held {
    fn new(file: &File) -> Self {
        let private: Vec<_> = file.all("key").map(held_key).collect();
        let keys = ChamberKeys {
            ready: private.iter().map(|(ready, _)| ready.clone()).collect(),
            destroyed: file.all("destroyed").map(|id| id.parse().unwrap()).collect(),
        };
        Held { private, keys, bundle: bundle(file) }
    }

    fn key(&self, id: &KeyId) -> (Scheme, &PrivateKey) {
        let (ready, private) =
            self.private.iter().find(|(ready, _)| ready.id == *id).expect("an admitted key");
        (ready.scheme, private)
    }
}

/// Parses `<scheme> <private key in hexadecimal digits>`.
fn held_key(line: &str) -> (ReadyKey, PrivateKey) {
    let (scheme, digits) = line.split_once(' ').unwrap();
    let scheme: Scheme = scheme.parse().unwrap();
    let private = PrivateKey::fill(|key| hex::decode_to_slice(digits, key)).unwrap();
    let id = key_id(scheme, &public_key(scheme, &private));
    (ReadyKey { id, scheme }, private)
}

fn bundle(file: &File) -> Bundle {
    Bundle {
        version: "1".to_owned(),
        deployment: file.parsed("deployment"),
        identity: IdentityKey::from_bytes(&[7; 32]).identity(),
        serial: 1,
        issued_at: UnixSeconds(0),
        expires_at: UnixSeconds(0),
        keys: Vec::new(),
        circuits: file.all("circuit").map(listed).collect(),
    }
}

/// Parses `<name> <verifying key> <witness_bytes_max>`.
fn listed(line: &str) -> BundleCircuit {
    let [id, verifying_key, most] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    BundleCircuit {
        id: id.parse::<CircuitId>().unwrap(),
        verifying_key: verifying_key.parse::<VerifyingKeyDigest>().unwrap(),
        verifying_keys: Vec::new(),
        media_type: "application/json".to_owned(),
        schema: None,
        witness_bytes_max: most.parse().unwrap(),
        answer_bytes_max: 8192,
    }
}

fn verdict(file: &File, proving_key: &dyn ProvingKey) -> String {
    let subjects = Subjects::try_from(file.one("prefix").to_owned()).unwrap();
    let Ok(subject) = subjects.parse_job(file.one("subject")) else { return "not-a-job".to_owned() };
    let held = Held::new(file);
    let now: UnixSeconds = file.parsed("now");
    let tenants: Tenants = serde_json::from_value(json!({ subject.tenant.as_str(): {} })).unwrap();
    let recipient = Recipient {
        circuits: &held.bundle.circuits,
        tenants: &tenants,
        keys: Some(&held.keys),
        earliest_finish: now.to_millis(),
    };
    let payload = file.base64("payload");
    let stored_at = file.parsed("stored-at");
    let message = Message { subject: &subject, headers: file.headers(), payload: &payload, stored_at };
    match check(message, &recipient) {
        Admission::Prove(header) => opened(file, &held, &header, &payload, proving_key),
        Admission::Refuse(code) => name(code),
        other @ Admission::Retry(_) => panic!("{}: {other:?}", file.name),
    }
}

fn name(code: Code) -> String {
    code.as_str().to_lowercase().replace('_', "-")
}

/// Returns a job process's verdict on an admitted job.
fn opened(
    file: &File,
    held: &Held,
    header: &JobHeader,
    payload: &[u8],
    proving_key: &dyn ProvingKey,
) -> String {
    let (scheme, private) = held.key(&header.key);
    let info = header.info(&file.parsed::<Deployment>("deployment"));
    let Ok(opened) = open(scheme, private, &info, payload) else { return name(Code::UnsealFailed) };
    let witness = opened.witness.expose();
    if file.any("witness").is_some() {
        assert_eq!(info, file.base64("info"), "{}", file.name);
        assert_eq!(witness, file.base64("witness"), "{}", file.name);
        assert_eq!(*opened.answer_secret.expose(), file.hex("answer-secret"), "{}", file.name);
    }

    if witness.len() > Threshold.descriptor().witness_bytes_max as usize {
        return name(Code::WitnessTooLarge);
    }
    let Ok(checked) = Threshold.check(witness) else { return name(Code::InvalidWitness) };
    let expected = checked.public_inputs().clone();
    let proof = proving_key.prove(checked).unwrap();
    proving_key.verify(&proof).unwrap();
    assert_eq!(proof.public_inputs, expected, "{}", file.name);
    "proved".to_owned()
}

#[test]
fn jobs_are_judged_as_their_vectors_say() {
    let proving_key = Threshold.build_proving_key().unwrap();
    let verdicts = judge_all("job", |file| verdict(file, &*proving_key));
    let expected = counted(&[
        ("circuit-not-found", 4),
        ("expired", 4),
        ("invalid-witness", 36),
        ("key-retired", 2),
        ("key-unknown", 18),
        ("malformed-job", 138),
        ("not-a-job", 31),
        ("plaintext-rejected", 26),
        ("proved", 29),
        ("unseal-failed", 275),
        ("unsupported-version", 10),
        ("verifying-key-mismatch", 3),
        ("witness-too-large", 11),
    ]);
    assert_eq!(verdicts, expected);
}
