//! A PCZT goes out, a proved one comes back, and a transaction is made of it.

use sealprove::circuit::{Circuit, Circuits, Proof, VerifyingKey};
use sealprove::circuits::zcash::{
    BundleProofs, KeyVersion, Pool, Sample, SampleKind, Statement, TEST_ONLY_SPENDING_KEY, sample_pczt,
};
use zcash_primitives::transaction::Transaction;

use super::make_pczt;
use super::wallet::*;

/// Everything that a client and a service do with a witness, up to the transaction.
fn transaction_of(witness: &[u8]) -> Transaction {
    let circuit = circuit();
    let prepared = circuit.prepare(witness).unwrap();
    let checked = circuit.check(&prepared).unwrap();
    let public_inputs = checked.public_inputs().clone();
    assert_eq!(
        circuit.public_inputs(witness).unwrap(),
        public_inputs,
        "preparing changes nothing that is stated"
    );

    let proof = keys().prove(checked).unwrap();
    keys().verify(&proof).unwrap();
    assert_eq!(proof.public_inputs, public_inputs);
    assert!(circuit.descriptor().verifying_keys.iter().any(|(_, key)| *key == proof.verifying_key));

    let sealed = proof.output.clone().unwrap();
    let open = circuit.redact(sealed.clone());
    keys().verify(&Proof { output: Some(open.clone()), ..proof.clone() }).unwrap();
    let combined = circuit.combine(witness, &sealed).unwrap();
    assert_eq!(circuit.combine(witness, &open).unwrap(), combined, "an open answer serves as well");
    assert_eq!(combined[..8], witness[..8], "the format version stays");

    let transaction = complete(&combined);
    assert_carries(&transaction, &BundleProofs::from_bytes(&proof.proof).unwrap());
    transaction
}

fn assert_carries(transaction: &Transaction, proofs: &BundleProofs) {
    for pool in proofs.pools() {
        let bundle = match pool {
            Pool::Orchard => transaction.orchard_bundle(),
            Pool::Ironwood => transaction.ironwood_bundle(),
        };
        let carried = bundle.unwrap().authorization().proof();
        assert!(Some(carried.as_ref()) == proofs.get(pool), "{pool:?}");
    }
}

#[test]
fn nu6_2_pczt_of_version_1_becomes_a_transaction() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    assert_eq!(witness[4], 1);
    assert!(transaction_of(&witness).orchard_bundle().is_some());
}

#[test]
fn nu6_2_pczt_of_version_2_becomes_a_transaction() {
    let witness = in_v2(&sample(SampleKind::Nu6_2Orchard));
    assert_eq!(witness[4], 2);
    transaction_of(&witness);
}

#[test]
fn compact_pczt_becomes_a_transaction() {
    let witness = sample(SampleKind::Nu6_2Orchard);
    let compact = compact(&witness);
    assert!(compact.len() < witness.len() - 2 * 500, "memos are shorter than ciphertexts");
    transaction_of(&compact);
}

#[test]
fn nu6_3_pczt_becomes_a_transaction() {
    let transaction = transaction_of(&sample(SampleKind::Nu6_3Orchard));
    assert!(transaction.orchard_bundle().is_some() && transaction.ironwood_bundle().is_none());
}

#[test]
fn ironwood_pczt_becomes_a_transaction() {
    let transaction = transaction_of(&compact(&sample(SampleKind::Nu6_3Ironwood)));
    assert!(transaction.orchard_bundle().is_none() && transaction.ironwood_bundle().is_some());
}

#[test]
fn pczt_with_both_bundles_gets_both_proofs() {
    let transaction = transaction_of(&sample(SampleKind::Nu6_3Both));
    assert!(transaction.orchard_bundle().is_some() && transaction.ironwood_bundle().is_some());
}

#[test]
fn only_the_missing_proof_is_made() {
    let half = parse(proved_both().output.as_deref().unwrap());
    let redactor = pczt::roles::redactor::Redactor::new(half);
    let half =
        redactor.redact_ironwood_with(|mut bundle| bundle.clear_zkproof()).finish().serialize().unwrap();

    let statement = Statement::from_public_inputs(&circuit().public_inputs(&half).unwrap()).unwrap();
    assert_eq!(statement.bundles.iter().map(|bundle| bundle.pool).collect::<Vec<_>>(), [Pool::Ironwood]);
    transaction_of(&half);
}

#[test]
fn public_inputs_are_the_fields_of_the_pczt_row_by_row() {
    let witness = sample(SampleKind::Nu6_3Both);
    let statement = Statement::from_public_inputs(&circuit().public_inputs(&witness).unwrap()).unwrap();
    let pczt = parse(&witness);

    assert_eq!(statement.version, KeyVersion::PostNu6_3);
    assert_eq!(statement.bundles.len(), 2);
    for (bundle, of) in statement.bundles.iter().zip([pczt.orchard(), pczt.ironwood()]) {
        assert_eq!(Some(bundle.anchor), *of.anchor());
        assert_eq!(bundle.flags, *of.flags());
        assert_eq!(bundle.actions.len(), of.actions().len());
        for (inputs, action) in bundle.actions.iter().zip(of.actions()) {
            assert_eq!(Some(inputs.cv_net), *action.cv_net());
            assert_eq!(inputs.nullifier, *action.spend().nullifier());
            assert_eq!(inputs.rk, *action.spend().rk());
            assert_eq!(Some(inputs.cmx), *action.output().cmx());
        }
    }
}

/// The layout that the documentation gives, with its lengths.
#[test]
fn encodings_have_the_documented_layout() {
    let Proof { proof, public_inputs, .. } = proved_both().clone();
    let inputs = public_inputs.0;
    assert_eq!(inputs.len(), 11 + (8 + 37 + 2 * 128) + (9 + 37 + 2 * 128));
    assert_eq!(inputs[..11], *b"\x0apost-nu6-3");
    assert_eq!(inputs[11..19], *b"\x07orchard");
    assert_eq!(inputs[19], 0b011);
    assert_eq!(inputs[52..56], [2, 0, 0, 0]);
    let ironwood = 11 + 8 + 37 + 2 * 128;
    assert_eq!(inputs[ironwood..ironwood + 9], *b"\x08ironwood");
    assert_eq!(inputs[ironwood + 9], 0b111);

    assert_eq!(proof.len(), (8 + 4 + 7264) + (9 + 4 + 7264));
    assert_eq!(proof[..12], *b"\x07orchard\x60\x1c\0\0");
}

#[test]
fn verifier_needs_neither_witness_nor_output_nor_proving_key() {
    let verifier: Box<dyn VerifyingKey> = circuit().build_verifying_key().unwrap();
    assert_eq!(verifier.verifying_keys(), circuit().descriptor().verifying_keys);
    assert_eq!(verifier.verifying_keys(), keys().verifying_keys());
    verifier.verify(&Proof { output: None, ..proved().clone() }).unwrap();
    verifier.verify(&Proof { output: None, ..proved_both().clone() }).unwrap();
}

#[test]
fn open_answer_shows_no_private_field() {
    let witness = sample(SampleKind::Nu6_3Both);
    let open = circuit().redact(proved_both().output.clone().unwrap());

    let fvk = orchard::keys::FullViewingKey::from(
        &orchard::keys::SpendingKey::from_bytes(TEST_ONLY_SPENDING_KEY).unwrap(),
    );
    let shows = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let recipient = fvk.address_at(0u32, orchard::keys::Scope::External).to_raw_address_bytes();
    for secret in [&fvk.to_bytes()[..], &recipient[..]] {
        assert!(shows(&witness, secret) && !shows(&open, secret));
    }
    // What is left is what the transaction will show: each optional field is gone, and is one byte.
    let shown = parse(&open);
    for bundle in [shown.orchard(), shown.ironwood()] {
        assert!(bundle.zkproof().is_some());
        for action in bundle.actions() {
            assert!(action.cv_net().is_some() && action.output().cmx().is_some());
            let (spend, output) = (action.spend(), action.output());
            assert!(spend.spend_auth_sig().is_none() && spend.witness().is_none());
            assert!(spend.dummy_sk().is_none() && spend.proprietary().is_empty());
            assert!(output.recipient().is_none() && output.value().is_none() && output.rseed().is_none());
            assert!(output.user_address().is_none() && output.proprietary().is_empty());
        }
    }
    const SHOWN_OF_AN_ACTION: usize = 4 * 32 + 32 + 580 + 80;
    const PROOF_AND_ANCHOR: usize = 7264 + 32;
    const TAGS_AND_LENGTHS: usize = 200;
    assert!(open.len() < 2 * (2 * SHOWN_OF_AN_ACTION + PROOF_AND_ANCHOR) + TAGS_AND_LENGTHS);
}

#[test]
fn an_answer_that_is_not_a_pczt_is_not_shown() {
    assert_eq!(circuit().redact(b"attack at dawn".to_vec()), b"");
}

#[test]
fn samples_are_what_the_example_makes_and_pass() {
    for Sample { kind, actions, pczt } in Sample::ALL {
        assert_eq!(make_pczt::make(kind, actions), pczt, "{kind:?} {actions}: run the example make_pczt");
        let statement = Statement::from_public_inputs(&circuit().public_inputs(pczt).unwrap()).unwrap();
        assert_eq!(statement.bundles.iter().map(|bundle| bundle.actions.len()).sum::<usize>(), actions);
        assert_eq!(sample_pczt(kind, actions), Some(pczt));
        let descriptor = circuit().descriptor();
        assert!(pczt.len() < descriptor.witness_bytes_max as usize / 4);
    }
    circuit().check(&circuit().sample_witness()).unwrap();
}

#[test]
fn circuit_is_built_in() {
    let circuits = Circuits::built_in();
    let circuit = circuits.get(&"zcash-pczt-v1".parse().unwrap()).unwrap();
    let digest = "sha256:aed1d60b8301f7f22234ccd0d3fa8a95ee41a29249b06bcdba7837679020fd5a";
    assert_eq!(circuit.descriptor().verifying_key().to_string(), digest);
}
