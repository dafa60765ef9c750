//! Witnesses, statements and proofs of `threshold-v1`; its constraints are in [`constraints`].

use std::sync::LazyLock;

use halo2_proofs::dev::MockProver;
use serde_json::json;

use super::*;
use crate::circuit::{Circuit as _, Circuits};
use crate::circuits::credentials::conformance::{self, Fixture, Schema, Spoiled};
use crate::circuits::credentials::membership::Membership;

mod constraints;

/// Length of a proof, in bytes.
const PROOF_BYTES: usize = 2496;

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| Fixture::new(&Threshold));

fn blinding() -> SecretElement {
    SecretElement::from_bytes(&[9; 32]).unwrap()
}

/// Returns a document, also one whose statement is false.
fn document(value: u64, threshold: u64) -> Vec<u8> {
    witness(value, &blinding(), threshold).expose().to_vec()
}

#[test]
fn the_verifying_key_is_the_pinned_one() {
    FIXTURE.the_verifying_key_is_the_pinned_one();
}

#[test]
fn a_proof_verifies_under_both_keys() {
    FIXTURE.a_proof_verifies_under_both_keys();
}

#[test]
fn a_proof_has_the_documented_length() {
    FIXTURE.a_proof_has_the_documented_length(PROOF_BYTES);
}

#[test]
fn a_witness_of_another_circuit_is_refused() {
    FIXTURE.a_witness_of_another_circuit_is_refused(&Membership);
}

#[test]
fn the_same_witness_gives_another_proof_each_time() {
    FIXTURE.the_same_witness_gives_another_proof_each_time();
}

#[test]
fn a_proof_with_one_flipped_bit_is_refused() {
    FIXTURE.a_proof_with_one_flipped_bit_is_refused();
}

#[test]
fn a_proof_of_another_length_is_refused() {
    FIXTURE.a_proof_of_another_length_is_refused();
}

#[test]
fn a_proof_holds_for_no_other_public_inputs() {
    FIXTURE.a_proof_holds_for_no_other_public_inputs(2);
}

#[test]
fn a_proof_with_another_key_or_a_document_is_refused() {
    FIXTURE.a_proof_with_another_key_or_a_document_is_refused();
}

#[test]
fn a_proof_does_not_hold_for_another_threshold_or_commitment() {
    for (value, threshold) in [(67_000, 49_999), (67_000, 50_001), (67_001, 50_000)] {
        let sample_blinding = SecretElement::from_bytes(&[7; 32]).unwrap();
        let other = Threshold.public_inputs(witness(value, &sample_blinding, threshold).expose()).unwrap();
        let refused = VerifyError("the proof does not hold for these public inputs");
        assert_eq!(FIXTURE.verify(&FIXTURE.with_public_inputs(other)), Err(refused));
    }
}

#[test]
fn spoiled_witnesses_are_refused() {
    const DECIMAL: &str = "expected a number below 2^64 in a string: decimal digits, no leading zero";
    const HEX: &str = "expected 0x and 64 lower-case hexadecimal digits in a string";
    const CANONICAL: &str = "not canonical: expected a little-endian number below the modulus";
    const TABLE: &[Spoiled] = &[
        (|w| drop(w.as_object_mut().unwrap().remove("value")), "value", "missing", Schema::Refuses),
        (|w| drop(w.as_object_mut().unwrap().remove("blinding")), "blinding", "missing", Schema::Refuses),
        (|w| drop(w.as_object_mut().unwrap().remove("threshold")), "threshold", "missing", Schema::Refuses),
        (|w| w["extra"] = json!(1), "witness", "has a field that the schema does not have", Schema::Refuses),
        (|w| w["value"] = json!(67000), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!(null), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!(""), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("067000"), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("+67000"), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("-1"), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("6.7e4"), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("\u{664}"), "value", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("18446744073709551616"), "value", DECIMAL, Schema::Takes),
        (|w| w["threshold"] = json!("18446744073709551616"), "threshold", DECIMAL, Schema::Takes),
        (|w| w["threshold"] = json!(["0"]), "threshold", DECIMAL, Schema::Refuses),
        (|w| w["value"] = json!("49999"), "value", "below the threshold", Schema::Takes),
        (|w| w["threshold"] = json!("67001"), "value", "below the threshold", Schema::Takes),
        (|w| w["blinding"] = json!("07".repeat(32)), "blinding", HEX, Schema::Refuses),
        (|w| w["blinding"] = json!(format!("0x{}", "0B".repeat(32))), "blinding", HEX, Schema::Refuses),
        (|w| w["blinding"] = json!(format!("0x{}", "07".repeat(31))), "blinding", HEX, Schema::Refuses),
        (|w| w["blinding"] = json!(7), "blinding", HEX, Schema::Refuses),
        (|w| w["blinding"] = json!(format!("0x{}", "ff".repeat(32))), "blinding", CANONICAL, Schema::Takes),
    ];
    conformance::spoiled_witnesses_are_refused(&Threshold, TABLE);
}

#[test]
fn other_text_is_refused() {
    conformance::other_text_is_refused(&Threshold);
}

#[test]
fn the_sample_fits_schema_and_limits() {
    conformance::the_sample_fits_schema_and_limits(&Threshold);
}

#[test]
fn the_ends_of_the_range_hold_in_check_and_circuit() {
    let max = u64::MAX;
    for (value, threshold) in
        [(0, 0), (1, 1), (1, 0), (max, 0), (max, max), (max, max - 1), (1 << 63, 1 << 63)]
    {
        let witness = document(value, threshold);
        let opening = Threshold::decode(&witness).unwrap();
        let instance = Threshold::instance(&opening).to_vec();
        let circuit = Threshold::circuit(opening);
        MockProver::run(Threshold::K, &circuit, vec![instance]).unwrap().assert_satisfied();

        let proof = FIXTURE.prove(&witness);
        assert_eq!(FIXTURE.verify(&proof), Ok(()));
        let commitment = Commitment::new(value, &blinding());
        assert_eq!(
            Statement::from_public_inputs(&proof.public_inputs),
            Ok(Statement { commitment, threshold })
        );
    }
}

#[test]
fn a_value_below_the_threshold_is_refused_in_check() {
    for (value, threshold) in [(0, 1), (49_999, 50_000), (u64::MAX - 1, u64::MAX), (0, u64::MAX)] {
        let refused = InvalidWitness::at("value", "below the threshold");
        assert_eq!(Threshold.public_inputs(&document(value, threshold)), Err(refused));
    }
}

#[test]
fn a_statement_with_a_threshold_of_65_bits_is_not_read() {
    let mut public_inputs = Threshold.public_inputs(&Threshold.sample_witness()).unwrap();
    public_inputs.0[32 + 8] = 1;
    let refused = VerifyError("the threshold is not below 2^64");
    assert_eq!(Statement::from_public_inputs(&public_inputs), Err(refused));
}

#[test]
fn a_commitment_hides_behind_its_blinding() {
    let other = SecretElement::from_bytes(&[10; 32]).unwrap();
    assert_eq!(Commitment::new(5, &other), Commitment::new(5, &other));
    assert_ne!(Commitment::new(5, &other), Commitment::new(5, &blinding()));
    assert_ne!(Commitment::new(5, &other), Commitment::new(6, &other));
}

#[test]
fn the_circuit_is_built_in() {
    let id = Threshold.descriptor().id;
    assert_eq!(Circuits::built_in().get(&id).unwrap().descriptor().id, id);
}
