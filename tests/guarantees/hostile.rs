//! A job that breaks a rule, as the service sees it: one alert, one final answer, and a chamber that is replaced
//! while its other jobs go on. What a job can try at all is in `tests/chamber/hostile.rs`.

use sealprove::client::{Collected, Ticket};
use sealprove::protocol::Code;
use serde_json::json;

use crate::kit::{Lab, Service, Setup, eventually, is_alive};

const BREAKS: &str = "breaks-v1";
const SLEEPS: &str = "sleeps-v1";
/// Longer than a chamber is at work before it is replaced, which is 30 seconds.
const LONG_MS: u64 = 45_000;
const SECRET: &str = "attack-at-dawn";

async fn submit(lab: &Lab, circuit: &str, witness: serde_json::Value) -> Ticket {
    lab.submit(circuit, witness.to_string().as_bytes()).await
}

fn violations(service: &Service) -> f64 {
    service.metric("sealprove_process_exits_total", &[("cause", "violation")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_job_is_answered_once_and_its_chamber_is_replaced_while_its_neighbour_continues() {
    let setup = Setup::rogue().limited(BREAKS, "1m").limited(SLEEPS, "2m").slots(3);
    let lab = setup.start().await;
    let service = lab.service().await;
    let first = service.chamber();
    let neighbour = submit(&lab, SLEEPS, json!({ "ms": LONG_MS })).await;
    service.process_of(neighbour.job(), 1).await;
    assert_eq!(violations(&service), 0.0);

    let job = submit(&lab, BREAKS, json!({ "attempt": "open a file", "secret": SECRET })).await;

    let outcome = lab.outcome_of(&job).await;
    let is_refused = matches!(outcome, Collected::Unauthenticated(Some(Code::ProofGenerationFailed)));
    assert!(is_refused, "{outcome:?}");
    assert_eq!(service.pids_of(job.job()).len(), 1, "tried again");
    assert_eq!(violations(&service), 1.0);
    let line = service.logs(&["ERROR", "a job process broke a rule of its sandbox", BREAKS]).await;
    assert!(line.contains(job.job().as_str()), "{line}");

    // Meanwhile jobs are taken as ever; then another chamber takes over, and the old one ends with its last.
    let soon = submit(&lab, SLEEPS, json!({ "ms": 10 })).await;
    assert_eq!(lab.answer_to(&soon).await.code(), Code::Ok);
    assert_eq!(service.chambers(), [first]);
    service.metric_becomes("sealprove_chamber_starts_total", &[], 2.0).await;
    assert!(is_alive(first), "the neighbour's chamber was not waited for");
    assert_eq!(lab.answer_to(&neighbour).await.code(), Code::Ok);
    assert_eq!(service.pids_of(neighbour.job()).len(), 1, "the neighbour was disturbed");

    eventually("the old chamber has ended", async || (!is_alive(first)).then_some(())).await;
    let late = submit(&lab, SLEEPS, json!({ "ms": 10 })).await;
    assert_eq!(lab.answer_to(&late).await.code(), Code::Ok);
    assert_ne!(service.chamber(), first);
    assert_eq!(violations(&service), 1.0);
    assert!(!service.log().contains(SECRET));
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_exhausts_its_memory_is_answered_and_its_neighbour_continues() {
    let lab = Setup::rogue().limited(BREAKS, "1m").limited(SLEEPS, "2m").slots(2).start().await;
    let service = lab.service().await;
    let chamber = service.chamber();
    let neighbour = submit(&lab, SLEEPS, json!({ "ms": 5000 })).await;
    service.process_of(neighbour.job(), 1).await;

    let ways = ["take all at once", "take a little often"];
    for attempt in ways {
        let job = submit(&lab, BREAKS, json!({ "attempt": attempt, "bytes": 64 << 20 })).await;
        let outcome = lab.outcome_of(&job).await;
        assert!(
            matches!(outcome, Collected::Unauthenticated(Some(Code::OutOfMemory))),
            "{attempt}: {outcome:?}"
        );
        assert_eq!(service.pids_of(job.job()).len(), 1, "{attempt}: tried again");
    }
    let within = submit(&lab, BREAKS, json!({ "attempt": "take what is granted", "bytes": 64 << 20 })).await;
    assert_eq!(lab.answer_to(&within).await.code(), Code::Ok);
    assert_eq!(lab.answer_to(&neighbour).await.code(), Code::Ok);
    assert_eq!(service.pids_of(neighbour.job()).len(), 1, "the neighbour was disturbed");
    assert_eq!(service.metric("sealprove_process_exits_total", &[("cause", "out_of_memory")]), 2.0);
    assert_eq!((service.chamber(), violations(&service)), (chamber, 0.0));
}
