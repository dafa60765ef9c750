//! An upgrade as operators do it: two services, restarted one after the other while jobs come in. No job is lost,
//! and none is answered later than it would have been by more than the time of one proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealprove::circuit::Circuits;
use sealprove::client::{Client, Collected, SubmitOptions};
use sealprove::config::ClientConfig;
use sealprove::protocol::Code;
use serde_json::json;

use crate::kit::{self, Lab, Service, Setup};

const SLEEPS: &str = "sleeps-v1";
/// Duration of a proof.
const PROOF: Duration = Duration::from_secs(1);
/// The pause between two jobs: one service alone keeps up with them.
const PAUSE: Duration = Duration::from_millis(1500);
/// A machine that builds other things meanwhile.
const SLACK: Duration = Duration::from_secs(10);

/// Returns the time of each job from its submission to its answer, in their order.
async fn load(lab: &Lab, on: Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Duration>> {
    let config = ClientConfig::read(&lab.path("client.toml")).expect("the client's configuration");
    let client = Arc::new(Client::connect(config, Circuits::new()).await.expect("connect"));
    let mut jobs = Vec::new();
    while on.load(Ordering::Relaxed) {
        let client = client.clone();
        jobs.push(tokio::spawn(async move { one(&client).await }));
        tokio::time::sleep(PAUSE).await;
    }
    jobs
}

async fn one(client: &Client) -> Duration {
    let started = Instant::now();
    let witness = json!({ "ms": PROOF.as_millis() }).to_string();
    let circuit = SLEEPS.parse().expect("a circuit's name");
    let submitted = client.submit(&circuit, witness.as_bytes(), &SubmitOptions::default()).await;
    let ticket = submitted.expect("the job is accepted");
    let collected = tokio::time::timeout(kit::PATIENCE, client.wait(&ticket, |_| {})).await;
    match collected.expect("an answer in time").expect("to ask") {
        Collected::Answer(answer) => assert_eq!(answer.code(), Code::Ok),
        other => panic!("job {} came to {other:?}", ticket.job()),
    }
    started.elapsed()
}

/// Stops it as a supervisor does, and starts the next one in its place.
async fn restart(lab: &Lab, service: Service) -> Service {
    service.terminate();
    assert_eq!(service.exit_code().await, 0);
    lab.service().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_no_job_and_delays_none_by_more_than_one_proof() {
    let lab = Setup::rogue().limited(SLEEPS, "1m").grace("30s").start().await;
    let (mut one, mut other) = (lab.service().await, lab.service().await);
    let on = Arc::new(AtomicBool::new(true));
    let restarts = async {
        tokio::time::sleep(PAUSE * 4).await;
        for _ in 0..2 {
            one = restart(&lab, one).await;
            other = restart(&lab, other).await;
        }
        tokio::time::sleep(PAUSE * 4).await;
        on.store(false, Ordering::Relaxed);
        (one, other)
    };
    let (jobs, _services) = tokio::join!(load(&lab, on.clone()), restarts);
    let mut took = Vec::new();
    for job in jobs {
        took.push(job.await.expect("the job is answered"));
    }
    assert!(took.len() >= 10, "{} jobs", took.len());
    let worst = took.iter().max().expect("jobs");
    println!(
        "{} jobs over four restarts; the slowest took {worst:?}, of which {PROOF:?} is its proof",
        took.len()
    );
    assert!(*worst <= PROOF * 2 + SLACK, "{took:?}");
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, took.len() as u64);
}
