//! The broker goes away under running jobs, comes back, and is restarted again and again; then no service is left.

use std::collections::BTreeSet;

use serde_json::json;

use super::submit;
use crate::kit::{Setup, eventually};
use crate::service::prometheus::server::Prometheus;

const SLEEPS: &str = "sleeps-v1";
const SLOTS: usize = 4;
/// Three connections, each lost so often.
const RESTARTS: usize = 6;

pub(super) async fn play() -> BTreeSet<String> {
    let setup = Setup::rogue().limited(SLEEPS, "15m").slots(SLOTS).ack_wait("4s");
    let mut lab = setup.start().await;
    let service = lab.service().await;
    let prometheus = Prometheus::start(&[&service]).await;
    for _ in 0..SLOTS {
        let job = submit(&lab, SLEEPS, json!({ "ms": 600_000 })).await;
        service.process_of(job.job(), 1).await;
    }
    lab.nats.stop().await;
    let away = ["SealproveBrokerAway", "SealproveNoneReady", "SealproveNotReady", "SealproveLeasesFail"];
    prometheus.has_fired(&away).await;

    for _ in 0..RESTARTS {
        let before = service.metric("sealprove_broker_events_total", &[("event", "connected")]);
        lab.nats.restart().await;
        eventually("the service has all of its connections again", async || {
            let now = service.metric("sealprove_broker_events_total", &[("event", "connected")]);
            (now >= before + 3.0).then_some(())
        })
        .await;
        lab.nats.stop().await;
    }
    prometheus.has_fired(&["SealproveBrokerUnsteady"]).await;
    service.crash();
    prometheus.reads(&[]).await;
    prometheus
        .finds("no service at all", "count(ALERTS{alertname=\"SealproveNoneReady\",alertstate=\"firing\"})")
        .await;
    prometheus.fired()
}
