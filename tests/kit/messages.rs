//! Holds what a service has really stored against the published schemas.

use std::path::Path;

use serde_json::Value;

use super::Lab;

/// A document of `schemas/`, and what it refers to.
fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("a schema is JSON")
}

/// Panics where a document is not of its published schema.
#[track_caller]
pub(crate) fn assert_valid(name: &str, document: &Value) {
    let schema = schema(&format!("{name}.schema.json"));
    if let Err(error) = jsonschema::validate(&schema, document) {
        panic!("not a {name}: {error} in {document:#}");
    }
}

impl Lab {
    /// Every answer and every status that is stored is as the published schemas say, headers and payload.
    pub(crate) async fn messages_are_of_the_schemas(&self) {
        let headers = schema("asyncapi.json")["components"]["messages"]["answer"]["headers"].clone();
        for (sent, payload) in self.messages_of("PROVE_ANSWERS_default").await {
            let theirs =
                sent.iter().map(|(name, values)| (name.to_string(), Value::from(values[0].as_str())));
            let theirs = Value::Object(theirs.collect());
            if let Err(error) = jsonschema::validate(&headers, &theirs) {
                panic!("not the headers of an answer: {error} in {theirs:#}");
            }
            if theirs["Sealprove-Answer"] == "open" {
                assert_valid("answer", &serde_json::from_slice(&payload).expect("an open answer is JSON"));
            }
        }
        for (_, payload) in self.messages_of("PROVE_STATUS").await {
            assert_valid("status", &serde_json::from_slice(&payload).expect("a status is JSON"));
        }
    }

    async fn messages_of(&self, stream: &str) -> Vec<(async_nats::HeaderMap, Vec<u8>)> {
        let stream = self.stream(stream).await;
        let mut found = Vec::new();
        for sequence in stream.cached_info().state.first_sequence..=stream.cached_info().state.last_sequence {
            // A status that was replaced is gone.
            if let Ok(message) = stream.get_raw_message(sequence).await {
                found.push((message.headers, message.payload.to_vec()));
            }
        }
        found
    }
}
