//! The sweeper: what deliveries have given up on, and what outlives its deadline in the queue, is answered
//! all the same.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use futures_util::StreamExt;
use sealprove::client::{Collected, SubmitOptions};
use sealprove::protocol::{Code, UnixSeconds};
use serde_json::json;

use crate::kit::{Lab, RawJob, Setup, THRESHOLD, eventually, good_witness, unix_now};

/// As many as the consumers of a job stream allow.
const MAX_DELIVER: usize = 20;

/// Takes the one queued job as often as it is delivered, and gives it back each time.
async fn exhaust_deliveries(lab: &Lab) {
    let stream = lab.stream("PROVE_JOBS_default").await;
    let consumer = stream.get_consumer::<pull::Config>("standard").await.unwrap();
    for _ in 0..MAX_DELIVER {
        let mut batch = consumer.fetch().max_messages(1).messages().await.unwrap();
        let message = batch.next().await.expect("a delivery").unwrap();
        message.ack_with(async_nats::jetstream::AckKind::Nak(None)).await.unwrap();
        lab.nats.connect().await.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The broker finds out that it may not deliver the message again when it is asked to.
    let none = consumer.fetch().max_messages(1).messages().await.unwrap().next().await;
    assert!(none.is_none(), "delivered more than {MAX_DELIVER} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_reached_max_deliver_is_answered() {
    let lab = Setup::new().start().await;
    let job = lab.submit_good().await;
    exhaust_deliveries(&lab).await;
    let advisories = async || lab.stream("PROVE_ADVISORIES").await.cached_info().state.messages;
    eventually("the broker says that it gives up", async || (advisories().await == 1).then_some(())).await;

    let service = lab.service().await;
    assert_eq!(lab.stored_answer(job.job()).await.code(), Code::AttemptsExhausted);
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 1);
    assert_eq!(service.pids_of(job.job()).len(), 0);
    service.metric_becomes("sealprove_swept_total", &[("code", "ATTEMPTS_EXHAUSTED")], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_job_without_an_advisory_is_answered() {
    let lab = Setup::new().start().await;
    let job = lab.submit_good().await;
    exhaust_deliveries(&lab).await;
    let advisories = lab.stream("PROVE_ADVISORIES").await;
    eventually("the advisory is lost", async || (advisories.purge().await.ok()?.purged == 1).then_some(()))
        .await;

    let _service = lab.service().await;
    let outcome = lab.outcome_of(&job).await;
    assert!(matches!(outcome, Collected::Unauthenticated(Some(Code::AttemptsExhausted))), "{outcome:?}");
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_deadline_passes_in_the_queue_is_answered_while_every_slot_is_taken() {
    let lab = Setup::rogue().limited("sleeps-v1", "15m").start().await;
    let service = lab.service().await;
    let long = lab.submit("sleeps-v1", json!({ "ms": 600_000 }).to_string().as_bytes()).await;
    service.process_of(long.job(), 1).await;

    let hurried = SubmitOptions { lifetime: Duration::from_secs(2), ..SubmitOptions::default() };
    let queued = lab.submit_as("sleeps-v1", b"{}", &hurried).await;

    let outcome = eventually("the queued job is answered", async || {
        match lab.blind_client().await.collect(&queued).await {
            Ok(Collected::NotYet) => None,
            outcome => Some(outcome),
        }
    });
    // A sweeper rests for half a minute, and leaves alone what is younger than one.
    let outcome = tokio::time::timeout(Duration::from_secs(150), outcome).await.expect("in time");
    assert!(matches!(outcome, Ok(Collected::Unauthenticated(Some(Code::Expired)))), "{outcome:?}");
    assert_eq!(lab.jobs_left().await, 1, "the long job alone");
    assert_eq!(service.pids_of(queued.job()).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_meet_its_deadline_is_not_started() {
    let lab = Setup::rogue().limited("sleeps-v1", "1m").start().await;
    let service = lab.service().await;
    let witness = json!({ "ms": 4000 }).to_string();
    let first = lab.submit("sleeps-v1", witness.as_bytes()).await;
    assert_eq!(lab.answer_to(&first).await.code(), Code::Ok);

    let job = RawJob::seal_as(&lab.bundle(), "sleeps-v1", witness.as_bytes(), |header| {
        header.expires = UnixSeconds(unix_now() + 3);
    });
    job.publish(&lab.nats.connect().await).await.unwrap();
    assert_eq!(lab.stored_answer(&job.id).await.code(), Code::Expired);
    assert_eq!(service.pids_of(&job.id).len(), 0, "it was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_names_no_job_is_left_to_its_delivery() {
    let (lab, service) = Lab::with_service().await;
    let odd = RawJob::seal(&lab.bundle(), THRESHOLD, &good_witness()).token(6, "no-job-id");
    odd.publish(&lab.nats.connect().await).await.unwrap();
    lab.all_acknowledged().await;
    service.metric_becomes("sealprove_not_jobs_total", &[], 1.0).await;
    assert_eq!(lab.answers_stored().await, 0);
}
