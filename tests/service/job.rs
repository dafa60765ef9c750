//! The path of a job, from the witness to the verified proof, and what can be seen of it from outside.

use std::time::Duration;

use futures_util::StreamExt;
use sealprove::circuit::Circuits;
use sealprove::client::{Collected, SubmitOptions, Verifier};
use sealprove::protocol::{AnswerMode, Code, JobState, Lane, Status, Subjects};

use crate::kit::{self, Lab, Setup, Stored, THRESHOLD, gone, good_witness, sample};

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_job_is_answered_with_a_proof_that_its_submitter_verifies() {
    let (lab, _service) = Lab::with_service().await;
    let client = lab.client().await;
    let circuit = THRESHOLD.parse().unwrap();

    let ticket = client.submit(&circuit, &good_witness(), &SubmitOptions::default()).await.unwrap();
    let answer = lab.answer_to(&ticket).await;

    assert_eq!(answer.code(), Code::Ok);
    assert_eq!((&answer.job, answer.attempt), (ticket.job(), 1));
    let proof = Verifier::new(Circuits::built_in()).verify_for(&ticket, &answer).unwrap();
    assert_eq!(Some(&proof.public_inputs), ticket.public_inputs());

    let stored = lab.stored_answer(ticket.job()).await;
    assert_eq!(stored.get("Sealprove-Answer"), Some("sealed"));
    assert_eq!(stored.get("Sealprove-Tag"), None);
    assert!(serde_json::from_slice::<serde_json::Value>(&stored.payload).is_err(), "the answer is in clear");
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_answer_is_readable_by_all_and_authentic_to_its_submitter_alone() {
    let (lab, _service) = Lab::with_service().await;
    let client = lab.client().await;
    let circuit = THRESHOLD.parse().unwrap();
    let open = SubmitOptions { answer: AnswerMode::Open, lane: Lane::Express, ..SubmitOptions::default() };

    let ticket = client.submit(&circuit, &good_witness(), &open).await.unwrap();
    let answer = lab.answer_to(&ticket).await;

    let stored = lab.stored_answer(ticket.job()).await;
    assert_eq!(stored.document(), answer);
    assert!(stored.get("Sealprove-Tag").is_some());
    Verifier::new(Circuits::built_in()).verify_for(&ticket, &answer).unwrap();

    let raw = kit::RawJob::seal(&lab.bundle(), THRESHOLD, &good_witness());
    assert!(raw.open(&stored).is_none(), "another job's secret accepts the tag");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_answer_is_reported_as_unauthenticated() {
    let lab = Setup::new().start().await;
    let service = lab.service().await;
    lab.run(&["circuits"]).exits(0);
    service.crash();
    let ticket = lab.submit_good().await;

    let forged = kit::RawJob::seal(&lab.bundle(), THRESHOLD, &good_witness());
    let headers = [
        ("Sealprove-Version", "1"),
        ("Sealprove-Outcome", "refused"),
        ("Sealprove-Code", "INVALID_WITNESS"),
        ("Sealprove-Answer", "sealed"),
        ("Content-Type", "application/json"),
    ];
    let forged = kit::RawJob {
        subject: Subjects::default().answer(&Default::default(), ticket.job()),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..forged
    };
    forged.publish(&lab.nats.connect().await).await.unwrap();

    let hint = lab.outcome_of(&ticket).await;
    assert!(matches!(hint, Collected::Unauthenticated(Some(Code::InvalidWitness))), "{hint:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_collects_its_answer_after_client_and_service_have_died() {
    let (lab, service) = Lab::with_service().await;
    let witness = lab.write("witness.json", &good_witness());
    // From here on the client has the bundle, and needs no service to submit.
    lab.run(&["circuits"]).exits(0);
    service.crash();

    let ticket = lab.run(&["submit", THRESHOLD, &witness]).exits(0).line().to_owned();
    lab.run(&["answer", &ticket]).exits(6).says("no answer yet");
    lab.run(&["status", &ticket]).exits(6);
    let _second = lab.service().await;

    let answer = lab.run(&["answer", &ticket, "--wait", "--json"]).exits(0).json();
    assert!(answer["proof"].is_string(), "{answer}");
    assert_eq!(lab.run(&["answer", &ticket, "--json"]).exits(0).json(), answer, "collected again");
    assert!(lab.run(&["status", &ticket]).exits(0).stdout.contains("OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_the_step_and_its_typical_duration() {
    let (lab, _service) = Lab::with_service().await;
    let statuses = async |job| {
        let stream = lab.stream("PROVE_STATUS").await;
        let subject = Subjects::default().status(&Default::default(), job);
        let stored = stream.get_last_raw_message_by_subject(&subject).await.expect("a status");
        serde_json::from_slice::<Status>(&stored.payload).expect("a status document")
    };

    let first = lab.submit_good().await;
    lab.answer_to(&first).await;
    let status = statuses(first.job()).await;
    assert_eq!((status.state, status.attempt, status.faults), (JobState::Proving, 1, 0));
    assert!(status.expected_ms.is_some(), "the self-test has proved before");

    let second = lab.submit_good().await;
    lab.answer_to(&second).await;
    assert!(statuses(second.job()).await.expected_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_client_is_woken_by_the_headers_of_the_answer() {
    let (lab, _service) = Lab::with_service().await;
    let job = lab.raw_job();
    let client = lab.nats.connect().await;
    let live = Subjects::default().live(&Default::default(), &job.id);
    let mut woken = client.subscribe(live).await.unwrap();
    client.flush().await.unwrap();

    job.publish(&client).await.unwrap();

    let message = tokio::time::timeout(kit::PATIENCE, woken.next()).await.unwrap().unwrap();
    assert!(message.payload.is_empty(), "the wake-up holds the answer");
    let headers = message.headers.unwrap();
    assert_eq!(headers.get("Sealprove-Code").unwrap().as_str(), "OK");
    assert_eq!(job.open(&lab.stored_answer(&job.id).await).unwrap().code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_has_its_own_process_that_ends_with_it() {
    let (lab, service) = Lab::with_service().await;
    let (one, two) = (lab.submit_good().await, lab.submit_good().await);
    let (first, second) = (lab.answer_to(&one).await, lab.answer_to(&two).await);

    let pids = [service.pids_of(one.job()), service.pids_of(two.job())];
    assert!(matches!(pids.each_ref().map(Vec::len), [1, 1]), "{pids:?}");
    assert_ne!(pids[0], pids[1]);
    for pid in pids.concat() {
        gone(pid).await;
    }
    assert_ne!(first.proof, second.proof, "two proofs of one witness have the same blinding");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_once_its_keys_are_built_and_names_what_is_missing_until_then() {
    let lab = Setup::new().circuit("membership-v1").start().await;
    let service = lab.service_starting();

    let (status, reason) =
        kit::eventually("the admin address answers", async || service.try_get("/readyz")).await;
    assert_eq!(status, 503);
    assert!(reason.contains("the chamber has not built every proving key"), "{reason}");
    assert_eq!(service.get("/livez").0, 200);

    service.becomes_ready().await;
    assert_eq!(service.get("/readyz"), (200, "ready\n".to_owned()));
    assert!(service.metric("sealprove_circuit_build_seconds", &[("circuit", "membership-v1")]) > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_in_circuit_is_proved_from_end_to_end() {
    let circuits = Circuits::built_in();
    let setup = circuits.iter().filter(|(id, _)| id.as_str() != THRESHOLD);
    let setup = setup.fold(Setup::new(), |setup, (id, _)| setup.circuit(id.as_str()));
    let lab = setup.start().await;
    let service = lab.service().await;
    let (client, mut verifier) = (lab.client().await, Verifier::new(circuits.clone()));

    let mut proved = 0;
    for (id, _) in circuits.iter() {
        let witness = sample(id.as_str());
        let ticket = client.submit(id, &witness, &SubmitOptions::default()).await.unwrap();
        let answer = lab.answer_to(&ticket).await;
        assert_eq!(answer.code(), Code::Ok, "{id}: {:?}", answer.error);
        let proof = verifier.verify_for(&ticket, &answer).unwrap();
        if let Some(output) = proof.output {
            verifier.combine(id, &witness, &output).unwrap();
        }
        assert_eq!(
            service.metric("sealprove_jobs_total", &[("circuit", id.as_str()), ("outcome", "proved")]),
            1.0
        );
        proved += 1;
    }
    assert_eq!(proved, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_outcomes_and_time_each_phase() {
    let (lab, service) = Lab::with_service().await;
    assert_eq!(service.metric("sealprove_slots", &[("state", "free")]), 1.0);
    assert_eq!(service.metric("sealprove_jobs_total", &[]), 0.0);

    lab.answer_to(&lab.submit_good().await).await;
    lab.answer_to(&lab.submit(THRESHOLD, b"{}").await).await;
    service.metric_becomes("sealprove_slots", &[("state", "free")], 1.0).await;

    let jobs = |outcome| {
        let labels = [("circuit", THRESHOLD), ("lane", "standard"), ("outcome", outcome)];
        service.metric("sealprove_jobs_total", &labels)
    };
    assert_eq!((jobs("proved"), jobs("refused"), jobs("failed")), (1.0, 1.0, 0.0));
    let codes = |code| service.metric("sealprove_answers_total", &[("circuit", THRESHOLD), ("code", code)]);
    assert_eq!((codes("OK"), codes("INVALID_WITNESS"), codes("UNSEAL_FAILED")), (1.0, 1.0, 0.0));
    assert_eq!(service.metric("sealprove_job_seconds_count", &[("lane", "standard")]), 1.0);
    let count = |phase| {
        let labels = [("circuit", THRESHOLD), ("phase", phase)];
        service.metric("sealprove_phase_seconds_count", &labels)
    };
    assert_eq!(["queued", "opened", "settled", "sealed"].map(count), [2.0; 4]);
    // The second job was refused while its witness was checked.
    assert_eq!(["checked", "proved", "verified"].map(count), [1.0; 3]);
    assert_eq!(service.metric("sealprove_slots", &[("state", "busy")]), 0.0);
    assert_eq!(service.metric("sealprove_deliveries_total", &[("attempt", "1")]), 2.0);
    assert_eq!(
        service.metric("sealprove_process_exits_total", &[("cause", "answered")]),
        3.0,
        "with the self-test"
    );
    assert_eq!(service.metric("sealprove_chamber_starts_total", &[]), 1.0);
    let peak = service.metric("sealprove_process_peak_bytes_sum", &[("circuit", THRESHOLD)]) / 3.0;
    assert!(peak > f64::from(1 << 20) && peak < f64::from(1 << 30), "{peak}");
    assert_eq!(service.metric("sealprove_ready", &[]), 1.0);
    assert_eq!(service.metric("sealprove_unready", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_a_service_and_an_expired_one_is_answered() {
    let (lab, service) = Lab::with_service().await;
    lab.run(&["circuits"]).exits(0);
    service.crash();
    let client = lab.client().await;
    let circuit = THRESHOLD.parse().unwrap();
    let brief = SubmitOptions { lifetime: Duration::from_secs(1), ..SubmitOptions::default() };
    let late = client.submit(&circuit, &good_witness(), &brief).await.unwrap();
    let patient = lab.submit_good().await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let _service = lab.service().await;

    assert_eq!(lab.answer_to(&patient).await.code(), Code::Ok);
    let stored: Stored = lab.stored_answer(late.job()).await;
    assert_eq!((stored.code(), stored.get("Sealprove-Outcome")), (Code::Expired, Some("expired")));
    assert!(matches!(client.collect(&late).await.unwrap(), Collected::Unauthenticated(Some(Code::Expired))));
}
