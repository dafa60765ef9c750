//! Jobs that are damaged, lie, crash, take too much, or break out; and messages that are no jobs.

use std::collections::BTreeSet;

use sealprove::client::Ticket;
use serde_json::json;

use super::submit;
use crate::kit::{Lab, RawJob, Setup};
use crate::service::prometheus::server::Prometheus;

const BREAKS: &str = "breaks-v1";
const SPINS: &str = "spins-v1";
/// The memory limit of circuits that misbehave.
const LIMIT_BYTES: u64 = 64 << 20;
/// More than any alert of one kind of job lets pass.
const MANY: usize = 14;
const SOME: usize = 6;

pub(super) async fn play() -> BTreeSet<String> {
    let setup =
        Setup::rogue().circuit("panics-v1").circuit("lies-v1").limited(BREAKS, "1m").limited(SPINS, "500ms");
    let lab = setup.slots(2).start().await;
    let service = lab.service().await;
    let prometheus = Prometheus::start(&[&service]).await;

    many(&lab, SOME, async || submit(&lab, "panics-v1", json!({})).await).await;
    prometheus.has_fired(&["SealproveProcessesCrash", "SealproveJobsFail"]).await;
    many(&lab, SOME, async || submit(&lab, "lies-v1", json!({})).await).await;
    prometheus.has_fired(&["SealproveProofsFail"]).await;
    let greedy = json!({ "attempt": "take all at once", "bytes": LIMIT_BYTES });
    many(&lab, SOME, async || submit(&lab, BREAKS, greedy.clone()).await).await;
    prometheus.has_fired(&["SealproveOutOfMemory"]).await;
    many(&lab, SOME, async || submit(&lab, SPINS, json!({ "ms": 60_000 })).await).await;
    prometheus.has_fired(&["SealproveTimedOut"]).await;
    let outcome = submit(&lab, BREAKS, json!({ "attempt": "open a file" })).await;
    lab.outcome_of(&outcome).await;
    prometheus.has_fired(&["SealproveRuleBroken"]).await;

    let damaged = |job: RawJob| job.flipped(40);
    let unknown = |job: RawJob| job.header("Sealprove-Key", &"0".repeat(32));
    let plain = |job: RawJob| job.payload(b"{\"secret\": 1}".to_vec());
    let stray = |job: RawJob| job.token(5, "NOT_A_CIRCUIT");
    let spoilt: [(&dyn Fn(RawJob) -> RawJob, &str); 4] = [
        (&damaged, "SealproveSealsDoNotOpen"),
        (&unknown, "SealproveKeysNotHere"),
        (&plain, "SealprovePlaintextReceived"),
        (&stray, "SealproveStrayMessages"),
    ];
    let client = lab.nats.connect().await;
    for (spoil, alert) in spoilt {
        for _ in 0..MANY {
            let job = RawJob::seal(&lab.bundle(), SPINS, b"{}");
            spoil(job).publish(&client).await.expect("the broker takes it");
        }
        prometheus.has_fired(&[alert]).await;
    }
    prometheus.fired()
}

async fn many(lab: &Lab, count: usize, submit: impl AsyncFn() -> Ticket) {
    for _ in 0..count {
        lab.outcome_of(&submit().await).await;
    }
}
