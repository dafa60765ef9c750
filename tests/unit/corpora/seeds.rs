//! Seeds of the targets that read frames, headers, seals, bundles and JSON witnesses.

mod frames;
mod headers;

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use sealprove::circuit::Circuit;
use sealprove::circuits::credentials::membership::Membership;
use sealprove::circuits::credentials::threshold::Threshold;
use sealprove::circuits::zcash::ZcashPczt;
use sealprove::protocol::{
    Answer, Base64, Bundle, BundleCircuit, BundleKey, CancelReply, CancelResult, Code, JobState, JobSubject,
    Scheme, Sha256Digest, Status, Subjects, Timings, VERSION, key_id, sealed_bytes,
};
use serde_json::{Value, json};

use super::Seed;
use super::targets::bundles::{NOW, identity};
use super::targets::seals::JOBS;

pub(super) fn all() -> Vec<Seed> {
    [frames::all(), subjects(), headers::all(), documents(), seals(), bundles(), witnesses()].concat()
}

const JOB_ID: &str = "00112233445566778899aabbccddeeff";
const KEY_ID: &str = "3a6adfa7dbe1cc0644f3c700a7bce70b";

fn subject() -> JobSubject {
    Subjects::default().parse_job(&format!("prove.v1.job.default.standard.threshold-v1.{JOB_ID}")).unwrap()
}

fn timings() -> Timings {
    Timings { queued: Some(3), opened: Some(1), checked: Some(2), proved: Some(85), verified: Some(7) }
}

fn seeds_for<B: Into<Vec<u8>>>(
    target: &'static str,
    seeds: impl IntoIterator<Item = (impl Into<String>, B)>,
) -> Vec<Seed> {
    seeds.into_iter().map(|(name, bytes)| Seed::new(target, name, bytes)).collect()
}

fn subjects() -> Vec<Seed> {
    let subjects = Subjects::default();
    let job = subjects.job(&subject());
    let JobSubject { tenant, job: id, .. } = subject();
    seeds_for(
        "subjects",
        [
            ("job", job.clone()),
            ("job-under-another-prefix", format!("lab.two\n{}", job.replace("prove.v1", "lab.two"))),
            ("job-under-a-longer-prefix", format!("prove\n{job}")),
            ("job-with-one-token-more", format!("{job}.x")),
            ("job-in-no-lane", job.replace("standard", "fast")),
            ("job-of-no-tenant", job.replace("default", "")),
            ("job-of-every-tenant", job.replace("default", "*")),
            ("prefix-with-a-wildcard", format!(">\n{job}")),
            ("prefix-empty", format!("\n{}", job.replace("prove.v1", ""))),
            ("live", subjects.live(&tenant, &id)),
            ("cancel", subjects.cancel(&tenant, &id)),
            ("answer", subjects.answer(&tenant, &id)),
            ("status", subjects.status(&tenant, &id)),
            ("bundle", subjects.bundle()),
            ("live-of-a-job-in-upper-case", subjects.live(&tenant, &id).to_uppercase()),
            ("name-of-a-circuit", "membership-v1".to_owned()),
            ("name-of-a-deployment", "eu.example_1".to_owned()),
            ("name-of-a-job", JOB_ID.to_owned()),
            ("name-of-a-key-in-upper-case", KEY_ID.to_uppercase()),
            ("name-of-a-verifying-key", Sha256Digest([0xab; 32]).to_string()),
            ("name-of-a-code", Code::AttemptsExhausted.to_string()),
            ("name-not-ascii", "d\u{e9}faut".to_owned()),
        ],
    )
}

fn documents() -> Vec<Seed> {
    let proof = sealprove::circuit::Proof {
        proof: vec![1; 40],
        public_inputs: sealprove::circuit::PublicInputs(vec![2; 64]),
        output: Some(vec![3; 5]),
        verifying_key: Sha256Digest([1; 32]),
    };
    let proved = Answer::proved(&subject(), proof, 1, timings());
    let refused = Answer::error(&subject(), Code::InvalidWitness, 2, Timings::default());
    let JobSubject { tenant, job, .. } = subject();
    let status = Status {
        version: VERSION.to_owned(),
        tenant: tenant.clone(),
        job: job.clone(),
        state: JobState::Proving,
        attempt: 1,
        faults: 0,
        since: NOW,
        expected_ms: Some(2800),
    };
    let cancelled =
        CancelReply { version: VERSION.to_owned(), tenant, job, result: CancelResult::Cancelled, code: None };
    let edited = |document: Value, name: &str, value: Value| {
        let mut document = document;
        document[name] = value;
        document.to_string().into_bytes()
    };
    seeds_for(
        "documents",
        [
            ("proved", proved.to_json()),
            ("refused", refused.to_json()),
            ("status", serde_json::to_vec(&status).unwrap()),
            ("cancelled", serde_json::to_vec(&cancelled).unwrap()),
            ("proved-and-refused", edited(json!(proved), "error", json!(refused.error))),
            ("proof-not-base64", edited(json!(proved), "proof", json!("AQE"))),
            ("proof-in-another-base64", edited(json!(proved), "proof", json!("AQF="))),
            ("job-of-another-shape", edited(json!(proved), "job", json!("x"))),
            ("attempt-over-its-size", edited(json!(status), "attempt", json!(1_u64 << 32))),
            ("attempt-with-a-fraction", edited(json!(status), "attempt", json!(1.0))),
            ("unknown-state", edited(json!(status), "state", json!("waiting"))),
            ("unknown-member", edited(json!(cancelled), "future", json!([[[]]]))),
            ("no-object", b"[]".to_vec()),
        ],
    )
}

/// Every vector of `schemas/vectors/`, in the form that the target reads.
fn vectors(name: &str) -> Vec<Value> {
    let path = super::fuzz().join("../schemas/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// `witness[..]` of the verdict's words, as the name of a file.
fn named(verdict: &str) -> String {
    let words = verdict.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

fn seals() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for vector in vectors("seal.json") {
        let info = vector["info"].as_str().map_or(JOBS[0].info.clone(), |info| info.as_bytes().to_vec());
        let length = u16::try_from(info.len()).unwrap().to_be_bytes();
        let bytes = [&length[..], &info, &bytes(&vector["payload"])].concat();
        seeds.push(Seed::new("sealed_job", named(vector["expect"].as_str().unwrap()), bytes));
    }
    for vector in vectors("answer.json") {
        let headers = vector["headers"].as_object().unwrap();
        let lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.as_str().unwrap())).collect();
        let bytes = [format!("{}\n\n", lines.join("\n")).as_bytes(), &bytes(&vector["payload"])].concat();
        seeds.push(Seed::new("sealed_answer", named(vector["expect"].as_str().unwrap()), bytes));
    }
    [seeds, paddings()].concat()
}

fn paddings() -> Vec<Seed> {
    let padded = |length: u32, witness: usize, total: usize| {
        let mut bytes = [&length.to_be_bytes()[..], &vec![b'w'; witness]].concat();
        bytes.resize(total, 0);
        bytes
    };
    let canonical = |witness: u32| {
        // The encapsulated key and the tag are not of the plaintext.
        padded(witness, witness as usize, sealed_bytes(Scheme::X25519, witness as usize) - 32 - 16)
    };
    let mut dirty = canonical(7);
    dirty[1023] = 1;
    seeds_for(
        "sealed_padding",
        [
            ("empty-witness", canonical(0)),
            ("short-witness", canonical(7)),
            ("witness-that-fills-1024-bytes", canonical(1020)),
            ("witness-of-1021-bytes", canonical(1021)),
            ("witness-of-4096-bytes", canonical(4096)),
            ("witness-of-5000-bytes", canonical(5000)),
            ("padding-not-zero", dirty),
            ("one-byte-too-many", padded(7, 7, 1025)),
            ("one-byte-too-few", padded(7, 7, 1023)),
            ("too-generous", padded(1021, 1021, 1152)),
            ("length-beyond-the-plaintext", padded(1021, 1020, 1024)),
            ("longest-length", padded(u32::MAX, 7, 1024)),
            ("no-length", vec![0; 3]),
            ("nothing", vec![]),
        ],
    )
}

fn key(byte: u8) -> BundleKey {
    const DAY: Duration = Duration::from_secs(86_400);
    BundleKey {
        id: key_id(Scheme::X25519, &[byte; 32]),
        scheme: Scheme::X25519,
        public_key: Base64(vec![byte; 32]),
        seal_from: NOW - DAY,
        seal_until: NOW + DAY * 30,
        open_until: NOW + DAY * 60,
    }
}

fn bundles() -> Vec<Seed> {
    let bundle = Bundle {
        version: VERSION.to_owned(),
        deployment: "lab".parse().unwrap(),
        identity: identity().identity(),
        serial: 7,
        issued_at: NOW,
        expires_at: NOW + Duration::from_secs(30 * 86_400),
        keys: vec![key(9), key(10)],
        circuits: vec![
            BundleCircuit::from(&ZcashPczt::default().descriptor()),
            BundleCircuit { schema: Some(json!({ "type": "object" })), ..(&Threshold.descriptor()).into() },
        ],
    };
    let edited = |pointer: &str, value: Value| {
        let mut edited = json!(bundle);
        *edited.pointer_mut(pointer).unwrap() = value;
        edited.to_string()
    };
    let mut later = json!(bundle);
    later["keys"][0]["scheme"] = json!("next");
    later["keys"][0]["public_key"] = json!(7);
    let payloads = [
        ("good", json!(bundle).to_string()),
        ("scheme-to-come", later.to_string()),
        ("no-keys", edited("/keys", json!([]))),
        ("key-that-is-no-object", edited("/keys/0", json!(7))),
        ("key-of-another-length", edited("/keys/0/public_key", json!("AQID"))),
        ("key-id-that-does-not-follow", edited("/keys/0/id", json!(KEY_ID))),
        ("key-never-sealed-to", edited("/keys/0/seal_until", json!(NOW.0 - 2 * 86_400))),
        ("key-that-can-strand-a-job", edited("/keys/0/open_until", json!(NOW.0 + 30 * 86_400))),
        ("expires-at-the-end-of-time", edited("/expires_at", json!(u64::MAX))),
        ("expired", edited("/expires_at", json!(NOW))),
        (
            "another-identity",
            edited("/identity", json!(format!("ed25519:{}", BASE64_STANDARD.encode([1; 32])))),
        ),
        ("identity-of-another-length", edited("/identity", json!("ed25519:AQID"))),
        ("another-version", edited("/version", json!("2"))),
        (
            "verifying-keys-that-do-not-make-their-digest",
            edited("/circuits/0/verifying_keys/0/label", json!("x")),
        ),
        ("schema-with-numbers", edited("/circuits/1/schema", json!({ "maximum": 1.1e300, "minimum": -0.1 }))),
        ("two-circuits-of-one-name", edited("/circuits/0", json!(bundle.circuits[1]))),
        ("no-object", "[]".to_owned()),
    ];
    let ours = bundle.sign(&identity()).to_json();
    let text = String::from_utf8(ours.clone()).unwrap();
    let mut signed = seeds_for(
        "bundle_signature",
        [
            ("ours", ours),
            ("ours-with-another-member", text.replacen('{', "{\"future\":1,", 1).into_bytes()),
            ("signature-cut-short", text.replace("\"signature\":\"", "\"signature\":\"AAAA").into_bytes()),
            ("no-signature", b"{\"payload\":\"e30=\",\"signature\":\"\"}".to_vec()),
            ("not-base64", b"{\"payload\":\"e30\",\"signature\":\"\"}".to_vec()),
        ],
    );
    for (index, vector) in vectors("bundle.json").iter().enumerate() {
        let name = format!("{}-{index}", named(vector["expect"].as_str().unwrap()));
        signed.push(Seed::new("bundle_signature", name, vector["signed"].to_string()));
    }
    [seeds_for("bundle", payloads), signed].concat()
}

/// A way to spoil a text.
type Spoil = fn(&str) -> String;

/// Mistakes that a document of any circuit can have.
const SPOILT: [(&str, Spoil); 14] = [
    ("good", str::to_owned),
    ("empty", |_| String::new()),
    ("null", |_| "null".to_owned()),
    ("in-an-array", |text| format!("[{text}]")),
    ("twice", |text| format!("{text}{text}")),
    ("cut-short", |text| text[..text.len() - 1].to_owned()),
    ("after-a-byte-order-mark", |text| format!("\u{feff}{text}")),
    ("with-white-space", |text| text.replace(',', " ,\n\t")),
    ("with-an-unknown-field", |text| text.replacen('{', r#"{"attack at dawn":1,"#, 1)),
    ("with-an-escaped-name", |text| text.replacen('"', "\"\\u0061", 1)),
    ("with-an-escaped-value", |text| text.replacen(":\"", ":\"\\u0030", 1)),
    ("larger-than-its-limit", |text| format!("{text}{}", " ".repeat(4096))),
    ("deep", |text| text.replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(200), "]".repeat(200)), 1)),
    ("first-field-twice", |text| text.replacen('{', &format!("{{{},", &text[1..text.find(',').unwrap()]), 1)),
];

fn witnesses() -> Vec<Seed> {
    let documents: [(&'static str, Vec<u8>); 2] = [
        ("threshold_witness", Threshold.sample_witness()),
        ("membership_witness", Membership.sample_witness()),
    ];
    let mut seeds = Vec::new();
    for (target, sample) in documents {
        let text = String::from_utf8(sample).unwrap();
        seeds.extend(seeds_for(target, SPOILT.map(|(name, spoil)| (name, spoil(&text)))));
        let not_utf8 = [b"{\"\xff\":1,", &text.as_bytes()[1..]].concat();
        seeds.push(Seed::new(target, "not-utf-8", not_utf8));
    }
    seeds.extend(edits(
        "threshold_witness",
        &Threshold,
        &[
            ("value-below-the-threshold", "/value", json!("49999")),
            ("value-equal-to-the-threshold", "/value", json!("50000")),
            ("value-at-its-limit", "/value", json!("18446744073709551615")),
            ("value-over-its-limit", "/value", json!("18446744073709551616")),
            ("value-with-a-zero", "/value", json!("067000")),
            ("value-with-a-sign", "/value", json!("+67000")),
            ("value-a-number", "/value", json!(67000)),
            ("threshold-zero", "/threshold", json!("0")),
            ("blinding-the-modulus", "/blinding", json!(MODULUS)),
            ("blinding-in-upper-case", "/blinding", json!(MODULUS.to_uppercase())),
            ("blinding-too-short", "/blinding", json!(&MODULUS[..64])),
            ("blinding-null", "/blinding", Value::Null),
        ],
    ));
    seeds.extend(edits(
        "membership_witness",
        &Membership,
        &[
            ("index-the-last", "/index", json!(u32::MAX)),
            ("index-over-its-limit", "/index", json!(1_u64 << 32)),
            ("index-below-zero", "/index", json!(-1)),
            ("index-with-a-fraction", "/index", json!(1.0)),
            ("index-in-a-string", "/index", json!("1")),
            ("path-empty", "/path", json!([])),
            ("path-too-long", "/path", json!(vec![MODULUS; 33])),
            ("path-no-array", "/path", json!(MODULUS)),
            ("sibling-the-modulus", "/path/31", json!(MODULUS)),
            ("sibling-a-number", "/path/9", json!(0)),
            ("secret-the-modulus", "/secret", json!(MODULUS)),
            ("signal-hash-zero", "/signal_hash", json!(format!("0x{}", "0".repeat(64)))),
        ],
    ));
    seeds
}

/// The modulus of the field, which is the first number that is not an element.
const MODULUS: &str = "0x01000000ed302d991bf94c09fc98462200000000000000000000000000000040";

fn edits(target: &'static str, circuit: &dyn Circuit, edits: &[(&str, &str, Value)]) -> Vec<Seed> {
    let edited = |(name, pointer, value): &(&str, &str, Value)| {
        let mut document: Value = serde_json::from_slice(&circuit.sample_witness()).unwrap();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        Seed::new(target, *name, document.to_string())
    };
    edits.iter().map(edited).collect()
}
