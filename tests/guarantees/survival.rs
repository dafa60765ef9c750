//! Whatever dies, a job gets its one answer: the rows of the architecture's crash table.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealprove::client::{Collected, Ticket};
use sealprove::protocol::{Code, UnixSeconds};
use serde_json::json;

use crate::kit::{self, Lab, Service, Setup, eventually, gone, is_alive};

pub(super) const SLEEPS: &str = "sleeps-v1";
/// Longer than any test lasts.
const FOR_EVER: u64 = 600_000;

/// Submits a job that takes so long to prove.
pub(super) async fn submit(lab: &Lab, circuit: &str, ms: u64) -> Ticket {
    lab.submit(circuit, json!({ "ms": ms, "secret": "TOPSECRET" }).to_string().as_bytes()).await
}

/// A deployment of circuits that sleep, and a service that has just begun to prove one for `ms`.
pub(super) async fn proving(setup: Setup, ms: u64) -> (Lab, Service, Ticket, i32) {
    let lab = setup.limited(SLEEPS, "15m").start().await;
    let service = lab.service().await;
    let job = submit(&lab, SLEEPS, ms).await;
    let pid = service.process_of(job.job(), 1).await;
    (lab, service, job, pid)
}

/// The job is proved, and that is the only answer there ever was.
pub(super) async fn answered_once(lab: &Lab, job: &Ticket) {
    let answer = lab.answer_to(job).await;
    assert_eq!(answer.code(), Code::Ok, "{:?}", answer.error);
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 1);
}

/// The job comes to a code that the network side gave, without the job's own process.
async fn comes_to(lab: &Lab, job: &Ticket, code: Code) {
    let outcome = lab.outcome_of(job).await;
    assert!(matches!(outcome, Collected::Unauthenticated(given) if given == Some(code)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_proof_is_killed_at_its_limit_and_its_neighbour_continues() {
    let limit = Duration::from_secs(2);
    let setup = Setup::rogue().limited("spins-v1", "2s").limited("hides-v1", "2s").limited(SLEEPS, "1m");
    let lab = setup.slots(3).start().await;
    let service = lab.service().await;
    let neighbour = submit(&lab, SLEEPS, 5000).await;
    let endless = [submit(&lab, "spins-v1", FOR_EVER).await, submit(&lab, "hides-v1", FOR_EVER).await];

    for job in &endless {
        let pid = service.process_of(job.job(), 1).await;
        let started = Instant::now();
        gone(pid).await;
        let took = started.elapsed();
        println!(
            "{}: gone {took:?} after it was seen, with a limit of {limit:?}",
            job.header().subject.circuit
        );
        assert!(took < limit + Duration::from_secs(5), "the process lived for {took:?}");
        comes_to(&lab, job, Code::Timeout).await;
        assert_eq!(service.pids_of(job.job()).len(), 1, "tried again");
    }
    assert_eq!(lab.answer_to(&neighbour).await.code(), Code::Ok);
    assert_eq!(service.pids_of(neighbour.job()).len(), 1, "the neighbour was disturbed");
    assert_eq!(service.metric("sealprove_process_exits_total", &[("cause", "timed_out")]), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_before_the_limit_ends_a_proof_too() {
    let lab = Setup::rogue().limited(SLEEPS, "10m").start().await;
    let service = lab.service().await;
    let witness = json!({ "ms": FOR_EVER }).to_string();
    let job = kit::RawJob::seal_as(&lab.bundle(), SLEEPS, witness.as_bytes(), |header| {
        header.expires = UnixSeconds(kit::unix_now() + 3);
    });
    job.publish(&lab.nats.connect().await).await.unwrap();

    assert_eq!(lab.stored_answer(&job.id).await.code(), Code::Expired);
    gone(service.pids_of(&job.id)[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_process_is_killed_is_proved_again_and_answered_once() {
    let (lab, service, job, first) = proving(Setup::rogue(), 3000).await;

    service.kill_process_of(job.job()).await;

    answered_once(&lab, &job).await;
    let pids = service.pids_of(job.job());
    assert_eq!((pids.len(), pids[0]), (2, first));
    assert_eq!(service.metric("sealprove_process_exits_total", &[("cause", "killed")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_chamber_is_killed_is_proved_by_the_next_one() {
    let (lab, service, job, first) = proving(Setup::rogue(), 3000).await;

    let chamber = service.kill_chamber();
    gone(chamber).await;
    gone(first).await;

    answered_once(&lab, &job).await;
    assert_ne!(service.chamber(), chamber);
    assert_eq!(service.metric("sealprove_chamber_starts_total", &[]), 2.0);
    assert_eq!(service.pids_of(job.job()).len(), 2);
}

/// In a container no other process reaps it: the first process there is the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_process_whose_chamber_is_killed_is_reaped() {
    // Orphans come to this process, which reaps none, unless a nearer process adopts them.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let (_lab, service, _job, first) = proving(Setup::rogue(), 3000).await;

    service.kill_chamber();

    let entry = format!("/proc/{first}");
    eventually("the job's process is reaped", async || (!Path::new(&entry).exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_chamber_is_not_ready() {
    let lab = Setup::rogue().limited(SLEEPS, "1m").start().await;
    let service = lab.service().await;
    let mut killed = service.kill_chamber();
    // A chamber of these circuits is back in a moment: a test that misses that moment makes another.
    eventually("the service is not ready", async || {
        let (status, reason) = service.get("/readyz");
        if let [chamber] = service.chambers()[..]
            && chamber != killed
        {
            killed = service.kill_chamber();
        }
        (status == 503).then(|| assert!(reason.contains("the chamber"), "{reason}"))
    })
    .await;
    service.becomes_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_service_crashes_is_proved_by_another_and_leaves_no_process_behind() {
    let (lab, service, job, first) = proving(Setup::rogue().ack_wait("3s"), 3000).await;
    let chamber = service.chamber();

    service.crash();
    let other = lab.service().await;

    gone(first).await;
    gone(chamber).await;
    answered_once(&lab, &job).await;
    assert_eq!(other.pids_of(job.job()).len(), 1);
    assert_eq!(other.metric("sealprove_deliveries_total", &[("attempt", "2")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_service_finishes_its_proof_and_takes_no_other() {
    let (lab, service, job, pid) = proving(Setup::rogue(), 3000).await;

    service.terminate();
    service.logs(&["stopping: no new jobs"]).await;
    let late = submit(&lab, SLEEPS, 10).await;

    assert_eq!(service.exit_code().await, 0);
    assert!(!is_alive(pid));
    assert_eq!(lab.answer_to(&job).await.code(), Code::Ok);
    assert_eq!(service.pids_of(job.job()).len(), 1);
    assert_eq!(service.pids_of(late.job()).len(), 0);
    assert_eq!(lab.jobs_left().await, 1, "the late job waits for another service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_beyond_the_grace_period_is_handed_to_another_service_at_once() {
    let (lab, service, job, pid) = proving(Setup::rogue().grace("1s"), 6000).await;
    let other = lab.service().await;

    service.terminate();
    assert_eq!(service.exit_code().await, 0);
    let stopped = Instant::now();
    gone(pid).await;
    other.process_of(job.job(), 1).await;

    let took = stopped.elapsed();
    println!("handed over within {took:?} of the end of the first service");
    assert!(took < Duration::from_secs(15), "only its lease had run out: {took:?}");
    answered_once(&lab, &job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_service_stops_at_once() {
    let (_lab, service) = Lab::with_service().await;
    let chamber = service.chamber();
    let told = Instant::now();
    service.terminate();
    assert_eq!(service.exit_code().await, 0);
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    assert!(!is_alive(chamber));
}

/// A service that was started a moment ago and whose chamber builds keys for seconds; the chamber, and the
/// folder of its socket.
async fn building() -> (Lab, Service, i32, PathBuf) {
    let lab = Setup::new().circuit("zcash-pczt-v1").start().await;
    let service = lab.service_starting();
    let (chamber, folder) = eventually("the service has a chamber", async || {
        let [chamber] = service.chambers()[..] else { return None };
        let command = std::fs::read_to_string(format!("/proc/{chamber}/cmdline")).ok()?;
        let socket = command.split('\0').skip_while(|argument| *argument != "--listen").nth(1)?;
        Some((chamber, Path::new(socket).parent()?.to_owned()))
    })
    .await;
    // It has begun to look out by now, and not finished building.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(folder.exists() && is_alive(chamber) && service.get("/readyz").0 == 503);
    (lab, service, chamber, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chamber_whose_service_is_killed_while_it_builds_keys_leaves_nothing_behind() {
    let (_lab, service, chamber, folder) = building().await;
    let killed = Instant::now();

    service.crash();
    gone(chamber).await;

    println!("the chamber was gone {:?} after its service", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(2), "it went on building: {:?}", killed.elapsed());
    // The launcher clears up once it has reaped its chamber.
    eventually("the folder is gone", async || (!folder.exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_stopped_while_building_keys_stops_at_once() {
    let (_lab, service, chamber, folder) = building().await;
    let told = Instant::now();

    service.terminate();
    assert_eq!(service.exit_code().await, 0);

    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert!(!is_alive(chamber) && !folder.exists());
    assert!(!service.log().contains("did not end in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_crashes_its_process_twice_is_answered_and_its_secret_leaks_nowhere() {
    let crashes =
        [("panics-v1", "panicked"), ("aborts-v1", "aborted"), ("overflows-v1", "aborted"), ("exits-v1", "")];
    let setup = crashes.iter().fold(Setup::rogue(), |setup, (circuit, _)| setup.circuit(circuit));
    let lab = setup.circuit("lies-v1").circuit("refuses-v1").circuit(SLEEPS).start().await;
    let service = lab.service().await;

    for (circuit, cause) in crashes {
        let job = submit(&lab, circuit, 0).await;
        comes_to(&lab, &job, Code::ProofGenerationFailed).await;
        assert_eq!(service.pids_of(job.job()).len(), 2, "{circuit}");
        if !cause.is_empty() {
            assert!(service.metric("sealprove_process_exits_total", &[("cause", cause)]) >= 2.0, "{circuit}");
        }
    }
    for (circuit, code) in [("lies-v1", Code::ProofGenerationFailed), ("refuses-v1", Code::InvalidWitness)] {
        let job = submit(&lab, circuit, 0).await;
        assert_eq!(lab.answer_to(&job).await.code(), code, "{circuit}");
        assert_eq!(service.pids_of(job.job()).len(), 1, "{circuit}");
    }
    assert_eq!(lab.answer_to(&submit(&lab, SLEEPS, 10).await).await.code(), Code::Ok);
    assert!(!service.log().contains("TOPSECRET"));
    assert_eq!(service.metric("sealprove_chamber_starts_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_reply_of_a_process_is_not_believed() {
    let lab = Setup::rogue().circuit("garbles-v1").circuit(SLEEPS).start().await;
    let service = lab.service().await;
    for mode in ["garbage", "half_frame", "huge_frame", "not_json", "frame_and_more"] {
        let job = lab.submit("garbles-v1", json!({ "mode": mode }).to_string().as_bytes()).await;
        comes_to(&lab, &job, Code::ProofGenerationFailed).await;
        assert_eq!(service.pids_of(job.job()).len(), 2, "{mode}");
    }
    assert_eq!(lab.answer_to(&submit(&lab, SLEEPS, 10).await).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_job_with_an_answer_is_acknowledged_and_not_proved() {
    let (lab, service) = Lab::with_service().await;
    let (job, client) = (lab.raw_job(), lab.nats.connect().await);
    job.publish(&client).await.unwrap();
    let answer = lab.stored_answer(&job.id).await;
    lab.all_acknowledged().await;

    job.publish(&client).await.unwrap();

    service.logs(&["the job has its answer already", job.id.as_str()]).await;
    lab.all_acknowledged().await;
    assert_eq!(service.pids_of(&job.id).len(), 1, "proved again");
    assert_eq!(lab.answers_stored().await, 1);
    assert_eq!(lab.stored_answer(&job.id).await.payload, answer.payload);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_that_prove_the_same_job_store_one_answer() {
    let (lab, slow, job, _) = proving(Setup::rogue().ack_wait("3s"), 2000).await;
    let other = lab.service().await;

    // It loses its lease while it is frozen, and wakes up with a proof that is not needed.
    slow.freeze();
    assert_eq!(lab.answer_to(&job).await.code(), Code::Ok);
    assert_eq!(other.pids_of(job.job()).len(), 1);
    slow.thaw();

    slow.metric_becomes("sealprove_answer_races_lost_total", &[], 1.0).await;
    answered_once(&lab, &job).await;
}
