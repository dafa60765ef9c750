//! `schemas/` is what the code says: the schemas are generated from the types and compared, the
//! AsyncAPI document is read and held against the subjects and the headers, and the tables of
//! `docs/PROTOCOL.md` against the codes.
//!
//! `UPDATE_SCHEMAS=1 cargo test --test schemas` writes the generated files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use sealprove::audit::{Chain, Event, JobEnd, Line, SettledBy};
use sealprove::circuit::{Circuits, Proof, PublicInputs};
use sealprove::protocol::{
    self, Answer, AnswerHeader, Base64, Bundle, BundleCircuit, BundleKey, CancelReply, CancelResult, Code,
    IdentityKey, JobHeader, JobId, JobSubject, LabelledKey, Lane, Outcome, Scheme, Sha256Digest,
    SignedBundle, State, Status, Subjects, Tenant, Timings, UnixMillis, UnixSeconds, VerifyingKeyPin,
    catalogue_digest, generate_key, key_id,
};
use serde_json::{Value, json};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn read(path: &Path) -> Value {
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
    assert_eq!(&read(&path), generated, "{name} differs: run UPDATE_SCHEMAS=1 cargo test --test schemas");
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
fn the_schemas_are_those_of_the_types() {
    for (name, schema) in documents() {
        assert_committed(&format!("{name}.schema.json"), &schema);
    }
}

#[test]
fn the_witness_schemas_are_those_of_the_circuits() {
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

fn subject() -> JobSubject {
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
        state: State::Proving,
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
        ("status", json!(Status { state: State::Retrying, expected_ms: Some(900), ..status() })),
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
fn documents_of_another_shape_are_not_valid() {
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

fn asyncapi() -> Value {
    read(&schemas().join("asyncapi.json"))
}

#[test]
fn the_asyncapi_document_is_one() {
    let schema = include_str!("data/asyncapi-3.0.0.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let document = asyncapi();
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    assert!(!validator.is_valid(&json!({ "asyncapi": "3.0.0" })), "the validator takes anything");
    assert_eq!(document["info"]["version"], protocol::VERSION);
}

#[test]
fn every_reference_of_the_asyncapi_document_resolves() {
    let document = asyncapi();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let (file, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
        let target = if file.is_empty() { document.clone() } else { read(&schemas().join(file)) };
        assert!(target.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "$ref" => into.push(text.clone()),
                    member => collect_references(member, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        _ => {}
    }
}

#[test]
fn every_channel_is_a_subject_of_the_code() {
    let (subjects, job) = (Subjects::default(), subject());
    let expected = [
        ("job", subjects.job(&job)),
        ("answer", subjects.answer(&job.tenant, &job.job)),
        ("status", subjects.status(&job.tenant, &job.job)),
        ("live", subjects.live(&job.tenant, &job.job)),
        ("cancel", subjects.cancel(&job.tenant, &job.job)),
        ("bundle", subjects.bundle()),
    ];
    let document = asyncapi();
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(channels.len(), expected.len());
    for (name, subject) in expected {
        let address = channels[name]["address"].as_str().unwrap();
        let filled = address
            .replace("{tenant}", job.tenant.as_str())
            .replace("{lane}", job.lane.as_str())
            .replace("{circuit}", job.circuit.as_str())
            .replace("{job}", job.job.as_str());
        assert_eq!(filled, subject);

        let parameters = channels[name].get("parameters").and_then(Value::as_object);
        let declared = parameters.map(|parameters| parameters.len()).unwrap_or_default();
        assert_eq!(declared, address.matches('{').count(), "{name}");
    }
    let lanes: Vec<_> = Lane::ALL.iter().map(|lane| lane.as_str()).collect();
    assert_eq!(document["components"]["parameters"]["lane"]["enum"], json!(lanes));
}

#[test]
fn every_stream_listens_on_the_subjects_of_the_code() {
    let (subjects, tenant) = (Subjects::default(), Tenant::default());
    let document = asyncapi();
    let said = |pointer: &str| {
        let streams = &document["components"]["x-jetstream"];
        let text = streams.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).to_string();
        text.replace("<tenant>", tenant.as_str())
    };
    let lanes = Lane::ALL.map(|lane| subjects.lane(&tenant, lane));
    assert_eq!(said("/jobs/subjects"), json!(lanes).to_string());
    assert_eq!(said("/answers/subjects"), json!([subjects.answers(&tenant)]).to_string());
    assert_eq!(said("/answers/republish/src"), json!(subjects.answers(&tenant)).to_string());
    assert_eq!(said("/answers/republish/dest"), json!(subjects.live_transform(&tenant)).to_string());
    assert_eq!(said("/statuses/subjects"), json!([subjects.statuses()]).to_string());
    let filter = subjects.lane(&tenant, Lane::Express);
    assert_eq!(said("/consumer/filter_subject").replace("<lane>", "express"), json!(filter).to_string());
}

fn header_schema(message: &str) -> Value {
    asyncapi()["components"]["messages"][message]["headers"].clone()
}

fn assert_headers<'a>(message: &str, headers: impl IntoIterator<Item = (&'a str, String)>) {
    let headers =
        Value::Object(headers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect());
    let schema = header_schema(message);
    if let Err(error) = jsonschema::validate(&schema, &headers) {
        panic!("{message}: {error} in {headers}");
    }
    for name in headers.as_object().unwrap().keys() {
        let mut missing = headers.clone();
        missing.as_object_mut().unwrap().remove(name);
        let optional = name == protocol::H_TAG;
        assert_eq!(jsonschema::is_valid(&schema, &missing), optional, "{message} without {name}");
    }
}

#[test]
fn the_header_schemas_take_the_headers_of_the_code() {
    let header = |verifying_key| JobHeader {
        subject: subject(),
        key: "3a6adfa7dbe1cc0644f3c700a7bce70b".parse().unwrap(),
        expires: UnixSeconds(1_800_000_000),
        answer: Default::default(),
        verifying_key,
    };
    assert_headers("job", header(VerifyingKeyPin::Any).to_headers());
    assert_headers("job", header(VerifyingKeyPin::Exactly(Sha256Digest([7; 32]))).to_headers());

    for code in Code::ALL.iter().copied() {
        assert_headers("answer", AnswerHeader::unauthenticated(code).to_headers());
    }
    let tagged = AnswerHeader { tag: Some("A".repeat(64)), ..AnswerHeader::unauthenticated(Code::Ok) };
    assert_headers("answer", tagged.to_headers());

    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let outcomes = Outcome::ALL.map(Outcome::as_str);
    let properties = &header_schema("answer")["properties"];
    assert_eq!(properties[protocol::H_CODE]["enum"], json!(codes));
    assert_eq!(properties[protocol::H_OUTCOME]["enum"], json!(outcomes));
}

/// The cells of the rows of a Markdown document that begin with a code in backticks.
fn code_rows(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.map(cells)
        .filter(|cells: &Vec<String>| cells.len() == 6 && cells[0].parse::<Code>().is_ok())
        .collect()
}

#[test]
fn the_table_of_codes_in_the_protocol_is_that_of_the_code() {
    let text = include_str!("../docs/PROTOCOL.md");
    let rows = code_rows(text);
    assert_eq!(rows.len(), Code::ALL.len());
    for (row, code) in rows.iter().zip(Code::ALL) {
        let retryable = if code.retryable() { "yes" } else { "no" };
        assert_eq!(row[..4], [code.as_str(), code.outcome().as_str(), retryable, code.step()]);
    }
    for name in [
        protocol::H_VERSION,
        protocol::H_KEY,
        protocol::H_EXPIRES,
        protocol::H_ANSWER,
        protocol::H_VERIFYING_KEY,
        protocol::H_OUTCOME,
        protocol::H_CODE,
        protocol::H_TAG,
        protocol::H_CONTENT_TYPE,
    ] {
        assert!(text.contains(&format!("`{name}`")), "docs/PROTOCOL.md does not say {name}");
    }
}
