//! The AsyncAPI document, held against the subjects and the headers of the code, and the tables of
//! `docs/PROTOCOL.md` against the codes.

use sealprove::protocol::{
    self, AnswerHeader, Code, JobHeader, Lane, Outcome, Sha256Digest, Subjects, Tenant, UnixSeconds,
    VerifyingKeyPin,
};
use serde_json::{Value, json};

use super::schemas::{read, schemas, subject};

fn asyncapi() -> Value {
    read(&schemas().join("asyncapi.json"))
}

#[test]
fn the_asyncapi_document_is_valid() {
    let schema = include_str!("../data/asyncapi-3.0.0.schema.json");
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
fn the_header_schemas_accept_the_headers_of_the_code() {
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
fn the_table_of_codes_in_the_protocol_matches_the_code() {
    let text = include_str!("../../docs/PROTOCOL.md");
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
