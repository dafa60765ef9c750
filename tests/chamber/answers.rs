//! A job that goes well.

use std::collections::BTreeSet;

use sealprove::frame::{ChamberEvent, End, ReadyKey};
use sealprove::protocol::{AnswerMode, Code, Scheme, Sha256Digest};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::harness::{Chamber, id_of, is_alive, report};

/// Bytes of the nonce that a sealed answer begins with.
const NONCE_BYTES: usize = 32;

#[test]
fn a_chamber_reports_its_keys_and_circuits() {
    let chamber = Chamber::start();
    let ChamberEvent::Ready { keys, circuits, .. } = &chamber.ready else { panic!("{:?}", chamber.ready) };
    assert_eq!(keys, &[ReadyKey { id: id_of(&chamber.key), scheme: Scheme::X25519 }]);
    assert_eq!(circuits.len(), 15);
    let sleeps = circuits.iter().find(|circuit| circuit.id.as_str() == "sleeps-v1").unwrap();
    assert_eq!(sleeps.verifying_key, Sha256Digest(Sha256::digest("sleeps-v1").into()));
    assert!(circuits.iter().all(|circuit| circuit.id.as_str() != "differs-v1"), "it was not asked for");
}

#[test]
fn a_job_is_answered_and_its_process_is_gone_when_its_connection_ends() {
    let mut chamber = Chamber::start();
    let job = chamber.job("sleeps-v1", &json!({"ms": 50}));
    let mut sent = chamber.send(&job);
    let pid = chamber.pid_of(sent.ticket);

    // Reads to the end of the connection, which the chamber keeps back until the process is reaped.
    let (answer, _) = sent.answer();

    assert!(!is_alive(pid));
    assert_eq!(answer.code(), Code::Ok);
    assert_eq!(answer.job, job.head.job);
    assert_eq!(answer.circuit, job.head.circuit);
    assert_eq!((answer.attempt, answer.timings_ms.queued), (1, Some(7)));
    assert!(answer.timings_ms.proved.unwrap() >= 50);
    assert!(answer.to_proof().is_some());
    assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    assert_eq!(chamber.log(), "");
}

#[test]
fn an_answer_opens_for_no_other_job() {
    let mut chamber = Chamber::start();
    let mut one = chamber.start_job("sleeps-v1", &json!({}));
    let mut two = chamber.start_job("sleeps-v1", &json!({}));
    let (head_of_one, payload_of_one) = one.reply().unwrap();
    let (head_of_two, payload_of_two) = two.reply().unwrap();
    assert!(one.opens(&head_of_one, &payload_of_one).is_some());
    assert!(two.opens(&head_of_two, &payload_of_two).is_some());
    assert!(two.opens(&head_of_one, &payload_of_one).is_none());
    assert!(one.opens(&head_of_two, &payload_of_two).is_none());
}

#[test]
fn an_open_answer_is_the_document_with_the_senders_tag() {
    let mut chamber = Chamber::start();
    let mut header = chamber.header("sleeps-v1");
    header.answer = AnswerMode::Open;
    let job = chamber.job_of_header(header, b"{}");
    let mut sent = chamber.send(&job);
    let (head, mut payload) = sent.reply().unwrap();
    assert_eq!(head.mode, AnswerMode::Open);
    assert!(payload.starts_with(br#"{"version":"1""#));
    assert_eq!(sent.opens(&head, &payload).unwrap().code(), Code::Ok);
    let last = payload.len() - 1;
    payload[last] = b' ';
    assert!(sent.opens(&head, &payload).is_none());
}

#[test]
fn the_same_witness_never_makes_the_same_proof_nor_the_same_nonce() {
    const FORKS: usize = 50;
    let mut chamber = Chamber::start();
    let (mut proofs, mut draws, mut nonces) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..FORKS {
        let mut sent = chamber.start_job("draws-v1", &json!({"ms": 0}));
        let (answer, payload) = sent.answer();
        proofs.insert(answer.proof.clone().unwrap().0);
        nonces.insert(payload[..NONCE_BYTES].to_vec());
        draws.insert(report(answer)["random"].as_str().unwrap().to_owned());
        assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    }
    assert_eq!([proofs.len(), draws.len(), nonces.len()], [FORKS; 3]);
}

#[test]
fn one_job_sent_twice_has_two_answers_under_two_nonces() {
    let mut chamber = Chamber::start();
    let job = chamber.job("sleeps-v1", &json!({}));
    let payloads = [(); 2].map(|()| {
        let mut sent = chamber.send(&job);
        sent.answer().1
    });
    assert_ne!(payloads[0][..NONCE_BYTES], payloads[1][..NONCE_BYTES]);
}
