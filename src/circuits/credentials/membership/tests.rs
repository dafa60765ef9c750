//! Witnesses, statements and proofs of `membership-v1`; its constraints are in [`constraints`].

use std::sync::LazyLock;

use serde_json::json;

use super::opening::{IDENTITY, NULLIFIER};
use super::*;
use crate::circuit::{Circuit as _, Circuits};
use crate::circuits::credentials::conformance::{self, Fixture, Schema, Spoiled};
use crate::circuits::credentials::threshold::Threshold;

mod constraints;

/// Length of a proof, in bytes.
const PROOF_BYTES: usize = 2464;

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| Fixture::new(&Membership));

fn identity(byte: u8) -> Identity {
    Identity::from_secret(SecretElement::from_bytes(&[byte; 32]).unwrap())
}

fn group(members: &[u8]) -> Group {
    let mut group = Group::new();
    group.append_all(members.iter().map(|byte| identity(*byte).commitment())).unwrap();
    group
}

/// The public inputs of that member of that group.
fn public_inputs(member: u8, members: &[u8], occasion: &[u8], signal: &[u8]) -> PublicInputs {
    let member = identity(member);
    let path = group(members).path_of(member.commitment()).unwrap();
    let witness = witness(&member, &path, ExternalNullifier::new(occasion), SignalHash::new(signal));
    Membership.public_inputs(witness.expose()).unwrap()
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
    FIXTURE.a_witness_of_another_circuit_is_refused(&Threshold);
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
    FIXTURE.a_proof_holds_for_no_other_public_inputs(4);
}

#[test]
fn a_proof_with_another_key_or_a_document_is_refused() {
    FIXTURE.a_proof_with_another_key_or_a_document_is_refused();
}

#[test]
fn a_proof_holds_for_no_other_group_member_occasion_or_signal() {
    let (occasion, signal) = (b"sample occasion", b"sample signal");
    let own = public_inputs(2, &[1, 2, 3], occasion, signal);
    assert_eq!(FIXTURE.verify(&FIXTURE.with_public_inputs(own)), Ok(()));

    let others = [
        public_inputs(2, &[1, 2], occasion, signal),
        public_inputs(2, &[2, 1, 3], occasion, signal),
        public_inputs(1, &[1, 2, 3], occasion, signal),
        public_inputs(2, &[1, 2, 3], b"another occasion", signal),
        public_inputs(2, &[1, 2, 3], occasion, b"another signal"),
    ];
    for other in others {
        let refused = VerifyError("the proof does not hold for these public inputs");
        assert_eq!(FIXTURE.verify(&FIXTURE.with_public_inputs(other)), Err(refused));
    }
}

#[test]
fn a_member_of_a_group_proves_what_a_verifier_reads() {
    let member = Identity::random();
    let mut group = group(&[1, 2, 3, 4]);
    let index = group.append(member.commitment()).unwrap();
    group.append(identity(5).commitment()).unwrap();
    let (occasion, signal) = (ExternalNullifier::new(b"ballot 7"), SignalHash::new(b"yes"));

    let witness = witness(&member, &group.path(index).unwrap(), occasion, signal);
    let proof = FIXTURE.prove(witness.expose());

    assert_eq!(FIXTURE.verify(&proof), Ok(()));
    let statement = Statement {
        root: group.root(),
        nullifier: member.nullifier(occasion),
        external_nullifier: occasion,
        signal_hash: signal,
    };
    assert_eq!(Statement::from_public_inputs(&proof.public_inputs), Ok(statement));
}

#[test]
fn a_nullifier_depends_on_member_and_occasion_alone() {
    let nullifier = |member, members: &[u8], occasion: &[u8], signal: &[u8]| {
        let public_inputs = public_inputs(member, members, occasion, signal);
        Statement::from_public_inputs(&public_inputs).unwrap().nullifier
    };
    let own = nullifier(2, &[1, 2], b"occasion", b"yes");
    assert_eq!(nullifier(2, &[2, 3, 4], b"occasion", b"no"), own);
    assert_ne!(nullifier(1, &[1, 2], b"occasion", b"yes"), own);
    assert_ne!(nullifier(2, &[1, 2], b"another", b"yes"), own);
}

/// The same two inputs under each use of the hash, and under the plain hash of a node.
#[test]
fn identity_nullifier_and_node_are_different_hashes() {
    let secret = *identity(1).secret().expose();
    let hashes = [
        commitment(secret),
        nullifier(secret, Base::zero()),
        poseidon::node(secret, Base::zero()),
        poseidon::node(IDENTITY, secret),
        poseidon::node(NULLIFIER, secret),
    ];
    for (at, hash) in hashes.iter().enumerate() {
        assert!(!hashes[at + 1..].contains(hash), "{at}");
    }
    let (occasion, signal) = (ExternalNullifier::new(b"x"), SignalHash::new(b"x"));
    assert_ne!(occasion.0, signal.0);
}

#[test]
fn an_identity_prints_nothing_and_comes_back_from_its_secret() {
    let identity = Identity::random();
    assert_eq!(format!("{identity:?}"), "Identity(SecretElement)");
    let stored = identity.secret().expose_bytes();
    let again = Identity::from_secret(SecretElement::from_bytes(&stored).unwrap());
    assert_eq!(again.commitment(), identity.commitment());
    assert_ne!(Identity::random().commitment(), identity.commitment());
}

#[test]
fn spoiled_witnesses_are_refused() {
    const HEX: &str = "expected 0x and 64 lower-case hexadecimal digits in a string";
    const CANONICAL: &str = "not canonical: expected a little-endian number below the modulus";
    const INDEX: &str = "expected a whole JSON number below 2^32";
    const LENGTH: &str = "has the wrong number of elements";
    const ARRAY: &str = "expected an array of field elements";
    const MODULUS: &str = "0x01000000ed302d991bf94c09fc98462200000000000000000000000000000040";
    const TABLE: &[Spoiled] = &[
        (|w| drop(w.as_object_mut().unwrap().remove("secret")), "secret", "missing", Schema::Refuses),
        (|w| drop(w.as_object_mut().unwrap().remove("index")), "index", "missing", Schema::Refuses),
        (|w| drop(w.as_object_mut().unwrap().remove("path")), "path", "missing", Schema::Refuses),
        (
            |w| drop(w.as_object_mut().unwrap().remove("external_nullifier")),
            "external_nullifier",
            "missing",
            Schema::Refuses,
        ),
        (
            |w| drop(w.as_object_mut().unwrap().remove("signal_hash")),
            "signal_hash",
            "missing",
            Schema::Refuses,
        ),
        (
            |w| w["root"] = json!("0x"),
            "witness",
            "has a field that the schema does not have",
            Schema::Refuses,
        ),
        (|w| w["secret"] = json!(null), "secret", HEX, Schema::Refuses),
        (|w| w["secret"] = json!("0x02"), "secret", HEX, Schema::Refuses),
        (|w| w["secret"] = json!(MODULUS), "secret", CANONICAL, Schema::Takes),
        (|w| w["external_nullifier"] = json!(MODULUS), "external_nullifier", CANONICAL, Schema::Takes),
        (|w| w["signal_hash"] = json!(MODULUS), "signal_hash", CANONICAL, Schema::Takes),
        (|w| w["signal_hash"] = json!("yes"), "signal_hash", HEX, Schema::Refuses),
        (|w| w["index"] = json!("1"), "index", INDEX, Schema::Refuses),
        (|w| w["index"] = json!(-1), "index", INDEX, Schema::Refuses),
        (|w| w["index"] = json!(1.5), "index", INDEX, Schema::Refuses),
        (|w| w["index"] = json!(1u64 << 32), "index", INDEX, Schema::Refuses),
        (|w| w["path"] = json!({}), "path", ARRAY, Schema::Refuses),
        (|w| w["path"] = json!([]), "path", LENGTH, Schema::Refuses),
        (|w| drop(w["path"].as_array_mut().unwrap().remove(31)), "path", LENGTH, Schema::Refuses),
        (|w| w["path"].as_array_mut().unwrap().push(json!("0x")), "path", LENGTH, Schema::Refuses),
        (|w| w["path"][3] = json!(3), "path[3]", HEX, Schema::Refuses),
        (|w| w["path"][31] = json!(MODULUS), "path[31]", CANONICAL, Schema::Takes),
    ];
    conformance::spoiled_witnesses_are_refused(&Membership, TABLE);
}

#[test]
fn other_text_is_refused() {
    conformance::other_text_is_refused(&Membership);
}

#[test]
fn the_sample_fits_schema_and_limits() {
    conformance::the_sample_fits_schema_and_limits(&Membership);
}

#[test]
fn the_circuit_is_built_in() {
    let id = Membership.descriptor().id;
    assert_eq!(Circuits::built_in().get(&id).unwrap().descriptor().id, id);
}
