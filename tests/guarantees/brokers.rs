//! Brokers that are absent, empty, wrong or restarted, and bundles that promise too much.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use sealprove::protocol::Code;

use super::survival::{SLEEPS, answered_once, proving, submit};
use crate::kit::{Lab, Nats, Setup, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_an_absent_broker_and_says_so() {
    let jetstream = "jetstream { store_dir: \"FOLDER/jetstream\" }";
    let mut lab = Setup::new().without_streams().at(Nats::stopped(jetstream));
    let service = lab.service_starting();

    service.logs(&["WARN", "the broker cannot be reached; is nats-server running there?"]).await;
    let (status, reason) = service.get("/readyz");
    assert_eq!((status, reason.contains("the broker does not answer")), (503, true), "{reason}");
    assert_eq!(service.get("/livez").0, 200);

    lab.nats.restart().await;
    service.logs(&["ERROR", "stream PROVE_JOBS_default is missing; run `sealprove streams apply`"]).await;
    assert!(service.get("/readyz").1.contains("streams or consumers"));

    lab.streams("apply").exits(0);
    service.becomes_ready().await;
    answered_once(&lab, &lab.submit_good().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_jetstream_is_named_as_such() {
    let nats = Nats::start_exactly("").await;
    let mut lab = Setup::new().without_streams().at(nats);
    let service = lab.service_starting();
    service.logs(&["the broker has no JetStream for this account: start nats-server with `-js`"]).await;
    lab.streams("check").exits(5).says("start nats-server with `-js`");

    lab.nats.restart_with("jetstream { store_dir: \"FOLDER/jetstream\" }").await;
    lab.streams("apply").exits(0);
    service.becomes_ready().await;
    answered_once(&lab, &lab.submit_good().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differing_streams_are_named_with_the_remedy() {
    let lab = Setup::new().start().await;
    let context = lab.nats.jetstream().await;
    let config = lab.stream("PROVE_ANSWERS_default").await.cached_info().config.clone();
    let hour = Duration::from_secs(3600);
    context.update_stream(Config { max_age: hour, ..config }).await.unwrap();

    let differs = "stream PROVE_ANSWERS_default: max_age is 3600s, needs 172800s";
    let service = lab.service_starting();
    service.logs(&["ERROR", differs, "run `sealprove streams apply` with this configuration"]).await;
    assert_eq!(service.get("/readyz").0, 503);

    assert_eq!(lab.streams("check").exits(1).line(), differs);
    assert!(lab.streams("apply").exits(0).stdout.contains(&format!("mended: {differs}")));
    lab.streams("check").exits(0);
    service.becomes_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_restart_during_a_proof_loses_nothing() {
    let (mut lab, service, job, _) = proving(Setup::rogue(), 4000).await;
    let queued = submit(&lab, SLEEPS, 10).await;

    lab.nats.stop().await;
    eventually("the service notices", async || (service.get("/readyz").0 == 503).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    lab.nats.restart().await;

    assert_eq!(lab.answer_to(&job).await.code(), Code::Ok);
    assert_eq!(lab.answer_to(&queued).await.code(), Code::Ok);
    service.becomes_ready().await;
    lab.all_acknowledged().await;
    assert_eq!(lab.answers_stored().await, 2);
    assert_eq!(service.pids_of(job.job()).len(), 1, "the proof was made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_created_again() {
    let (lab, service) = Lab::with_service().await;
    let stream = lab.stream("PROVE_JOBS_default").await;
    stream.delete_consumer("standard").await.unwrap();

    answered_once(&lab, &lab.submit_good().await).await;
    assert!(service.metric("sealprove_broker_events_total", &[("event", "consumer_restored")]) >= 1.0);
    lab.streams("check").exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_promises_more_than_the_service_has_stops_it_with_the_reason() {
    let lab = Setup::new().start().await;
    // Signed for a key that was made, and then lost.
    lab.run(&["keys", "new", "--out", "more"]).exits(0);
    for file in std::fs::read_dir(lab.path("more")).unwrap().flatten() {
        if file.path().extension().unwrap() == "json" {
            std::fs::copy(file.path(), lab.path("keys").join(file.file_name())).unwrap();
        }
    }
    lab.sign(&[]).exits(0);
    let service = lab.service_starting();
    assert_eq!(service.exit_code().await, 1);
    assert!(service.log().contains("which this service does not have: deploy first, publish second"));
}
