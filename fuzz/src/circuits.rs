//! The witness decoders, and the other encodings of the circuits.

use std::sync::LazyLock;

use jsonschema::Validator;
use pczt::Pczt;
use pczt::roles::redactor::Redactor;
use sealprove::circuit::{Circuit, InvalidWitness, PublicInputs, VerifyError};
use sealprove::circuits::credentials::membership::{self, Membership};
use sealprove::circuits::credentials::threshold::{self, Threshold};
use sealprove::circuits::zcash::{BundleProofs, Statement, ZcashPczt};

/// A witness of `threshold-v1`.
pub fn threshold(data: &[u8]) {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| schema(&Threshold));
    if let Some(inputs) = document(&Threshold, &SCHEMA, &["value", "blinding", "threshold"], data) {
        threshold::Statement::from_public_inputs(&inputs).expect("a statement");
    }
}

/// A witness of `membership-v1`.
pub fn membership(data: &[u8]) {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| schema(&Membership));
    const NAMES: [&str; 5] = ["secret", "index", "path", "external_nullifier", "signal_hash"];
    if let Some(inputs) = document(&Membership, &SCHEMA, &NAMES, data) {
        membership::Statement::from_public_inputs(&inputs).expect("a statement");
    }
}

fn schema(circuit: &dyn Circuit) -> Validator {
    jsonschema::validator_for(&circuit.descriptor().schema.unwrap()).unwrap()
}

/// The public inputs of a JSON witness that is accepted.
fn document(circuit: &dyn Circuit, schema: &Validator, names: &[&str], data: &[u8]) -> Option<PublicInputs> {
    match circuit.public_inputs(data) {
        Ok(inputs) => {
            assert_eq!(circuit.public_inputs(data).as_ref(), Ok(&inputs), "a witness has one statement");
            assert!(data.len() <= circuit.descriptor().witness_bytes_max as usize);
            let document = serde_json::from_slice(data).expect("JSON");
            assert!(schema.is_valid(&document), "what is accepted fits the published schema");
            assert_eq!(circuit.prepare(data).as_deref(), Ok(data));
            Some(inputs)
        }
        Err(refused) => {
            assert_says_nothing(&refused, names);
            None
        }
    }
}

/// A refusal is made of names that are published, of indices, and of fixed text, which its type sees to.
fn assert_says_nothing(refused: &InvalidWitness, names: &[&str]) {
    for segment in refused.path.split('.') {
        let (name, index) = segment.split_once('[').unwrap_or((segment, "]"));
        assert!(name == "witness" || names.contains(&name), "an unknown name in {:?}", refused.path);
        let digits = index.strip_suffix(']').expect("an index ends");
        assert!(
            digits.len() <= 2 && digits.bytes().all(|digit| digit.is_ascii_digit()),
            "{:?}",
            refused.path
        );
    }
}

/// The names of the PCZT format that a refusal may hold.
const PCZT_NAMES: [&str; 31] = [
    "global",
    "consensus_branch_id",
    "tx_version",
    "sapling",
    "orchard",
    "ironwood",
    "actions",
    "anchor",
    "flags",
    "bsk",
    "note_version",
    "zkproof",
    "cv_net",
    "rcv",
    "zip32_derivation",
    "spend",
    "nullifier",
    "rk",
    "recipient",
    "value",
    "rho",
    "rseed",
    "fvk",
    "witness",
    "alpha",
    "dummy_sk",
    "output",
    "cmx",
    "enc_ciphertext",
    "out_ciphertext",
    "ephemeral_key",
];

/// A witness of `zcash-pczt-v1`, on its way from the client's file to the statement of its proof.
pub fn pczt(data: &[u8]) {
    let circuit = ZcashPczt::default();
    let prepared = circuit.prepare(data);
    if let Ok(prepared) = &prepared {
        assert_eq!(circuit.prepare(prepared).as_ref(), Ok(prepared), "there is nothing left to prepare");
    }
    match circuit.public_inputs(data) {
        Ok(inputs) => {
            assert_eq!(circuit.public_inputs(data).as_ref(), Ok(&inputs), "a witness has one statement");
            let statement = Statement::from_public_inputs(&inputs).expect("a statement");
            let actions = statement.bundles.iter().map(|bundle| bundle.actions.len());
            assert!((1..=circuit.actions_max).contains(&actions.sum::<usize>()));
            assert_eq!(circuit.public_inputs(&prepared.expect("can be prepared")), Ok(inputs));
        }
        Err(refused) => assert_says_nothing(&refused, &PCZT_NAMES),
    }
    if let Err(refused) = circuit.prepare(data) {
        assert_says_nothing(&refused, &PCZT_NAMES);
    }
}

/// An output document: what is shown of it in an open answer.
pub fn pczt_output(data: &[u8]) {
    let circuit = ZcashPczt::default();
    let shown = circuit.redact(data.to_vec());
    if shown.is_empty() {
        return;
    }
    assert_eq!(circuit.redact(shown.clone()), shown, "there is nothing left to redact");
    let (whole, shown) = (pczt::parse(data).expect("a PCZT"), pczt::parse(&shown).expect("a PCZT"));
    for (whole, shown) in [(whole.orchard(), shown.orchard()), (whole.ironwood(), shown.ironwood())] {
        assert_eq!(shown.zkproof(), whole.zkproof());
        for action in shown.actions() {
            let (spend, output) = (action.spend(), action.output());
            assert!(
                spend.witness().is_none() && spend.dummy_sk().is_none() && spend.proprietary().is_empty()
            );
            assert!(spend.spend_auth_sig().is_none());
            assert!(output.recipient().is_none() && output.value().is_none() && output.rseed().is_none());
            assert!(output.user_address().is_none() && output.proprietary().is_empty());
        }
    }
    let refused = circuit.public_inputs(&circuit.redact(data.to_vec()));
    assert!(refused.is_err(), "what is shown is no witness");
}

/// The length of a witness in two bytes, the witness, and a service's output document, which a client takes
/// proofs from and nothing else.
pub fn pczt_combine(data: &[u8]) {
    let circuit = ZcashPczt::default();
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((witness, output)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else { return };
    let Ok(combined) = circuit.combine(witness, output) else { return };

    assert_eq!(circuit.combine(witness, &combined).as_ref(), Ok(&combined), "there is nothing left to take");
    let prepared = circuit.prepare(witness).expect("a PCZT");
    let [mine, theirs, both] =
        [&prepared[..], output, &combined].map(|bytes| pczt::parse(bytes).expect("a PCZT"));
    for bundle in [Pczt::orchard, Pczt::ironwood] {
        let proof = |pczt| bundle(pczt).zkproof().clone();
        assert_eq!(proof(&both), proof(&mine).or(proof(&theirs)));
        assert!(bundle(&both).actions().is_empty() || proof(&both).is_some(), "all of it is proved");
    }
    assert_eq!(without_proofs(both), without_proofs(mine), "nothing but proofs is taken");
}

fn without_proofs(pczt: Pczt) -> Vec<u8> {
    let redactor = Redactor::new(pczt);
    let redactor = redactor.redact_orchard_with(|mut bundle| bundle.clear_zkproof());
    let pczt = redactor.redact_ironwood_with(|mut bundle| bundle.clear_zkproof()).finish();
    pczt::v2::Pczt::try_from(pczt).expect("version 2 writes every PCZT").serialize()
}

/// Public inputs and proofs, as a client takes them out of an answer.
pub fn public_inputs(data: &[u8]) {
    let inputs = PublicInputs(data.to_vec());
    if let Ok(statement) = Statement::from_public_inputs(&inputs) {
        assert_eq!(statement.to_public_inputs(), inputs, "a statement has one encoding");
    }
    if let Ok(proofs) = BundleProofs::from_bytes(data) {
        assert_eq!(proofs.to_bytes(), data, "proofs have one encoding");
    }
    let threshold: Result<_, VerifyError> = threshold::Statement::from_public_inputs(&inputs);
    if let Ok(threshold::Statement { commitment, threshold }) = threshold {
        let rest = [&threshold.to_le_bytes()[..], &[0; 24]].concat();
        assert_eq!([&commitment.0.to_bytes()[..], &rest].concat(), data);
    }
    if let Ok(stated) = membership::Statement::from_public_inputs(&inputs) {
        let rows = [stated.root, stated.nullifier, stated.external_nullifier.0, stated.signal_hash.0];
        assert_eq!(rows.map(|row| row.to_bytes()).concat(), data);
    }
}
