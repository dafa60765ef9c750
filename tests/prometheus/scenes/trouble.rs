//! Jobs that are delivered again and again, or answered by somebody else; chambers that die, consumers that vanish.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::pull;
use futures_util::StreamExt;
use sealprove::client::Ticket;
use sealprove::job::Subjects;
use serde_json::json;

use super::submit;
use crate::server::Prometheus;
use crate::support::{Lab, Setup, eventually};

const SLEEPS: &str = "sleeps-v1";
/// As many as the consumers of a job stream allow.
const MAX_DELIVER: usize = 20;
/// More than any alert here lets pass.
const SOME: usize = 8;

pub(super) async fn play() -> BTreeSet<String> {
    let lab = Setup::rogue().limited(SLEEPS, "15m").start().await;
    submit(&lab, SLEEPS, json!({})).await;
    deliver(&lab, 1, MAX_DELIVER).await;
    for _ in 0..SOME {
        submit(&lab, SLEEPS, json!({})).await;
    }
    deliver(&lab, SOME, 3).await;

    let service = lab.service().await;
    let prometheus = Prometheus::start().await;
    // What it has counted before it is first read is no increase: it is read while its first jobs go on.
    prometheus.reads(&[&service]).await;
    lab.all_acknowledged().await;
    for _ in 0..SOME {
        submit(&lab, SLEEPS, json!({ "ms": 5 })).await;
    }
    prometheus.has_fired(&["SealproveAttemptsExhausted", "SealproveRedeliveries"]).await;

    for _ in 0..SOME {
        let job = submit(&lab, SLEEPS, json!({ "ms": 600_000 })).await;
        service.process_of(job.job(), 1).await;
        answer(&lab, &job).await;
    }
    prometheus.has_fired(&["SealproveWorkThrownAway"]).await;

    lab.stream("PROVE_JOBS_default").await.delete_consumer("express").await.expect("delete a consumer");
    prometheus.has_fired(&["SealproveConsumersVanish"]).await;

    for _ in 0..SOME {
        let chamber = eventually("there is a chamber", async || service.chambers().first().copied()).await;
        crate::support::kill(chamber, rustix::process::Signal::KILL);
        crate::support::gone(chamber).await;
        service.becomes_ready().await;
    }
    prometheus.has_fired(&["SealproveChamberRestarts"]).await;
    prometheus.fired()
}

/// Takes the queued jobs as often as this, and gives them back each time.
async fn deliver(lab: &Lab, jobs: usize, times: usize) {
    let stream = lab.stream("PROVE_JOBS_default").await;
    let consumer = stream.get_consumer::<pull::Config>("standard").await.expect("a consumer");
    for _ in 0..times {
        let mut batch = consumer.fetch().max_messages(jobs).messages().await.expect("a batch");
        while let Some(message) = batch.next().await {
            message.expect("a delivery").ack_with(AckKind::Nak(None)).await.expect("give it back");
        }
        lab.nats.connect().await.flush().await.expect("flush");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The broker finds out that it may not deliver a message again when it is asked to.
    let mut batch = consumer.fetch().max_messages(1).messages().await.expect("a batch");
    while let Some(Ok(message)) = batch.next().await {
        message.ack_with(AckKind::Nak(None)).await.expect("give it back");
    }
}

/// Answers a job as another service would.
async fn answer(lab: &Lab, job: &Ticket) {
    let subject = Subjects::default().answer(&Default::default(), job.job());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Sealprove-Version", "1"),
        ("Sealprove-Outcome", "failed"),
        ("Sealprove-Code", "TIMEOUT"),
        ("Sealprove-Answer", "open"),
        ("Content-Type", "application/json"),
    ] {
        headers.insert(name, value);
    }
    let context = lab.nats.jetstream().await;
    let stored = context.publish_with_headers(subject, headers, "{}".into()).await.expect("publish");
    stored.await.expect("the answer is stored");
}
