//! The descriptor of a circuit: its line in the bundle, and its default limits.

use std::time::Duration;

use crate::protocol::{BundleCircuit, CircuitId, LabelledKey, VerifyingKeyDigest, catalogue_digest};

/// The name, the encodings and the limits of a circuit.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// Name with version.
    pub id: CircuitId,
    /// Summary in one line, for people.
    pub summary: &'static str,
    /// Media type of a witness.
    pub media_type: &'static str,
    /// JSON Schema of a witness, where it is JSON.
    pub schema: Option<serde_json::Value>,
    /// Media type of the output document, where a proof comes with one.
    pub output_media_type: Option<&'static str>,
    /// Pinned verifying keys, each with its label; most circuits have one. Written by hand: a chamber that
    /// builds other keys does not start.
    pub verifying_keys: Vec<(&'static str, VerifyingKeyDigest)>,
    /// Size of the largest witness accepted, in bytes.
    pub witness_bytes_max: u32,
    /// Size of the largest answer, in bytes of its JSON document, where binary fields are in base64.
    pub answer_bytes_max: u32,
    /// Wall-clock limit of one proof, unless the operator sets another.
    pub time_limit: Duration,
    /// Memory that one proof may allocate, in bytes, unless the operator sets another. Measured on the
    /// largest witness, with room to spare: a service whose self-test exceeds it does not start.
    pub memory_bytes: u64,
}

impl Descriptor {
    /// Returns the digest that header and bundle pin: that of the only verifying key or, of several, the
    /// SHA-256 over their `label ‖ ":" ‖ digest ‖ "\n"` lines, sorted.
    pub fn verifying_key(&self) -> VerifyingKeyDigest {
        catalogue_digest(&self.verifying_keys)
    }

    /// Checks whether the output document is of the witness's own media type. The client then holds such a
    /// document already, and takes only what is new into it with
    /// [`Circuit::combine`](crate::circuit::Circuit::combine).
    pub fn combines(&self) -> bool {
        self.output_media_type == Some(self.media_type)
    }
}

impl From<&Descriptor> for BundleCircuit {
    fn from(descriptor: &Descriptor) -> Self {
        // The digest of an only key is the circuit's own, which the bundle has already.
        let labelled = if descriptor.verifying_keys.len() > 1 { &descriptor.verifying_keys[..] } else { &[] };
        BundleCircuit {
            id: descriptor.id.clone(),
            verifying_key: descriptor.verifying_key(),
            verifying_keys: labelled
                .iter()
                .map(|(label, digest)| LabelledKey { label: (*label).to_owned(), digest: *digest })
                .collect(),
            media_type: descriptor.media_type.to_owned(),
            schema: descriptor.schema.clone(),
            witness_bytes_max: descriptor.witness_bytes_max,
            answer_bytes_max: descriptor.answer_bytes_max,
        }
    }
}
