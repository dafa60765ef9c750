//! Tests that every circuit of the family passes: of its keys, its proofs and its witnesses.

use jsonschema::Validator;
use serde_json::Value;

use crate::circuit::halo2::{Base, Element, Halo2Circuit, LABEL, Prover};
use crate::circuit::{
    Circuit, InvalidWitness, Proof, ProveError, ProvingKey, PublicInputs, VerifyError, VerifyingKey,
};
use crate::protocol::Sha256Digest;

/// Proves a false statement without the check: the result has the length of a proof and does not verify.
pub(super) fn no_proof_comes_of_a_wrong_assignment<C: Halo2Circuit>(
    circuit: &C::Circuit,
    instance: &[Base],
    proof_bytes: usize,
) {
    let prover = Prover::<C>::build().unwrap();
    let proof = prover.create(circuit, instance).unwrap();
    assert_eq!(proof.proof.len(), proof_bytes);
    let refused = VerifyError("the proof does not hold for these public inputs");
    assert_eq!(prover.verify(&proof), Err(refused));
}

/// The keys of a circuit, and a proof of its sample witness.
pub(super) struct Fixture {
    circuit: &'static dyn Circuit,
    proving_key: Box<dyn ProvingKey>,
    verifying_key: Box<dyn VerifyingKey>,
    witness: Vec<u8>,
    proof: Proof,
}

impl Fixture {
    pub(super) fn new(circuit: &'static dyn Circuit) -> Self {
        let proving_key = circuit.build_proving_key().unwrap();
        let verifying_key = circuit.build_verifying_key().unwrap();
        let witness = circuit.sample_witness();
        let proof = proving_key.prove(circuit.check(&witness).unwrap()).unwrap();
        Fixture { circuit, proving_key, verifying_key, witness, proof }
    }

    /// The digest in the source is changed by hand and never by a test, so that a reviewer sees the change.
    pub(super) fn the_verifying_key_is_the_pinned_one(&self) {
        let descriptor = self.circuit.descriptor();
        for built in [self.proving_key.verifying_keys(), self.verifying_key.verifying_keys()] {
            assert_eq!(
                built, descriptor.verifying_keys,
                "the verifying key of {} has changed. Proofs and services in the world hold the pinned \
                 one: undo the change, or give the circuit a new name with a new version",
                descriptor.id,
            );
        }
        assert_eq!(self.proof.verifying_key, descriptor.verifying_key());
        assert_eq!(descriptor.verifying_keys[0].0, LABEL);
    }

    pub(super) fn a_proof_verifies_under_both_keys(&self) {
        assert_eq!(self.verify(&self.proof), Ok(()));
        assert_eq!(self.proof.public_inputs, self.circuit.public_inputs(&self.witness).unwrap());
        let answer = self.proof.proof.len() + self.proof.public_inputs.0.len();
        assert!(answer < self.circuit.descriptor().answer_bytes_max as usize);
    }

    pub(super) fn a_proof_has_the_documented_length(&self, bytes: usize) {
        assert_eq!(self.proof.proof.len(), bytes);
    }

    pub(super) fn a_witness_of_another_circuit_is_refused(&self, other: &dyn Circuit) {
        let checked = other.check(&other.sample_witness()).unwrap();
        assert_eq!(self.proving_key.prove(checked), Err(ProveError::OtherCircuit));
    }

    pub(super) fn the_same_witness_gives_another_proof_each_time(&self) {
        let again = self.prove(&self.witness);
        assert_eq!(self.verify(&again), Ok(()));
        assert_eq!(again.public_inputs, self.proof.public_inputs);
        assert_ne!(again.proof, self.proof.proof);
    }

    /// Flips one bit in each of the encoded points and scalars, at a different position within the byte each
    /// time.
    pub(super) fn a_proof_with_one_flipped_bit_is_refused(&self) {
        let mut flipped = 0;
        for at in (0..self.proof.proof.len()).step_by(31) {
            let proof = self.with(|proof| proof.proof[at] ^= 1 << (at % 8));
            let refused = VerifyError("the proof does not hold for these public inputs");
            assert_eq!(self.verify(&proof), Err(refused), "byte {at}");
            flipped += 1;
        }
        assert!(flipped > 70, "only {flipped} of {} bytes", self.proof.proof.len());
    }

    pub(super) fn a_proof_of_another_length_is_refused(&self) {
        let others = [
            self.with(|proof| proof.proof.push(0)),
            self.with(|proof| proof.proof.extend([0; 32])),
            self.with(|proof| proof.proof.truncate(proof.proof.len() - 1)),
            self.with(|proof| proof.proof.clear()),
        ];
        for other in others {
            assert_eq!(self.verify(&other), Err(VerifyError("the proof has the wrong length")), "{other:?}");
        }
    }

    pub(super) fn a_proof_holds_for_no_other_public_inputs(&self, rows: usize) {
        assert_eq!(self.proof.public_inputs.0.len(), rows * Element::BYTES);
        for row in 0..rows {
            let other = self.with(|proof| proof.public_inputs.0[row * Element::BYTES] ^= 1);
            let refused = VerifyError("the proof does not hold for these public inputs");
            assert_eq!(self.verify(&other), Err(refused), "row {row}");

            let beyond = self.with(|proof| proof.public_inputs.0[row * Element::BYTES + 31] = 0xff);
            let refused = VerifyError("a public input is not a canonical field element");
            assert_eq!(self.verify(&beyond), Err(refused), "row {row}");
        }
        let changes: [fn(&mut Vec<u8>); 3] =
            [|inputs| inputs.truncate(32), |inputs| inputs.extend([0; 32]), |inputs| inputs.push(0)];
        for change in changes {
            let other = self.with(|proof| change(&mut proof.public_inputs.0));
            assert_eq!(self.verify(&other), Err(VerifyError("the public inputs have the wrong length")));
        }
    }

    pub(super) fn a_proof_with_another_key_or_a_document_is_refused(&self) {
        let other = self.with(|proof| proof.verifying_key = Sha256Digest([0; 32]));
        assert_eq!(self.verify(&other), Err(VerifyError("the proof names another verifying key")));
        let other = self.with(|proof| proof.output = Some(vec![]));
        assert_eq!(self.verify(&other), Err(VerifyError("this circuit returns no output document")));
    }

    /// Returns the proof of the sample, under the public inputs of another witness.
    pub(super) fn with_public_inputs(&self, public_inputs: PublicInputs) -> Proof {
        self.with(|proof| proof.public_inputs = public_inputs)
    }

    /// Verifies a proof under both keys, which must agree.
    pub(super) fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        let result = self.verifying_key.verify(proof);
        assert_eq!(self.proving_key.verify(proof), result);
        result
    }

    pub(super) fn prove(&self, witness: &[u8]) -> Proof {
        self.proving_key.prove(self.circuit.check(witness).unwrap()).unwrap()
    }

    fn with(&self, change: impl FnOnce(&mut Proof)) -> Proof {
        let mut proof = self.proof.clone();
        change(&mut proof);
        proof
    }
}

/// A way to spoil the sample witness, the path and the reason that `check` must give, and the schema's
/// verdict.
pub(super) type Spoiled = (fn(&mut Value), &'static str, &'static str, Schema);

/// A schema's verdict on a spoiled witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    Refuses,
    /// The mistake is arithmetic, which a schema cannot express.
    Takes,
}

pub(super) fn spoiled_witnesses_are_refused(circuit: &dyn Circuit, table: &[Spoiled]) {
    let schema = schema(circuit);
    for (row, (spoil, path, reason, by_schema)) in table.iter().enumerate() {
        let mut document = serde_json::from_slice(&circuit.sample_witness()).unwrap();
        spoil(&mut document);
        let refusal = circuit.public_inputs(document.to_string().as_bytes());
        assert_eq!(refusal, Err(InvalidWitness::at(*path, reason)), "row {row}");
        assert_eq!(schema.is_valid(&document), *by_schema == Schema::Takes, "row {row}");
    }
}

pub(super) fn other_text_is_refused(circuit: &dyn Circuit) {
    let sample = String::from_utf8(circuit.sample_witness()).unwrap();
    let first = sample.split('"').nth(1).unwrap();
    let table: [(String, InvalidWitness); 11] = [
        (String::new(), InvalidWitness::whole("empty: expected one JSON object")),
        (" \n".into(), InvalidWitness::whole("empty: expected one JSON object")),
        ("null".into(), InvalidWitness::whole("not an object: expected one JSON object")),
        (format!("[{sample}]"), InvalidWitness::whole("not an object: expected one JSON object")),
        (
            format!("{sample}{{}}"),
            InvalidWitness::whole("more than one JSON object: expected nothing after it"),
        ),
        (sample[..sample.len() - 1].into(), InvalidWitness::whole("not JSON: expected one JSON object")),
        (format!("\u{feff}{sample}"), InvalidWitness::whole("not JSON: expected one JSON object")),
        (
            sample.replacen(&first[..1], &format!("\\u{:04x}", first.as_bytes()[0]), 1),
            InvalidWitness::whole("a field's name is written with an escape: expected plain names"),
        ),
        (
            sample.replacen('{', r#"{"attack at dawn":1,"#, 1),
            InvalidWitness::whole("has a field that the schema does not have"),
        ),
        (
            sample.replacen('{', &format!("{{{first:?}:0,"), 1),
            InvalidWitness::at(first, "given more than once"),
        ),
        (format!("{sample}{}", " ".repeat(8192)), InvalidWitness::whole("larger than this circuit's limit")),
    ];
    for (document, refusal) in table {
        assert_eq!(circuit.public_inputs(document.as_bytes()), Err(refusal), "{document:.80}");
    }
    let not_utf8: Vec<u8> = sample
        .replacen('{', "{\"?\":0,", 1)
        .bytes()
        .map(|byte| if byte == b'?' { 0xff } else { byte })
        .collect();
    assert_eq!(circuit.public_inputs(&not_utf8), Err(InvalidWitness::whole("not JSON: expected UTF-8")));
}

pub(super) fn the_sample_fits_schema_and_limits(circuit: &dyn Circuit) {
    let sample = circuit.sample_witness();
    assert!(circuit.check(&sample).is_ok());
    assert!(sample.len() <= circuit.descriptor().witness_bytes_max as usize / 2 + 512);
    assert!(schema(circuit).is_valid(&serde_json::from_slice(&sample).unwrap()));
}

fn schema(circuit: &dyn Circuit) -> Validator {
    jsonschema::validator_for(&circuit.descriptor().schema.unwrap()).unwrap()
}
