//! The trait for those who bring their own circuit, and the set of circuits that a program has.
//!
//! A circuit is offered to the rest of this crate as bytes in and bytes out: a witness in the
//! circuit's own encoding, a proof, and public inputs. Everything that knows a proof system is behind
//! this trait. A circuit does no I/O, starts no thread of its own (the caller's rayon pool is there), logs
//! nothing, makes no code and maps no file, and draws randomness from the operating system only: it proves in a
//! forked and locked process (see `sandbox`), where anything else would be the end of it, and where
//! a userspace generator would repeat itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{BundleCircuit, CircuitId, LabelledKey, VerifyingKeyDigest, catalogue_digest};

pub use crate::protocol::{Proof, PublicInputs};

/// A statement that can be proved, for one fixed verifying key (or one fixed set of them).
pub trait Circuit: Send + Sync + 'static {
    /// What the circuit is called, takes and costs. Cheap: builds no key.
    fn descriptor(&self) -> Descriptor;

    /// Decodes a witness, checks everything that can be checked without proving, and computes the
    /// public inputs that a proof of it would have. Milliseconds; builds no key.
    ///
    /// # Errors
    /// Where the witness is wrong, as a path of known names, never a value.
    fn check(&self, witness: &[u8]) -> Result<PublicInputs, InvalidWitness>;

    /// A valid witness, for self-tests, benchmarks and the curious. Not secret; differs between calls
    /// only if the circuit says so.
    fn sample_witness(&self) -> Vec<u8>;

    /// A valid witness that takes as much time and memory as any that [`Circuit::check`] lets through, for
    /// self-tests: what it proves under, every job does. By default the sample, for circuits of one size.
    fn largest_witness(&self) -> Vec<u8> {
        self.sample_witness()
    }

    /// Builds the verifying key. Seconds. Runs in the rayon pool of its caller.
    ///
    /// # Errors
    /// When the key cannot be built.
    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError>;

    /// Builds the proving key. Seconds. Runs in the rayon pool of its caller.
    ///
    /// # Errors
    /// When the key cannot be built.
    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError>;

    /// Client side, before sealing: the witness in the form that the service takes. Most circuits
    /// take it as it is.
    ///
    /// # Errors
    /// When the witness cannot be decoded.
    fn prepare(&self, witness: &[u8]) -> Result<Vec<u8>, InvalidWitness> {
        Ok(witness.to_vec())
    }

    /// The output document of a proof as it may be shown to everybody: what goes into an open answer.
    fn redact(&self, output: Vec<u8>) -> Vec<u8> {
        output
    }

    /// Client side, after verifying: takes from the service's output document only what is new in it,
    /// and puts it into the client's own witness document.
    ///
    /// # Errors
    /// When the two documents do not belong together.
    fn combine(&self, _witness: &[u8], output: &[u8]) -> Result<Vec<u8>, VerifyError> {
        Ok(output.to_vec())
    }
}

/// Makes proofs. Built once, read by every job process.
pub trait ProvingKey: Send + Sync {
    /// The digests of the verifying keys that belong to this proving key, with their labels.
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)>;

    /// Proves. The witness has passed [`Circuit::check`] in this process. Randomness comes from the
    /// operating system.
    ///
    /// # Errors
    /// When the prover refuses a witness that passed the check.
    fn prove(&self, witness: &[u8]) -> Result<Proof, ProveError>;

    /// Verifies a proof that this key made.
    ///
    /// # Errors
    /// When it does not verify.
    fn verify(&self, proof: &Proof) -> Result<(), VerifyError>;
}

/// Verifies proofs.
pub trait VerifyingKey: Send + Sync {
    /// The digests of the verifying keys, with their labels.
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)>;

    /// Verifies `proof.proof` against `proof.public_inputs` under the key that `proof.verifying_key`
    /// names; where there is an output document, also that it holds that proof and those inputs.
    ///
    /// # Errors
    /// When anything of that does not hold.
    fn verify(&self, proof: &Proof) -> Result<(), VerifyError>;
}

/// What a circuit is called, takes and costs: its line in the bundle, and its default limits.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// Name with version.
    pub id: CircuitId,
    /// One line for people.
    pub summary: &'static str,
    /// The media type of a witness.
    pub media_type: &'static str,
    /// JSON Schema of a witness, where it is JSON.
    pub schema: Option<serde_json::Value>,
    /// The media type of the output document, where a proof comes with one.
    pub output_media_type: Option<&'static str>,
    /// The pinned verifying keys, each with its label; most circuits have one. Written by hand: a
    /// chamber whose built keys differ does not start.
    pub verifying_keys: Vec<(&'static str, VerifyingKeyDigest)>,
    /// The largest witness taken, in bytes.
    pub witness_bytes_max: u32,
    /// The largest answer made, in bytes of its JSON document, where bytes stand in base64.
    pub answer_bytes_max: u32,
    /// The wall-clock limit of one proof, unless the operator sets another.
    pub time_limit: Duration,
    /// The ceiling of what one proof may allocate, in bytes, unless the operator sets another: measured on
    /// the largest witness, with room to spare. A self-test that hits it keeps the service from starting.
    pub memory_bytes: u64,
}

impl Descriptor {
    /// What the header and the bundle pin: the digest of the only verifying key or, of several, the
    /// SHA-256 over their `label ‖ ":" ‖ digest ‖ "\n"` lines, sorted.
    pub fn verifying_key(&self) -> VerifyingKeyDigest {
        catalogue_digest(&self.verifying_keys)
    }

    /// Whether the output document is of the witness's own kind: the client then has one already, and takes
    /// only what is new into it, with [`Circuit::combine`].
    pub fn combines(&self) -> bool {
        self.output_media_type == Some(self.media_type)
    }
}

impl From<&Descriptor> for BundleCircuit {
    fn from(descriptor: &Descriptor) -> Self {
        let labelled = descriptor.verifying_keys.iter();
        let labelled =
            labelled.map(|(label, digest)| LabelledKey { label: (*label).to_owned(), digest: *digest });
        BundleCircuit {
            id: descriptor.id.clone(),
            verifying_key: descriptor.verifying_key(),
            verifying_keys: if descriptor.verifying_keys.len() > 1 { labelled.collect() } else { Vec::new() },
            media_type: descriptor.media_type.to_owned(),
            schema: descriptor.schema.clone(),
            witness_bytes_max: descriptor.witness_bytes_max,
            answer_bytes_max: descriptor.answer_bytes_max,
        }
    }
}

/// A witness was refused: where, and why. Neither part holds a value of the witness: the path is made
/// of names from the schema and of indices, the reason is fixed text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct InvalidWitness {
    /// Such as `path[3]` or `orchard.actions[0].spend`; `witness` for the whole.
    pub path: String,
    /// What is wrong there, and what is expected.
    pub reason: &'static str,
}

impl InvalidWitness {
    /// The whole witness is wrong.
    pub fn whole(reason: &'static str) -> Self {
        Self::at("witness", reason)
    }

    /// The witness is wrong at `path`.
    pub fn at(path: impl Into<String>, reason: &'static str) -> Self {
        InvalidWitness { path: path.into(), reason }
    }
}

/// The prover refused a witness that had passed the check. Fixed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the prover refused: {0}")]
pub struct ProveError(pub &'static str);

/// A proof, or the document around it, does not hold. Fixed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not verify: {0}")]
pub struct VerifyError(pub &'static str);

/// A key could not be built.
#[derive(Debug, Clone, thiserror::Error)]
#[error("building the keys failed: {0}")]
pub struct BuildError(pub String);

/// The circuits of a program, by name.
#[derive(Clone, Default)]
pub struct Circuits(BTreeMap<CircuitId, Arc<dyn Circuit>>);

impl Circuits {
    /// No circuit yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a circuit; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, circuit: impl Circuit) -> Self {
        self.0.insert(circuit.descriptor().id, Arc::new(circuit));
        self
    }

    /// The circuit of that name.
    pub fn get(&self, id: &CircuitId) -> Option<&Arc<dyn Circuit>> {
        self.0.get(id)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&CircuitId, &Arc<dyn Circuit>)> {
        self.0.iter()
    }

    /// Only those that `keep` says yes to.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(&CircuitId) -> bool) -> Self {
        self.0.retain(|id, _| keep(id));
        self
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
