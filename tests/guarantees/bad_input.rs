//! Messages of strangers: every message on a job's subject gets its one answer from the protocol's
//! table, and the service goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sealprove::client::Cancellation;
use sealprove::protocol::{
    AnswerMode, CLOCK_SKEW_MAX, Code, H_ANSWER, H_EXPIRES, H_KEY, H_VERIFYING_KEY, H_VERSION,
    JOB_LIFETIME_MAX, JobHeader, JobId, UnixSeconds, VerifyingKeyPin,
};

use crate::kit::{Lab, RawJob, Service, Setup, THRESHOLD, eventually, good_witness, unix_now};

const HEADERS: [&str; 5] = [H_VERSION, H_KEY, H_EXPIRES, H_ANSWER, H_VERIFYING_KEY];

/// Publishes each job, expects its code as its one answer, and then that a good job is proved.
async fn each_is_answered(lab: &Lab, service: &Service, table: Vec<(String, RawJob, Code)>) {
    let client = lab.nats.connect().await;
    let before = lab.answers_stored().await;
    for (what, job, _) in &table {
        job.publish(&client).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    for (what, job, code) in &table {
        let stored = lab.stored_answer(&job.id).await;
        assert_eq!(stored.code(), *code, "{what}");
        assert_eq!(stored.get("Sealprove-Outcome"), Some(code.outcome().as_str()), "{what}");
        let document = job.open(&stored).unwrap_or_else(|| stored.document());
        assert_eq!(document.code(), *code, "{what}");
        assert_eq!(document.job, job.id, "{what}");
        assert!(document.proof.is_none(), "{what}");
    }
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await - before, table.len() as u64, "one answer each");

    let good = lab.raw_job();
    good.publish(&client).await.unwrap();
    let stored = lab.stored_answer(&good.id).await;
    assert_eq!(good.open(&stored).expect("a good job's answer").code(), Code::Ok);
    assert_eq!(service.get("/readyz").0, 200);
}

fn row(what: impl Into<String>, job: RawJob, code: Code) -> (String, RawJob, Code) {
    (what.into(), job, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_another_form_are_malformed() {
    let (lab, service) = Lab::with_service().await;
    let job = || lab.raw_job();
    let mut table = vec![
        row("another version", job().header(H_VERSION, "2"), Code::UnsupportedVersion),
        row("an unknown header", job().and("Sealprove-Priority", "1"), Code::MalformedJob),
        row("an unknown header in small letters", job().and("sealprove-x", "1"), Code::MalformedJob),
        row("no header at all", RawJob { headers: Vec::new(), ..job() }, Code::MalformedJob),
        row("a key id in capitals", job().header(H_KEY, &"AB".repeat(16)), Code::MalformedJob),
        row("an unknown key", job().header(H_KEY, &"ab".repeat(16)), Code::KeyUnknown),
        row("a deadline that is no number", job().header(H_EXPIRES, "soon"), Code::MalformedJob),
        row("a deadline with a sign", job().header(H_EXPIRES, "+4102444800"), Code::MalformedJob),
        row("an unknown answer mode", job().header(H_ANSWER, "loud"), Code::MalformedJob),
        row("half a digest", job().header(H_VERIFYING_KEY, "sha256:00"), Code::MalformedJob),
    ];
    for name in HEADERS {
        table.push(row(format!("no {name}"), job().without(name), Code::MalformedJob));
        let repeated = job();
        let value = repeated.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
        table.push(row(format!("{name} twice"), repeated.and(name, &value), Code::MalformedJob));
    }
    each_is_answered(&lab, &service, table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_unservable_job_is_refused_with_its_own_code() {
    let (lab, service) = Lab::with_service().await;
    let bundle = lab.bundle();
    let sealed = |change: fn(&mut JobHeader)| RawJob::seal_as(&bundle, THRESHOLD, &good_witness(), change);
    let other_key = format!("sha256:{}", "00".repeat(32));
    let table = vec![
        row("a circuit that is not there", RawJob::seal(&bundle, "other-v1", b"{}"), Code::CircuitNotFound),
        row("a circuit of another deployment", lab.raw_job().token(5, "sudoku-v9"), Code::CircuitNotFound),
        row(
            "another verifying key, in the seal",
            sealed(|header| {
                header.verifying_key = VerifyingKeyPin::Exactly(sealprove::protocol::Sha256Digest([0; 32]))
            }),
            Code::VerifyingKeyMismatch,
        ),
        row(
            "another verifying key, outside the seal",
            lab.raw_job().header(H_VERIFYING_KEY, &other_key),
            Code::VerifyingKeyMismatch,
        ),
        row(
            "a deadline that has passed",
            sealed(|header| header.expires = UnixSeconds(unix_now() - 1)),
            Code::Expired,
        ),
        row("a deadline in 1970", sealed(|header| header.expires = UnixSeconds(0)), Code::Expired),
        row(
            "a deadline in more than a day",
            sealed(|header| {
                header.expires = UnixSeconds(unix_now() + 60) + JOB_LIFETIME_MAX + CLOCK_SKEW_MAX
            }),
            Code::MalformedJob,
        ),
        row(
            "a deadline at the end of time",
            sealed(|header| header.expires = UnixSeconds(u64::MAX)),
            Code::MalformedJob,
        ),
    ];
    each_is_answered(&lab, &service, table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_the_wrong_size_is_refused() {
    let (lab, service) = Lab::with_service().await;
    let bundle = lab.bundle();
    let listed = bundle.circuit(&THRESHOLD.parse().unwrap()).unwrap();
    let honest = lab.raw_job().payload.len();
    let sized = |bytes: usize| lab.raw_job().payload(vec![0x5a; bytes]);
    let largest = vec![b' '; listed.witness_bytes_max as usize];
    let too_large = vec![b' '; 16 * 1024];
    let table = vec![
        row("nothing", sized(0), Code::MalformedJob),
        row("one byte", sized(1), Code::MalformedJob),
        row("only an encapsulated key", sized(32), Code::MalformedJob),
        row("one byte short", sized(honest - 1), Code::MalformedJob),
        row("a length that the padding does not give", sized(honest + 1), Code::UnsealFailed),
        row("too large by far", RawJob::seal(&bundle, THRESHOLD, &too_large), Code::WitnessTooLarge),
        row("half a megabyte", sized(512 * 1024), Code::WitnessTooLarge),
        row("as large as may be", RawJob::seal(&bundle, THRESHOLD, &largest), Code::InvalidWitness),
    ];
    each_is_answered(&lab, &service, table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_payload_does_not_open() {
    let (lab, service) = Lab::with_service().await;
    let bytes = lab.raw_job().payload.len();
    // The encapsulated key, the ciphertext of length, witness and padding, the tag.
    let places = [0, 15, 31, 32, 35, 36, 100, 300, bytes / 2, bytes - 17, bytes - 16, bytes - 8, bytes - 1];
    let mut table: Vec<_> = places
        .iter()
        .map(|at| row(format!("a bit of byte {at}"), lab.raw_job().flipped(*at), Code::UnsealFailed))
        .collect();
    let low_order = [vec![0; 32], lab.raw_job().payload[32..].to_vec()].concat();
    table.push(row("a public key of low order", lab.raw_job().payload(low_order), Code::UnsealFailed));
    let other = lab.raw_job().payload;
    table.push(row("another job's payload", lab.raw_job().payload(other), Code::UnsealFailed));
    assert_eq!(table.len(), 15);
    each_is_answered(&lab, &service, table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_was_changed_after_sealing_opens_nothing() {
    let lab = Setup::new().circuit("membership-v1").start().await;
    let service = lab.service().await;
    let bundle = lab.bundle();
    let job = || lab.raw_job();
    let membership = bundle.circuit(&"membership-v1".parse().unwrap()).unwrap();
    let other_id = JobId::random();
    let table = vec![
        row("the deadline", job().header(H_EXPIRES, &(unix_now() + 60).to_string()), Code::UnsealFailed),
        row("the answer mode", job().header(H_ANSWER, "open"), Code::UnsealFailed),
        row("the verifying key", job().header(H_VERIFYING_KEY, "any"), Code::UnsealFailed),
        row("the lane", job().token(4, "express"), Code::UnsealFailed),
        row(
            "the circuit",
            job().token(5, "membership-v1").header(H_VERIFYING_KEY, &membership.verifying_key.to_string()),
            Code::UnsealFailed,
        ),
        row("the job", job().token(6, other_id.as_str()), Code::UnsealFailed),
    ];
    each_is_answered(&lab, &service, table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_is_not_valid_is_located_for_its_submitter_alone() {
    let (lab, service) = Lab::with_service().await;
    let bundle = lab.bundle();
    let good: serde_json::Value = serde_json::from_slice(&good_witness()).unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut document = good.clone();
        document[name] = value;
        document.to_string().into_bytes()
    };
    let mut missing = good.clone();
    missing.as_object_mut().unwrap().remove("blinding");
    let witnesses = [
        ("value", with("value", 7.into())),
        ("blinding", with("blinding", format!("0x{}", "ff".repeat(32)).into())),
        ("blinding", missing.to_string().into_bytes()),
        ("witness", with("surprise", "SECRETSECRET".into())),
        ("witness", b"not json".to_vec()),
        ("witness", Vec::new()),
    ];
    let client = lab.nats.connect().await;
    for (path, witness) in &witnesses {
        let sealed = RawJob::seal(&bundle, THRESHOLD, witness);
        let open = RawJob::seal_as(&bundle, THRESHOLD, witness, |header| header.answer = AnswerMode::Open);
        sealed.publish(&client).await.unwrap();
        open.publish(&client).await.unwrap();

        let stored = lab.stored_answer(&sealed.id).await;
        assert_eq!((stored.code(), stored.get("Sealprove-Answer")), (Code::InvalidWitness, Some("sealed")));
        let error = sealed.open(&stored).expect("an answer that opens").error.unwrap();
        assert!(error.message.contains(path), "{path}: {}", error.message);
        assert!(!error.message.contains("SECRET"), "{}", error.message);

        let stored = lab.stored_answer(&open.id).await;
        let error = open.open(&stored).expect("a good tag").error.unwrap();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::InvalidWitness, Code::InvalidWitness.message())
        );
    }
    assert!(!service.log().contains("SECRETSECRET"));
    each_is_answered(&lab, &service, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_does_not_hold_is_an_invalid_witness() {
    let (lab, service) = Lab::with_service().await;
    let mut witness: serde_json::Value = serde_json::from_slice(&good_witness()).unwrap();
    witness["threshold"] = "67001".into();
    let job = RawJob::seal(&lab.bundle(), THRESHOLD, witness.to_string().as_bytes());
    each_is_answered(&lab, &service, vec![row("below the threshold", job, Code::InvalidWitness)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_in_clear_is_rejected_and_erased_from_the_brokers_store() {
    let (lab, service) = Lab::with_service().await;
    let marker = b"THIS-WITNESS-LIES-IN-CLEAR-0123456789";
    let json = format!("{{\"value\": \"{}\"}}", String::from_utf8_lossy(marker));
    let pczt = [b"PCZT\x01\0\0\0".as_slice(), marker, &[0; 2000]].concat();
    let sealed_whole = serde_json::json!([String::from_utf8_lossy(marker), "x".repeat(2000)]).to_string();
    let client = lab.nats.connect().await;

    // That the marker can be found at all: with no consumer's service, it lies in the store.
    let table = vec![
        row("JSON", lab.raw_job().payload(json), Code::PlaintextRejected),
        row("a PCZT", lab.raw_job().payload(pczt), Code::PlaintextRejected),
        row("a long JSON", lab.raw_job().payload(sealed_whole), Code::PlaintextRejected),
        row(
            "JSON without a header",
            RawJob { headers: vec![], ..lab.raw_job().payload("{}") },
            Code::PlaintextRejected,
        ),
    ];
    service.crash();
    for (what, job, _) in &table {
        job.publish(&client).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert!(!lab.nats.files_with(marker).is_empty(), "the marker is not in the store to begin with");

    let service = lab.service().await;
    for (what, job, code) in &table {
        assert_eq!(lab.stored_answer(&job.id).await.code(), *code, "{what}");
    }
    lab.all_acknowledged().await;
    eventually("the witness is erased", async || lab.nats.files_with(marker).is_empty().then_some(())).await;
    each_is_answered(&lab, &service, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_names_no_job_is_removed_and_counted() {
    let (lab, service) = Lab::with_service().await;
    let client = lab.nats.connect().await;
    let jobs = [
        lab.raw_job().token(6, "not-a-job-id"),
        lab.raw_job().token(6, &"AB".repeat(16)),
        lab.raw_job().token(6, &"ab".repeat(17)),
        lab.raw_job().token(5, "Threshold_V1"),
        lab.raw_job().token(5, &"a".repeat(65)),
    ];
    for job in &jobs {
        job.publish(&client).await.unwrap();
    }

    service.metric_becomes("sealprove_not_jobs_total", &[], 5.0).await;
    lab.all_acknowledged().await;
    let advisories = async || {
        let stored = lab.stream("PROVE_ADVISORIES").await.info().await.unwrap().state.messages;
        (stored == 5).then_some(())
    };
    eventually("the advisories are stored", advisories).await;
    let stream = lab.stream("PROVE_ADVISORIES").await;
    let advisory = stream.get_raw_message(1).await.unwrap();
    assert!(advisory.subject.contains("MSG_TERMINATED"), "{}", advisory.subject);
    assert!(String::from_utf8_lossy(&advisory.payload).contains("not a job"));
    assert_eq!(lab.answers_stored().await, 0);
    each_is_answered(&lab, &service, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_lane_tenant_or_depth_is_refused_by_the_broker_at_once() {
    let lab = Setup::new().start().await;
    let client = lab.nats.connect().await;
    let jobs = [
        ("lane", lab.raw_job().token(4, "turbo")),
        ("tenant", lab.raw_job().token(3, "stranger")),
        ("deeper", {
            let job = lab.raw_job();
            RawJob { subject: format!("{}.x", job.subject), ..job }
        }),
    ];
    for (what, job) in jobs {
        let refused = tokio::time::timeout(Duration::from_secs(4), job.publish(&client)).await;
        assert!(refused.expect("the broker's word, at once").is_err(), "{what}");
    }
    assert_eq!(lab.jobs_left().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_message_for_a_queued_job_is_refused_by_the_broker() {
    let lab = Setup::new().start().await;
    let client = lab.nats.connect().await;
    let job = lab.raw_job();
    job.publish(&client).await.unwrap();
    let refused = job.publish(&client).await.unwrap_err();
    assert!(refused.contains("maximum messages per subject exceeded"), "{refused}");
}

/// Publishes a message whose header block no NATS library would write.
fn publish_raw(lab: &Lab, subject: &[u8], header: &[u8], payload: &[u8]) {
    let mut socket = TcpStream::connect(("127.0.0.1", lab.nats.port())).unwrap();
    let lengths = format!(" {} {}\r\n", header.len(), header.len() + payload.len());
    let connect = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n";
    let message =
        [&connect[..], b"HPUB ", subject, lengths.as_bytes(), header, payload, b"\r\nPING\r\n"].concat();
    socket.write_all(&message).unwrap();
    let mut heard = Vec::new();
    while !heard.windows(4).any(|window| window == b"PONG") {
        let mut chunk = [0; 1024];
        let read = socket.read(&mut chunk).unwrap();
        assert!(read > 0, "the broker hung up: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&chunk[..read]);
    }
    assert!(!heard.windows(4).any(|window| window == b"-ERR"), "{}", String::from_utf8_lossy(&heard));
}

/// The library that the service receives with gives up its connection over each of these, or does worse.
const UNREADABLE: [&[u8]; 7] = [
    b"NATS/1.0\r\ngarbage\r\n\r\n",
    b"NATS/1.0\r\na b: x\r\n\r\n",
    b"NATS/1.0\r\nX-A: \xff\xfe\r\n\r\n",
    b"NATS/1.0\r\nX-A: one\rtwo\r\n\r\n",
    b"NATS/1.0 soon\r\n\r\n",
    b"NATS/1.0 404\tNo Messages\r\n\r\n",
    b"NATS/1.0\r\nA: x\r\n\r\n and more\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_headers_are_malformed_and_delay_no_other_job() {
    let (lab, service) = Lab::with_service().await;
    let jobs: Vec<RawJob> = UNREADABLE.iter().map(|_| lab.raw_job()).collect();
    for (job, header) in jobs.iter().zip(UNREADABLE) {
        publish_raw(&lab, job.subject.as_bytes(), header, &job.payload);
    }
    // Neither does a status that a publisher writes into a job hide it.
    let hidden = lab.raw_job();
    publish_raw(&lab, hidden.subject.as_bytes(), b"NATS/1.0 404 No Messages\r\n\r\n", &hidden.payload);
    publish_raw(&lab, b"prove.v1.job.default.standard.threshold-v1.\xff\xfe", b"NATS/1.0\r\n\r\n", b"x");
    let good = lab.raw_job();
    good.publish(&lab.nats.connect().await).await.unwrap();

    for (job, header) in jobs.iter().zip(UNREADABLE) {
        let stored = lab.stored_answer(&job.id).await;
        assert_eq!(stored.code(), Code::MalformedJob, "{}", String::from_utf8_lossy(header));
    }
    assert_eq!(lab.stored_answer(&hidden.id).await.code(), Code::MalformedJob);
    let stored = lab.stored_answer(&good.id).await;
    assert_eq!(good.open(&stored).expect("the good job's answer").code(), Code::Ok);
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, UNREADABLE.len() as u64 + 2);
    assert!(!service.log().contains("lease could not"), "what strangers break is not what leases hang on");
    service.becomes_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_requests_break_only_their_own_connection() {
    let (lab, service) = Lab::with_service().await;
    for header in UNREADABLE {
        for subject in ["prove.v1.bundle", "prove.v1.cancel.default.00112233445566778899aabbccddeeff"] {
            publish_raw(&lab, subject.as_bytes(), header, b"");
        }
    }
    let job = lab.submit_good().await;
    assert_eq!(lab.answer_to(&job).await.code(), Code::Ok);
    eventually("the bundle is served again", async || lab.client().await.fetch_bundle().await.ok()).await;
    let client = lab.client().await;
    assert_eq!(client.cancel(job.job()).await.unwrap(), Cancellation::Answered(Some(Code::Ok)));
    assert_eq!(service.get("/readyz").0, 200);
}
