//! Lanes and back-pressure: express first and standard never starved; a full queue is waited for and said;
//! a full answer stream stops intake before anything is lost.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use sealprove::client::{ClientError, SubmitOptions, Ticket};
use sealprove::protocol::{Code, Lane};
use serde_json::json;

use crate::kit::{self, Lab, Service, Setup, THRESHOLD, eventually, good_witness};

const SLEEPS: &str = "sleeps-v1";

async fn submit_to(lab: &Lab, lane: Lane, ms: u64) -> Ticket {
    let options = SubmitOptions { lane, ..SubmitOptions::default() };
    lab.submit_as(SLEEPS, json!({ "ms": ms }).to_string().as_bytes(), &options).await
}

/// The jobs in the order in which their processes were started.
fn started(service: &Service) -> Vec<String> {
    let events = service.events();
    let started = events.iter().filter(|event| event["message"] == "job process started");
    started.map(|event| event["job"].as_str().expect("a job").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn express_comes_before_standard_and_never_starves_it() {
    let lab = Setup::rogue().limited(SLEEPS, "1m").start().await;
    let mut standard = Vec::new();
    for _ in 0..8 {
        standard.push(submit_to(&lab, Lane::Standard, 1).await);
    }
    let mut express = Vec::new();
    for _ in 0..24 {
        express.push(submit_to(&lab, Lane::Express, 1).await);
    }

    let service = lab.service().await;
    for job in standard.iter().chain(&express) {
        assert_eq!(lab.answer_to(job).await.code(), Code::Ok);
    }
    // The first of all is the self-test's.
    let order = started(&service).split_off(1);
    assert_eq!(order.len(), 32);
    let place = |job: &Ticket| order.iter().position(|id| id == job.job().as_str()).expect("it was started");
    let last_express = express.iter().map(place).max().expect("some");
    let between = standard.iter().filter(|job| place(job) < last_express).count();
    // One turn in eight, of the 27 or so turns until express is done.
    assert!((2..=4).contains(&between), "{between} standard jobs before the last express one: {order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_for_a_full_queue_and_reports_it() {
    let lab = Setup::new().streams("jobs_max = 2").start().await;
    // The client keeps the bundle of a service that has been there.
    let service = lab.service().await;
    lab.client().await.bundle().await.unwrap();
    service.terminate();
    assert_eq!(service.exit_code().await, 0);
    let (_one, _two) = (lab.submit_good().await, lab.submit_good().await);

    let at_once = SubmitOptions { patience: Duration::ZERO, ..SubmitOptions::default() };
    let refused = lab.client().await.submit(&THRESHOLD.parse().unwrap(), &good_witness(), &at_once).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, ClientError::QueueFull { retry_after, .. } if !retry_after.is_zero()),
        "{refused}"
    );
    assert!(refused.to_string().contains("maximum messages exceeded"), "{refused}");

    let witness = lab.write("w.json", &good_witness());
    let refused = lab.run(&["submit", THRESHOLD, &witness, "--timeout", "0s"]).exits(4);
    let refused = refused.says("the queue is full and nothing was accepted");
    assert!(refused.stderr.contains("try again in"), "{}", refused.stderr);

    // The third waits until a service has made room, and then goes through by itself.
    let waiting = std::thread::scope(|scope| {
        let third = scope.spawn(|| lab.run(&["submit", THRESHOLD, &witness, "--wait", "--json"]));
        std::thread::sleep(Duration::from_secs(3));
        let _service =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(lab.service()));
        third.join().expect("the client")
    });
    let waiting = waiting.exits(0).says("the queue is full");
    assert!(waiting.json()["proof"].is_string());
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 3);
}

/// Gives the answer stream so much room.
async fn give_room(lab: &Lab, max_bytes: i64) {
    let context = lab.nats.jetstream().await;
    let config = lab.stream("PROVE_ANSWERS_default").await.cached_info().config.clone();
    context.update_stream(Config { max_bytes, ..config }).await.expect("update the stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_answer_stream_stops_intake_and_loses_nothing() {
    let (lab, service) = Lab::with_service().await;
    let first = lab.submit_good().await;
    lab.answer_to(&first).await;
    let used = lab.stream("PROVE_ANSWERS_default").await.cached_info().state.bytes;
    give_room(&lab, i64::try_from(used).unwrap() + 64).await;

    let during = [lab.submit_good().await, lab.submit_good().await, lab.submit_good().await];
    eventually("the service says so in its readiness", async || {
        let (status, text) = service.get("/readyz");
        (status == 503).then(|| assert!(text.contains("the answer stream of every tenant is full"), "{text}"))
    })
    .await;
    service.logs(&["ERROR", "the tenant's answer stream is full, and none of its jobs is taken"]).await;
    service.metric_becomes("sealprove_tenants_without_room", &[], 1.0).await;
    assert!(service.metric("sealprove_answer_stream_filled_ratio", &[]) > 0.9);
    // One may have been under way; its answer is kept until there is room, and the others wait.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(lab.answers_stored().await, 1);
    let begun: usize = during.iter().map(|job| service.pids_of(job.job()).len()).sum();
    assert!(begun <= 1, "{begun} proofs were made with no room to store them");

    give_room(&lab, 1 << 30).await;
    for job in &during {
        assert_eq!(lab.answer_to(job).await.code(), Code::Ok);
        assert_eq!(service.pids_of(job.job()).len(), 1, "proved twice");
    }
    service.becomes_ready().await;
    assert_eq!(lab.answers_stored().await, 4);
}

/// Returns the number of jobs that wait before any service runs; `make load JOBS=10000` sets it.
fn queued() -> usize {
    std::env::var("QUEUED").map_or(120, |jobs| jobs.parse().expect("QUEUED is a number of jobs"))
}

/// The jobs of the answer stream, in the order in which they were answered.
async fn answered(lab: &Lab) -> Vec<String> {
    let stream = lab.stream("PROVE_ANSWERS_default").await;
    let mut jobs = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.expect("no answer is ever removed");
        assert_eq!(message.headers.get("Sealprove-Code").map(|code| code.as_str()), Some("OK"));
        jobs.push(message.subject.rsplit('.').next().expect("a job's id").to_owned());
    }
    jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_waited_for_services_is_answered_once_with_express_first() {
    let lab = Setup::new().start().await;
    let client = lab.blind_client().await;
    let (bundle, circuit, witness) = (lab.bundle(), THRESHOLD.parse().unwrap(), good_witness());
    let (mut express, mut all) = (HashSet::new(), HashSet::new());
    for index in 0..queued() {
        let lane = if index % 2 == 0 { Lane::Standard } else { Lane::Express };
        let options =
            SubmitOptions { lane, lifetime: Duration::from_secs(6 * 3600), ..SubmitOptions::default() };
        let sealed = client.seal(&bundle, &circuit, &witness, &options).unwrap();
        client.publish(&sealed, options.patience, |_, _| {}).await.unwrap();
        let job = sealed.ticket.job().to_string();
        all.insert(job.clone());
        if lane == Lane::Express {
            express.insert(job);
        }
    }
    assert_eq!(lab.jobs_left().await as usize, queued());

    let _services = [lab.service().await, lab.service().await];
    let mut left = lab.jobs_left().await;
    while left > 0 {
        tokio::time::sleep(kit::PATIENCE.min(Duration::from_secs(left / 2 + 1))).await;
        let now = lab.jobs_left().await;
        assert!(now < left, "nothing was done while {left} jobs waited");
        left = now;
    }
    let order = answered(&lab).await;
    assert_eq!(order.len(), queued());
    assert_eq!(order.iter().cloned().collect::<HashSet<_>>(), all, "each job has its one answer");
    let last = order.iter().rposition(|job| express.contains(job)).expect("express jobs");
    let standard_after = order[last..].iter().filter(|job| !express.contains(*job)).count();
    let share = standard_after as f64 / (queued() - express.len()) as f64;
    println!(
        "{} jobs; after the last express answer came {:.0} % of the standard ones",
        queued(),
        share * 100.0
    );
    assert!(share > 0.8, "{share}");
}
