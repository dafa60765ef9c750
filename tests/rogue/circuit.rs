//! The parts that the circuits of this program share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sealprove::circuit::{
    BuildError, CheckedWitness, Circuit, Descriptor, InvalidWitness, Proof, ProveError, ProvingKey,
    PublicInputs, VerifyError, VerifyingKey,
};
use sealprove::protocol::Sha256Digest;
use serde::Deserialize;
use sha2::{Digest, Sha256};

const SALT_BYTES: usize = 32;

/// The witness: what a circuit is to do. A circuit reads what it knows, and ignores the rest.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Script {
    /// To do nothing wrong, for once.
    pub(crate) behaves: bool,
    /// Duration of proving, in milliseconds.
    pub(crate) ms: u64,
    /// Duration of checking, in milliseconds.
    pub(crate) check_ms: u64,
    /// A secret.
    pub(crate) secret: String,
    /// Reply that `garbles-v1` writes.
    pub(crate) mode: crate::garbage::Mode,
    /// Needle that `probes-v1` looks for in its memory: hexadecimal digits of at most 32 bytes.
    pub(crate) needle: String,
    /// The same, of bytes that it keeps in its memory itself: whether it finds what is there.
    pub(crate) decoy: String,
    /// Has `searches-v1` compare its findings with the kernel's own account.
    pub(crate) compares: bool,
    /// Attempt of `breaks-v1`, and the thread of its pool that makes it.
    pub(crate) attempt: String,
    pub(crate) thread: usize,
    /// The processes that it tries it on.
    pub(crate) chamber: i32,
    pub(crate) sibling: i32,
    /// Memory that it may have, in bytes.
    pub(crate) bytes: u64,
}

/// Number of witnesses that this process has decoded.
static DECODED: AtomicU32 = AtomicU32::new(0);

/// Returns the number of witnesses that this process has decoded.
pub(crate) fn count_decoded(_: &Script) -> Option<Vec<u8>> {
    Some(DECODED.load(Ordering::Relaxed).to_string().into_bytes())
}

impl Script {
    fn read(witness: &[u8]) -> Result<Self, InvalidWitness> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        serde_json::from_slice(witness).map_err(|_| InvalidWitness::whole("expected a script in JSON"))
    }
}

type Check = fn(&Script) -> Result<(), InvalidWitness>;
/// Misbehaves, and returns the output document, if there is one.
type Act = fn(&Script) -> Option<Vec<u8>>;

/// A circuit that misbehaves.
#[derive(Clone)]
pub(crate) struct Rogue {
    id: &'static str,
    check: Check,
    act: Act,
    pinned: Sha256Digest,
    built: Sha256Digest,
    honest: bool,
}

impl Rogue {
    pub(crate) fn new(id: &'static str, act: Act) -> Self {
        let key = Sha256Digest(Sha256::digest(id).into());
        Rogue { id, check: |_| Ok(()), act, pinned: key, built: key, honest: true }
    }

    /// Does something before it proves, too.
    pub(crate) fn checking(self, check: Check) -> Self {
        Rogue { check, ..self }
    }

    /// Returns proofs that do not verify.
    pub(crate) fn lying(self) -> Self {
        Rogue { honest: false, ..self }
    }

    /// Builds other keys than it pins.
    pub(crate) fn building_other_keys(self) -> Self {
        Rogue { built: Sha256Digest(Sha256::digest("something else").into()), ..self }
    }

    fn tag(&self, salt: &[u8], inputs: &PublicInputs) -> Vec<u8> {
        Sha256::new().chain_update(self.id).chain_update(salt).chain_update(&inputs.0).finalize().to_vec()
    }

    fn check_tag(&self, proof: &Proof) -> Result<(), VerifyError> {
        match proof.proof.split_at_checked(SALT_BYTES) {
            Some((salt, tag)) if tag == self.tag(salt, &proof.public_inputs) => Ok(()),
            _ => Err(VerifyError("not the hash of its public inputs")),
        }
    }
}

impl Circuit for Rogue {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            // Cannot panic: the names in `main` are well formed.
            id: self.id.parse().expect("a circuit's name"),
            summary: "Misbehaves, for tests.",
            media_type: "application/json",
            schema: None,
            output_media_type: None,
            verifying_keys: vec![("only", self.pinned)],
            witness_bytes_max: 4096,
            answer_bytes_max: 256 * 1024,
            time_limit: Duration::from_secs(5),
            memory_bytes: 64 << 20,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<CheckedWitness, InvalidWitness> {
        let script = Script::read(witness)?;
        std::thread::sleep(Duration::from_millis(script.check_ms));
        if !script.behaves {
            (self.check)(&script)?;
        }
        // All circuits of this program share the type `Script`: the name tells them apart.
        Ok(CheckedWitness::new((self.id, script), PublicInputs(Sha256::digest(witness).to_vec())))
    }

    fn sample_witness(&self) -> Vec<u8> {
        // Of another size than the tests' witnesses, so that how long it takes says nothing of them.
        format!(r#"{{"behaves": true, "secret": "{}"}}"#, "x".repeat(1500)).into_bytes()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(self.clone()))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(self.clone()))
    }
}

impl ProvingKey for Rogue {
    fn verifying_keys(&self) -> Vec<(&'static str, Sha256Digest)> {
        vec![("only", self.built)]
    }

    fn prove(&self, witness: CheckedWitness) -> Result<Proof, ProveError> {
        let (checked, public_inputs) = witness.into_parts::<(&str, Script)>()?;
        let (id, script) = *checked;
        if id != self.id {
            return Err(ProveError::OtherCircuit);
        }
        let output = if script.behaves { None } else { (self.act)(&script) };
        let mut proof = vec![0; SALT_BYTES];
        getrandom::fill(&mut proof).map_err(|_| ProveError::Refused("no randomness"))?;
        proof.extend(self.tag(&proof, &public_inputs));
        if !self.honest && !script.behaves {
            proof[0] ^= 1;
        }
        Ok(Proof { proof, public_inputs, output, verifying_key: self.built })
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        self.check_tag(proof)
    }
}

impl VerifyingKey for Rogue {
    fn verifying_keys(&self) -> Vec<(&'static str, Sha256Digest)> {
        vec![("only", self.pinned)]
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        self.check_tag(proof)
    }
}
