//! Cancelling: a queued job leaves its queue, a running proof dies, a late request hears so, and the client
//! always learns which.

use std::time::{Duration, Instant};

use sealprove::client::{Cancellation, ClientError, Collected, Ticket};
use sealprove::protocol::{CancelReply, Code, JobId};
use serde_json::json;

use crate::kit::{self, Lab, Service, Setup, eventually, gone, good_witness, is_alive};

const SLEEPS: &str = "sleeps-v1";
/// Number of proofs cancelled for the printed figure.
const ROUNDS: usize = 20;

async fn submit(lab: &Lab, ms: u64) -> Ticket {
    lab.submit(SLEEPS, json!({ "ms": ms }).to_string().as_bytes()).await
}

async fn lab(slots: usize) -> Lab {
    Setup::rogue().limited(SLEEPS, "15m").slots(slots).start().await
}

async fn is_cancelled(lab: &Lab, job: &Ticket) {
    let outcome = lab.outcome_of(job).await;
    assert!(matches!(outcome, Collected::Unauthenticated(Some(Code::Cancelled))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_proof_is_killed_and_its_neighbour_continues() {
    let lab = lab(2).await;
    let service = lab.service().await;
    let client = lab.client().await;
    let neighbour = submit(&lab, 30_000).await;
    let beside = service.process_of(neighbour.job(), 1).await;

    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let job = submit(&lab, 600_000).await;
        let pid = service.process_of(job.job(), 1).await;
        let asked = Instant::now();
        assert_eq!(client.cancel(job.job()).await.unwrap(), Cancellation::Cancelled);
        while is_alive(pid) {
            assert!(asked.elapsed() < Duration::from_secs(10), "the process lives on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(asked.elapsed());
        is_cancelled(&lab, &job).await;
        assert_eq!(service.pids_of(job.job()).len(), 1, "proved again");
    }
    took.sort();
    println!(
        "from the request until the process and its memory are gone: median of {ROUNDS} {:?}",
        took[ROUNDS / 2]
    );
    assert!(is_alive(beside), "the neighbour was disturbed");
    assert_eq!(service.metric("sealprove_cancels_total", &[("result", "cancelled")]), 20.0);
    assert_eq!(service.metric("sealprove_process_exits_total", &[("cause", "dropped")]), 20.0);
    assert_eq!(lab.answer_to(&neighbour).await.code(), Code::Ok);
    lab.all_acknowledged().await;
    let given_up = |winner| service.metric("sealprove_answer_races_lost_total", &[("winner", winner)]);
    assert_eq!((given_up("cancel"), given_up("service")), (20.0, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_killed_wherever_it_runs() {
    let lab = lab(1).await;
    let services = [lab.service().await, lab.service().await, lab.service().await];
    let jobs = [submit(&lab, 600_000).await, submit(&lab, 600_000).await, submit(&lab, 600_000).await];
    let mut pids = Vec::new();
    for job in &jobs {
        pids.push(eventually("the job is proved somewhere", async || pid_at(&services, job.job())).await);
    }
    let client = lab.client().await;
    for (job, pid) in jobs.iter().zip(pids) {
        assert_eq!(client.cancel(job.job()).await.unwrap(), Cancellation::Cancelled);
        gone(pid).await;
        is_cancelled(&lab, job).await;
    }
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 3);
}

fn pid_at(services: &[Service], job: &JobId) -> Option<i32> {
    services.iter().find_map(|service| service.pids_of(job).first().copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_job_leaves_its_queue_and_is_never_proved() {
    let lab = lab(1).await;
    let service = lab.service().await;
    let running = submit(&lab, 4_000).await;
    service.process_of(running.job(), 1).await;
    let queued = submit(&lab, 10).await;

    let client = lab.client().await;
    assert_eq!(client.cancel(queued.job()).await.unwrap(), Cancellation::Cancelled);
    assert_eq!(lab.jobs_left().await, 1, "only the running one is left");
    assert_eq!(client.cancel(queued.job()).await.unwrap(), Cancellation::Cancelled, "asked again");

    is_cancelled(&lab, &queued).await;
    assert_eq!(lab.answer_to(&running).await.code(), Code::Ok);
    assert_eq!(service.pids_of(queued.job()).len(), 0);
    assert_eq!(lab.answers_stored().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_request_is_told_of_the_answer_and_an_unknown_job_is_not_found() {
    let (lab, service) = Lab::with_service().await;
    let job = lab.submit_good().await;
    lab.answer_to(&job).await;
    let client = lab.client().await;

    assert_eq!(client.cancel(job.job()).await.unwrap(), Cancellation::Answered(Some(Code::Ok)));
    assert_eq!(client.cancel(&JobId::random()).await.unwrap(), Cancellation::NotFound);
    assert_eq!(lab.answer_to(&job).await.code(), Code::Ok, "its answer is as it was");
    assert_eq!(lab.answers_stored().await, 1, "nothing is written for a job that is not there");
    assert_eq!(service.metric("sealprove_cancels_total", &[("result", "not-found")]), 1.0);

    let raw = lab.nats.connect().await;
    for subject in ["prove.v1.cancel.default.short", "prove.v1.cancel.other.00112233445566778899aabbccddeeff"]
    {
        let reply = tokio::time::timeout(Duration::from_secs(2), raw.request(subject, "x".into())).await;
        if let Ok(Ok(reply)) = reply {
            kit::assert_valid("cancel-reply", &serde_json::from_slice(&reply.payload).unwrap());
            let reply: CancelReply = serde_json::from_slice(&reply.payload).unwrap();
            assert_eq!(reply.result.as_str(), "not-found", "{subject}");
        }
    }
    assert_eq!(service.get("/readyz").0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_nothing_is_cancelled_and_the_client_reports_it() {
    let lab = Setup::new().start().await;
    let error = {
        let client = lab.client().await;
        client.cancel(&JobId::random()).await.unwrap_err()
    };
    assert!(matches!(error, ClientError::NoService), "{error}");
    lab.run(&["cancel", JobId::random().as_str()]).exits(5).says("no service answers; is one running?");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cancel_command_reports_the_result_in_words_and_exit_code() {
    let lab = lab(1).await;
    let service = lab.service().await;
    let job = submit(&lab, 600_000).await;
    let pid = service.process_of(job.job(), 1).await;
    let ticket = lab.path("job.ticket");
    job.write(&ticket).unwrap();
    let ticket = ticket.to_str().unwrap();

    assert!(lab.run(&["cancel", ticket]).exits(0).stdout.contains("cancelled"));
    gone(pid).await;
    lab.run(&["answer", ticket]).exits(3).says("CANCELLED");
    assert_eq!(lab.run(&["cancel", job.job().as_str(), "--json"]).exits(0).json()["result"], "cancelled");

    let proved = submit(&lab, 1).await;
    lab.answer_to(&proved).await;
    let late = lab.run(&["cancel", proved.job().as_str()]).exits(3);
    assert!(late.stdout.contains("too late: it already has an answer (OK)"), "{}", late.stdout);
    let none = lab.run(&["cancel", JobId::random().as_str()]).exits(1);
    assert!(none.stdout.contains("no such job"), "{}", none.stdout);
    lab.run(&["cancel", "no-such-file"]).exits(1);
}

/// Races a cancel against the answer again and again: whichever wins, there is one answer, and the client was
/// told which.
#[tokio::test(flavor = "multi_thread")]
async fn a_race_between_cancel_and_proof_has_one_winner_for_both_sides() {
    let (lab, _service) = Lab::with_service().await;
    let client = lab.client().await;
    for round in 0..24 {
        let job = lab.submit(kit::THRESHOLD, &good_witness()).await;
        tokio::time::sleep(Duration::from_millis(12 * round)).await;
        let told = client.cancel(job.job()).await.unwrap();
        match lab.outcome_of(&job).await {
            Collected::Answer(answer) => {
                assert_eq!(
                    (answer.code(), told),
                    (Code::Ok, Cancellation::Answered(Some(Code::Ok))),
                    "{round}"
                );
            }
            Collected::Unauthenticated(Some(Code::Cancelled)) => assert_eq!(told, Cancellation::Cancelled),
            other => panic!("round {round}: {other:?}"),
        }
    }
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 24);
}
