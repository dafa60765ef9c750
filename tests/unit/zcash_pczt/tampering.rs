//! Answers that differ from what was asked for.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use pczt::roles::updater::Updater;
use sealprove::circuit::{Circuit, Proof, PublicInputs, VerifyError};
use sealprove::circuits::zcash::{KeyVersion, SampleKind};

use super::wallet::*;

fn refused(proof: &Proof) -> &'static str {
    let VerifyError(reason) = keys().verify(proof).expect_err("was tampered with");
    reason
}

#[test]
fn proof_with_one_bit_flipped_is_refused() {
    let honest = proved();
    let body = honest.proof.len() - 7264;
    for at in [body, body + 31, body + 3000, honest.proof.len() - 1] {
        let mut proof = Proof { output: None, ..honest.clone() };
        proof.proof[at] ^= 1;
        assert_eq!(refused(&proof), "the proof does not hold for the public inputs", "byte {at}");
        proof.output = honest.output.clone();
        assert_eq!(refused(&proof), "the output holds another proof", "byte {at}");
    }
}

#[test]
fn proof_of_another_length_is_refused() {
    let honest = Proof { output: None, ..proved().clone() };
    let with = |proof: Vec<u8>| Proof { proof, ..honest.clone() };
    assert_eq!(refused(&with(Vec::new())), "the proofs are not of the bundles that the public inputs name");
    assert_eq!(refused(&with([&honest.proof[..], &[0]].concat())), "the proof is malformed");
    assert_eq!(refused(&with(honest.proof[..7000].to_vec())), "the proof is malformed");

    // Padded, with the length field to match: halo2 alone would not notice.
    let mut padded = honest.proof.clone();
    padded[8..12].copy_from_slice(&7265u32.to_le_bytes());
    padded.push(0);
    assert_eq!(refused(&with(padded)), "the proof is not of the length for its number of actions");
}

#[test]
fn proofs_of_two_bundles_cannot_change_places() {
    let honest = Proof { output: None, ..proved_both().clone() };
    let (orchard, ironwood) = honest.proof.split_at(8 + 4 + 7264);
    let with = |proof: Vec<u8>| Proof { proof, ..honest.clone() };
    assert_eq!(
        refused(&with([ironwood, orchard].concat())),
        "the proofs are not of the bundles that the public inputs name"
    );
    assert_eq!(
        refused(&with(orchard.to_vec())),
        "the proofs are not of the bundles that the public inputs name"
    );
    let relabelled = [&orchard[..12], &ironwood[13..], &ironwood[..13], &orchard[12..]].concat();
    assert_eq!(refused(&with(relabelled)), "the proof does not hold for the public inputs");
}

#[test]
fn public_inputs_with_any_byte_changed_are_refused() {
    let honest = Proof { output: None, ..proved().clone() };
    let PublicInputs(inputs) = &honest.public_inputs;
    for at in (0..inputs.len()).step_by(5) {
        let mut changed = honest.clone();
        changed.public_inputs.0[at] ^= 1;
        refused(&changed);
        changed.output = proved().output.clone();
        refused(&changed);
    }
    for length in 0..inputs.len() {
        let cut = Proof { public_inputs: PublicInputs(inputs[..length].to_vec()), ..honest.clone() };
        assert_eq!(refused(&cut), "the public inputs are malformed", "{length} bytes");
    }
    let longer = PublicInputs([&inputs[..], &[0]].concat());
    assert_eq!(refused(&Proof { public_inputs: longer, ..honest }), "the public inputs are malformed");
}

#[test]
fn proof_of_another_transaction_is_refused() {
    let honest = proved();
    let other = circuit().public_inputs(&make_another()).unwrap();
    let swapped = Proof { public_inputs: other, ..honest.clone() };
    assert_eq!(refused(&swapped), "the output states something else than the public inputs");
    assert_eq!(
        refused(&Proof { output: None, ..swapped }),
        "the proof is not of the length for its number of actions"
    );
    assert_eq!(
        circuit().combine(&make_another(), honest.output.as_deref().unwrap()),
        Err(VerifyError("the output is not of the same transaction as the witness"))
    );
}

fn make_another() -> Vec<u8> {
    sealprove::circuits::zcash::sample_pczt(SampleKind::Nu6_2Orchard, 4).unwrap().to_vec()
}

#[test]
fn verifying_key_must_be_the_one_of_the_statement() {
    let other = Proof { verifying_key: KeyVersion::PostNu6_3.digest(), ..proved().clone() };
    assert_eq!(refused(&other), "the verifying key is not the one that the public inputs name");
    let unknown = Proof { verifying_key: circuit().descriptor().verifying_key(), ..proved().clone() };
    assert_eq!(refused(&unknown), "the verifying key is not the one that the public inputs name");
}

#[test]
fn output_that_is_not_the_proved_pczt_is_refused() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    let output = proved().output.clone().unwrap();
    let with = |output: Vec<u8>| refused(&Proof { output: Some(output), ..proved().clone() });
    assert_eq!(with(b"PCZT".to_vec()), "the output is not a PCZT");
    assert_eq!(with(witness.clone()), "the output lacks a proof");
    assert_eq!(with([&output[..], &[0]].concat()), "the output is not in its canonical encoding");
    let anchorless = redact(&output, |mut bundle| bundle.clear_anchor());
    assert_eq!(with(anchorless), "the output states something else than the public inputs");
    assert_eq!(circuit().combine(&witness, &witness), Err(VerifyError("the output lacks a proof")));
    assert_eq!(circuit().combine(b"attack at dawn", &output), Err(VerifyError("the witness is not a PCZT")));
}

/// Every byte of the output, changed one at a time: where the combination is not refused, it is the
/// honest one, unless the byte is of the proof, and then verifying refuses.
#[test]
fn changed_output_is_refused_or_harmless() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    let output = proved().output.clone().unwrap();
    let honest = circuit().combine(&witness, &output).unwrap();
    let (mut refused_by_combine, mut refused_by_verify, mut harmless) = (0, 0, 0);
    for at in 0..output.len() {
        let mut changed = output.clone();
        changed[at] ^= 1;
        match circuit().combine(&witness, &changed) {
            Err(_) => refused_by_combine += 1,
            Ok(combined) if combined == honest => harmless += 1,
            Ok(_) => {
                refused(&Proof { output: Some(changed), ..proved().clone() });
                refused_by_verify += 1;
            }
        }
    }
    assert_eq!(refused_by_verify, 7264, "the bytes of the proof");
    assert!(refused_by_combine > 1500, "the public fields and ciphertexts: {refused_by_combine}");
    assert!(harmless > 2000, "the private fields, which are not taken: {harmless}");
}

#[test]
fn fields_that_a_service_adds_are_dropped() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    let output = proved().output.clone().unwrap();
    let adorned = Updater::new(parse(&output))
        .update_global_with(|mut global| global.set_proprietary("note".to_owned(), b"hello".to_vec()))
        .finish()
        .serialize()
        .unwrap();
    assert_ne!(adorned, output);
    assert_eq!(circuit().combine(&witness, &adorned), circuit().combine(&witness, &output));
}

#[test]
fn combining_restores_what_the_witness_had() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    let open = circuit().redact(proved().output.clone().unwrap());
    let combined = circuit().combine(&witness, &open).unwrap();
    assert_eq!(redact(&combined, |mut bundle| bundle.clear_zkproof()), witness);
}

#[test]
fn arbitrary_outputs_never_panic() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    let output = proved().output.clone().unwrap();
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    for _ in 0..500 {
        let mut changed = output.clone();
        for _ in 0..1 + rng.next_u32() % 8 {
            let at = rng.next_u32() as usize % changed.len();
            changed[at] = rng.next_u32() as u8;
        }
        let _ = circuit().combine(&witness, &changed);
        let _ = circuit().redact(changed.clone());
        let _ = circuit().prepare(&changed);
    }
}
