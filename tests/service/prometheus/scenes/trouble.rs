//! Jobs that are delivered again and again, or answered by another process; chambers that die, consumers that vanish.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::pull;
use futures_util::StreamExt;
use sealprove::client::Ticket;
use sealprove::protocol::Subjects;
use serde_json::json;

use super::submit;
use crate::kit::{Lab, Setup, eventually};
use crate::service::prometheus::server::Prometheus;

const SLEEPS: &str = "sleeps-v1";
/// As many as the consumers of a job stream allow.
const MAX_DELIVER: usize = 20;
/// Longer than a request for a job waits at the broker.
const PULL_EXPIRES: Duration = Duration::from_secs(3);
/// More than any alert here lets pass.
const SOME: usize = 8;

pub(super) async fn play() -> BTreeSet<String> {
    let lab = Setup::rogue().limited(SLEEPS, "15m").start().await;
    let service = lab.service().await;
    let prometheus = Prometheus::start(&[&service]).await;

    // While its only slot is taken, the service leaves other jobs alone, once its last request has run out.
    let blocks = submit(&lab, SLEEPS, json!({ "ms": 600_000 })).await;
    service.process_of(blocks.job(), 1).await;
    tokio::time::sleep(PULL_EXPIRES).await;
    submit(&lab, SLEEPS, json!({})).await;
    deliver(&lab, 1, MAX_DELIVER).await;
    for _ in 0..SOME {
        submit(&lab, SLEEPS, json!({})).await;
    }
    deliver(&lab, SOME, 3).await;
    answer(&lab, &blocks).await;
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
        crate::kit::kill(chamber, rustix::process::Signal::KILL);
        crate::kit::gone(chamber).await;
        service.becomes_ready().await;
    }
    prometheus.has_fired(&["SealproveChamberRestarts"]).await;
    prometheus.fired()
}

/// Takes so many queued jobs as often as this, and gives them back each time.
async fn deliver(lab: &Lab, jobs: usize, times: usize) {
    let stream = lab.stream("PROVE_JOBS_default").await;
    let consumer = stream.get_consumer::<pull::Config>("standard").await.expect("a consumer");
    for _ in 0..times {
        let mut taken = Vec::new();
        for _ in 0..jobs {
            let mut batch = consumer.fetch().max_messages(1).messages().await.expect("a batch");
            taken.push(batch.next().await.expect("a job is there").expect("a delivery"));
        }
        for message in taken {
            message.double_ack_with(AckKind::Nak(None)).await.expect("give it back");
        }
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
