//! The metrics of a real service: its series, and queues as it sees them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::kit::{Lab, Service, Setup, THRESHOLD, eventually};
use crate::unit::monitoring::page::{all, read};

const SLEEPS: &str = "sleeps-v1";

async fn is_so(service: &Service, name: &str, label: (&str, &str), waiting: f64, in_flight: f64) {
    service.metric_becomes(name, &[label, ("state", "waiting")], waiting).await;
    service.metric_becomes(name, &[label, ("state", "in_flight")], in_flight).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_are_counted_by_lane_and_by_named_tenant() {
    let lab = Setup::rogue().limited(SLEEPS, "15m").start().await;
    let configuration = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    let shown = configuration.replace("[admin]\n", "[admin]\ntenants = [\"default\"]\n");
    lab.write("sealprove.toml", shown.as_bytes());
    let service = lab.service().await;
    is_so(&service, "sealprove_queue_jobs", ("lane", "standard"), 0.0, 0.0).await;

    let first = lab.submit(SLEEPS, json!({ "ms": 600_000 }).to_string().as_bytes()).await;
    service.process_of(first.job(), 1).await;
    for _ in 0..3 {
        lab.submit(SLEEPS, b"{}").await;
    }

    is_so(&service, "sealprove_queue_jobs", ("lane", "standard"), 3.0, 1.0).await;
    is_so(&service, "sealprove_tenant_queue_jobs", ("tenant", "default"), 3.0, 1.0).await;
    assert_eq!(service.metric("sealprove_queue_jobs", &[("lane", "express")]), 0.0);
    let oldest = || {
        let by_tenant = service.metric("sealprove_tenant_queue_oldest_seconds", &[("tenant", "default")]);
        assert_eq!(service.metric("sealprove_queue_oldest_seconds", &[("lane", "express")]), 0.0);
        (service.metric("sealprove_queue_oldest_seconds", &[("lane", "standard")]), by_tenant)
    };
    let before = oldest();
    assert!(before.0 > 0.0 && before.1 > 0.0, "{before:?}");
    eventually("it grows older", async || {
        (oldest().0 > before.0 + 4.0 && oldest().1 > before.1 + 4.0).then_some(())
    })
    .await;

    lab.run(&["cancel", first.job().as_str()]);
    lab.all_acknowledged().await;
    is_so(&service, "sealprove_queue_jobs", ("lane", "standard"), 0.0, 0.0).await;
    service.metric_becomes("sealprove_queue_oldest_seconds", &[], 0.0).await;
    assert_eq!(service.metric("sealprove_queue_at_risk_jobs", &[]), 0.0);
}

/// Whatever happens in a service, no series comes that was not there, and none goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_the_same_series_after_jobs_as_before() {
    let (lab, service) = Lab::with_service().await;
    let series = || {
        let families = read(&service.get("/metrics").1);
        families.into_iter().map(|family| (family.name, family.series)).collect::<BTreeMap<_, _>>()
    };
    let before = series();
    lab.answer_to(&lab.submit_good().await).await;
    lab.answer_to(&lab.submit(THRESHOLD, b"{}").await).await;
    let stray = lab.raw_job().token(5, "other-v1");
    stray.publish(&lab.nats.connect().await).await.unwrap();
    lab.stored_answer(&stray.id).await;
    assert_eq!(series(), before);

    let of_service: BTreeSet<String> = before.into_keys().collect();
    let by_tenant = |name: &String| name.starts_with("sealprove_tenant_");
    let expected: BTreeSet<String> =
        all().into_iter().map(|family| family.name).filter(|name| !by_tenant(name)).collect();
    assert_eq!(of_service, expected, "without tenants that are shown, their metrics are not there");
}
