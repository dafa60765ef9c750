//! The schemas of `schemas/` are generated from the types and compared.
//!
//! `make schemas` writes the generated files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use sealprove::audit::{Chain, Event, JobEnd, Line, SettledBy};
use sealprove::circuit::{Circuits, Proof, PublicInputs};
use sealprove::protocol::{
    self, Answer, Base64, Bundle, BundleCircuit, BundleKey, CancelReply, CancelResult, Code, IdentityKey,
    JobId, JobState, JobSubject, LabelledKey, Scheme, Sha256Digest, SignedBundle, Status, Subjects, Tenant,
    Timings, UnixMillis, UnixSeconds, catalogue_digest, generate_key, key_id,
};
use serde_json::{Value, json};

pub(super) fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

pub(super) fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a generated document with its file, or writes it.
fn assert_committed(name: &str, generated: &Value) {
    let path = schemas().join(name);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // In one step, since other tests read it at this moment.
        let written = path.with_extension("new");
        fs::write(&written, serde_json::to_string_pretty(generated).unwrap() + "\n").unwrap();
        return fs::rename(written, path).unwrap();
    }
    assert_eq!(&read(&path), generated, "{name} differs: run `make schemas`");
}

/// The schema of what this version writes. Draft 7, which AsyncAPI reads without a declaration.
fn schema_of<T: JsonSchema>(name: &str, title: &str) -> Value {
    let generator = SchemaSettings::draft07().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    schema["$id"] = json!(format!("urn:sealprove:1:{name}"));
    schema["title"] = json!(title);
    schema
}

fn documents() -> [(&'static str, Value); 7] {
    [
        ("answer", schema_of::<Answer>("answer", "The answer of a job")),
        ("bundle", schema_of::<Bundle>("bundle", "The keys and circuits of a deployment")),
        ("signed-bundle", schema_of::<SignedBundle>("signed-bundle", "A bundle as it travels")),
        ("catalogue", schema_of::<Vec<BundleCircuit>>("catalogue", "The circuits of a deployment")),
        (
            "cancel-reply",
            schema_of::<CancelReply>("cancel-reply", "What became of a request to cancel a job"),
        ),
        ("status", schema_of::<Status>("status", "The last known state of a job without an answer")),
        ("audit", schema_of::<Line>("audit", "A line of a service's audit log")),
    ]
}

fn schema_named(name: &str) -> Value {
    let found = documents().into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no schema {name}")).1
}

#[test]
fn the_schemas_match_the_types() {
    for (name, schema) in documents() {
        assert_committed(&format!("{name}.schema.json"), &schema);
    }
}

#[test]
fn the_witness_schemas_match_the_circuits() {
    for (id, circuit) in Circuits::built_in().iter() {
        let descriptor = circuit.descriptor();
        let Some(mut schema) = descriptor.schema else { continue };
        let validator = jsonschema::validator_for(&schema).unwrap();
        let sample: Value = serde_json::from_slice(&circuit.sample_witness()).unwrap();
        assert!(validator.is_valid(&sample), "{id}: the sample witness is not one by its own schema");

        schema["$id"] = json!(format!("urn:sealprove:1:witness:{id}"));
        schema["title"] = json!(format!("A witness of {id}: {}", descriptor.summary));
        assert_committed(&format!("witness/{id}.schema.json"), &schema);
    }
}

#[test]
fn every_schema_file_is_a_json_schema_with_a_name_of_its_own() {
    let mut ids = BTreeSet::new();
    for folder in [schemas(), schemas().join("witness")] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if !path.to_string_lossy().ends_with(".schema.json") {
                continue;
            }
            let schema = read(&path);
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(schema["title"].is_string(), "{} has no title", path.display());
            assert!(ids.insert(schema["$id"].as_str().expect("an $id").to_owned()), "{}", path.display());
        }
    }
    assert!(ids.len() >= documents().len());
}

pub(super) fn subject() -> JobSubject {
    Subjects::default()
        .parse_job("prove.v1.job.default.standard.threshold-v1.00112233445566778899aabbccddeeff")
        .unwrap()
}

fn answer() -> Answer {
    let proof = Proof {
        proof: b"a proof".to_vec(),
        public_inputs: PublicInputs(b"public inputs".to_vec()),
        output: Some(b"{}".to_vec()),
        verifying_key: Sha256Digest([7; 32]),
    };
    let timings = Timings { queued: Some(12), proved: Some(840), ..Timings::default() };
    Answer::proved(&subject(), proof, 1, timings)
}

fn bundle() -> Bundle {
    let (_, public) = generate_key(Scheme::X25519);
    let labelled = [("nu5", [1; 32]), ("nu6", [2; 32])].map(|(label, digest)| (label, Sha256Digest(digest)));
    let circuit = BundleCircuit {
        id: "threshold-v1".parse().unwrap(),
        verifying_key: catalogue_digest(&labelled),
        verifying_keys: labelled
            .map(|(label, digest)| LabelledKey { label: label.to_owned(), digest })
            .to_vec(),
        media_type: "application/json".to_owned(),
        schema: None,
        witness_bytes_max: 4096,
        answer_bytes_max: 16384,
    };
    Bundle {
        version: "1".to_owned(),
        deployment: "lab".parse().unwrap(),
        identity: IdentityKey::generate().identity(),
        serial: 7,
        issued_at: UnixSeconds(1_799_000_000),
        expires_at: UnixSeconds(1_801_592_000),
        keys: vec![BundleKey {
            id: key_id(Scheme::X25519, &public),
            scheme: Scheme::X25519,
            public_key: Base64(public.to_vec()),
            seal_from: UnixSeconds(1_799_000_000),
            seal_until: UnixSeconds(1_801_592_000),
            open_until: UnixSeconds(1_801_679_000),
        }],
        circuits: vec![circuit],
    }
}

fn status() -> Status {
    Status {
        version: "1".to_owned(),
        tenant: Tenant::default(),
        job: JobId::random(),
        state: JobState::Proving,
        attempt: 1,
        faults: 0,
        since: UnixSeconds(1_800_000_000),
        expected_ms: None,
    }
}

/// Lines of an audit log: of a stop, and of a job that was found answered.
fn audit_lines() -> [Value; 2] {
    let mut chain = Chain::new("0".repeat(32));
    let JobSubject { tenant, lane, circuit, job } = subject();
    let end = json!({
        "tenant": tenant, "lane": lane, "circuit": circuit, "job": job, "settled_by": SettledBy::Found, "attempt": 2,
    });
    let end: JobEnd = serde_json::from_value(end).unwrap();
    [Event::Job(Box::new(end)), Event::Stop]
        .map(|event| serde_json::from_slice(&chain.next(UnixMillis(1_800_000_000_123), 0, event)).unwrap())
}

fn cancelled() -> CancelReply {
    let JobSubject { tenant, job, .. } = subject();
    let (result, code) = (CancelResult::Cancelled, Some(Code::Cancelled));
    CancelReply { version: protocol::VERSION.to_owned(), tenant, job, result, code }
}

#[test]
fn documents_made_of_the_types_are_valid() {
    let mut samples = vec![
        ("answer", json!(answer())),
        ("bundle", json!(bundle())),
        ("signed-bundle", json!(bundle().sign(&IdentityKey::generate()))),
        ("catalogue", json!(bundle().circuits)),
        ("cancel-reply", json!(cancelled())),
        ("cancel-reply", json!(CancelReply { result: CancelResult::NotFound, code: None, ..cancelled() })),
        ("status", json!(status())),
        ("status", json!(Status { state: JobState::Retrying, expected_ms: Some(900), ..status() })),
    ];
    samples.extend(audit_lines().map(|line| ("audit", line)));
    for code in Code::ALL.iter().copied().filter(|code| *code != Code::Ok) {
        samples.push(("answer", json!(Answer::error(&subject(), code, 1, Timings::default()))));
    }
    for (name, sample) in samples {
        let schema = schema_named(name);
        if let Err(error) = jsonschema::validate(&schema, &sample) {
            panic!("{name}: {error} in {sample}");
        }
    }
}

#[test]
fn documents_of_another_shape_are_invalid() {
    let without = |mut document: Value, name: &str| {
        document.as_object_mut().unwrap().remove(name);
        document
    };
    let with = |mut document: Value, pointer: &str, value: Value| {
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        document
    };
    let (answer, bundle, status) = (json!(answer()), json!(bundle()), json!(status()));
    let refused = [
        ("answer", without(answer.clone(), "proof")),
        ("answer", with(answer.clone(), "/job", json!("0011"))),
        ("answer", with(answer.clone(), "/verifying_key", json!("sha256:00"))),
        ("answer", with(answer.clone(), "/version", json!("2"))),
        ("bundle", without(bundle.clone(), "serial")),
        ("bundle", with(bundle.clone(), "/identity", json!("ed25519:AAAA"))),
        ("bundle", with(bundle.clone(), "/keys/0/scheme", json!("rot13"))),
        ("bundle", with(bundle, "/deployment", json!("a\nb"))),
        ("signed-bundle", json!({ "payload": "", "signature": "", "keys": [] })),
        ("cancel-reply", with(json!(cancelled()), "/result", json!("perhaps"))),
        ("cancel-reply", with(json!(cancelled()), "/code", json!("GONE"))),
        ("status", with(status.clone(), "/state", json!("proved"))),
        ("status", with(status, "/attempt", json!(-1))),
        ("audit", without(audit_lines()[0].clone(), "prev")),
        ("audit", without(audit_lines()[0].clone(), "settled_by")),
        ("audit", with(audit_lines()[1].clone(), "/event", json!("rest"))),
    ];
    for (name, document) in refused {
        let schema = schema_named(name);
        assert!(!jsonschema::is_valid(&schema, &document), "{name} took {document}");
    }
}
