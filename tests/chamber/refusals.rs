//! Refused jobs: the answer to each, and what no answer says.

use sealprove::circuit::InvalidWitness;
use sealprove::frame::{End, ReplyHead};
use sealprove::protocol::{
    Answer, AnswerMode, CLOCK_SKEW_MAX, Code, JobHeader, JobId, Lane, Scheme, Sha256Digest, UnixSeconds,
    VerifyingKeyPin, generate_key, public_key, seal,
};
use serde_json::json;

use super::harness::{Chamber, Job, id_of, message, unix_now};

/// Sends what cannot be opened: the answer has no seal and no tag, since there is no shared secret.
#[track_caller]
fn is_not_opened(chamber: &mut Chamber, job: &Job, code: Code) {
    let mut sent = chamber.send(job);
    let (head, payload) = sent.reply().expect("a reply");
    assert_eq!((head.code, head.mode, head.tag), (code, AnswerMode::Open, None));
    let answer: Answer = serde_json::from_slice(&payload).unwrap();
    assert_eq!(message(&answer), code.message());
    assert_eq!(answer.timings_ms.opened, None);
    assert_eq!(chamber.end_of(sent.ticket), End::Answered);
}

/// Sends what is opened and then refused: the answer is sealed.
#[track_caller]
fn is_refused(chamber: &mut Chamber, job: &Job, code: Code) -> Answer {
    let mut sent = chamber.send(job);
    let (head, payload) = sent.reply().expect("a reply");
    assert_eq!((head.code, head.mode), (code, AnswerMode::Sealed));
    assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    let answer = sent.opens(&head, &payload).expect("the sender's seal");
    assert_eq!(answer.code(), code);
    assert_eq!(answer.to_proof(), None);
    answer
}

#[test]
fn an_absent_key_is_unknown() {
    let mut chamber = Chamber::start();
    let mut job = chamber.job("sleeps-v1", &json!({}));
    job.head.key = id_of(&generate_key(Scheme::X25519).0);
    is_not_opened(&mut chamber, &job, Code::KeyUnknown);
}

#[test]
fn a_seal_opens_under_no_other_header() {
    type Change = fn(&mut sealprove::frame::JobHead);
    let changes: [(&str, Change); 7] = [
        ("tenant", |head| head.tenant = "another".parse().unwrap()),
        ("lane", |head| head.lane = Lane::Express),
        ("circuit", |head| head.circuit = "spins-v1".parse().unwrap()),
        ("job", |head| head.job = JobId::random()),
        ("expires", |head| head.expires.0 += 1),
        ("answer", |head| head.answer = AnswerMode::Open),
        ("verifying key", |head| head.verifying_key = Some(Sha256Digest([7; 32]))),
    ];
    let mut chamber = Chamber::start();
    for (field, change) in changes {
        println!("{field}");
        let mut job = chamber.job("sleeps-v1", &json!({}));
        change(&mut job.head);
        is_not_opened(&mut chamber, &job, Code::UnsealFailed);
    }
}

#[test]
fn a_seal_for_another_deployment_does_not_open() {
    let mut chamber = Chamber::start();
    let mut job = chamber.job("sleeps-v1", &json!({}));
    let info = String::from_utf8(job.info.clone()).unwrap().replacen("\nlab\n", "\nother\n", 1);
    job.sealed =
        seal(Scheme::X25519, &public_key(Scheme::X25519, &chamber.key), info.as_bytes(), b"{}").unwrap();
    is_not_opened(&mut chamber, &job, Code::UnsealFailed);
}

#[test]
fn a_damaged_payload_does_not_open() {
    let mut chamber = Chamber::start();
    let whole = chamber.job("sleeps-v1", &json!({})).sealed.payload;
    let damaged = [
        Vec::new(),
        whole[..31].to_vec(),
        whole[..47].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], &[0]].concat(),
        flipped(&whole, 0),
        flipped(&whole, 32),
        flipped(&whole, whole.len() - 1),
        vec![0; whole.len()],
    ];
    for payload in damaged {
        let mut job = chamber.job("sleeps-v1", &json!({}));
        job.sealed.payload = payload;
        is_not_opened(&mut chamber, &job, Code::UnsealFailed);
    }
}

fn flipped(bytes: &[u8], index: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[index] ^= 1;
    bytes
}

#[test]
fn a_job_that_the_network_side_should_have_refused_is_refused_again() {
    type Change = fn(&mut JobHeader);
    let changes: [(Code, Change); 3] = [
        (Code::CircuitNotFound, |header| header.subject.circuit = "unheard-of-v1".parse().unwrap()),
        (Code::VerifyingKeyMismatch, |header| {
            header.verifying_key = VerifyingKeyPin::Exactly(Sha256Digest([7; 32]));
        }),
        (Code::Expired, |header| header.expires = UnixSeconds(unix_now() - 2) - CLOCK_SKEW_MAX),
    ];
    let mut chamber = Chamber::start();
    for (code, change) in changes {
        let mut header = chamber.header("sleeps-v1");
        change(&mut header);
        let job = chamber.job_of_header(header, b"{}");
        let answer = is_refused(&mut chamber, &job, code);
        assert_eq!(answer.timings_ms.checked, None);
    }
}

#[test]
fn a_deadline_is_a_number_of_any_size() {
    let mut chamber = Chamber::start();
    let mut header = chamber.header("sleeps-v1");
    header.expires = UnixSeconds(u64::MAX);
    let job = chamber.job_of_header(header, b"{}");
    assert_eq!(chamber.send(&job).answer().0.code(), Code::Ok);
}

#[test]
fn a_witness_may_be_as_large_as_its_circuit_allows_and_no_larger() {
    let mut chamber = Chamber::start();
    let script = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    let largest = chamber.job_of_bytes("sleeps-v1", script(4096).as_bytes());
    assert_eq!(chamber.send(&largest).answer().0.code(), Code::Ok);
    let too_large = chamber.job_of_bytes("sleeps-v1", script(4097).as_bytes());
    is_refused(&mut chamber, &too_large, Code::WitnessTooLarge);
}

#[test]
fn a_proof_that_does_not_verify_is_never_answered() {
    let mut chamber = Chamber::start();
    let job = chamber.job("lies-v1", &json!({}));
    let answer = is_refused(&mut chamber, &job, Code::ProofGenerationFailed);
    assert_eq!(answer.timings_ms.verified, None);
}

#[test]
fn the_place_of_a_witness_error_is_told_under_the_seal_alone() {
    let detail = InvalidWitness::at("script[7]", "expected a better one").to_string();
    let mut chamber = Chamber::start();
    let sealed = chamber.job("refuses-v1", &json!({}));
    assert_eq!(message(&is_refused(&mut chamber, &sealed, Code::InvalidWitness)), detail);

    let mut header = chamber.header("refuses-v1");
    header.answer = AnswerMode::Open;
    let open = chamber.job_of_header(header, b"{}");
    let mut sent = chamber.send(&open);
    let (head, payload): (ReplyHead, _) = sent.reply().unwrap();
    assert_eq!((head.code, head.mode), (Code::InvalidWitness, AnswerMode::Open));
    let answer = sent.opens(&head, &payload).expect("the sender's tag");
    assert_eq!(message(&answer), Code::InvalidWitness.message());
    assert!(!String::from_utf8_lossy(&payload).contains("script[7]"));
    assert_eq!(chamber.log(), "");
}

#[test]
fn a_witness_that_does_not_decode_is_invalid_and_is_not_repeated() {
    let mut chamber = Chamber::start();
    let job = chamber.job_of_bytes("sleeps-v1", br#"{"ms": "attack-at-dawn"}"#);
    let answer = is_refused(&mut chamber, &job, Code::InvalidWitness);
    assert!(!String::from_utf8(answer.to_json()).unwrap().contains("attack"));
    assert_eq!(chamber.log(), "");
}
