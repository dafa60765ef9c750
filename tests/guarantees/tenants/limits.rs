//! Limits of a tenant: its circuits, its queue, its jobs in flight.

use std::time::{Duration, Instant};

use sealprove::client::{ClientError, Collected, SubmitOptions, Ticket};
use sealprove::protocol::Code;
use serde_json::json;

use super::deployment::tenant;
use crate::kit::{Lab, PATIENCE, Setup, eventually};

const SLEEPS: &str = "sleeps-v1";

async fn submit_as(lab: &Lab, name: &str, circuit: &str, ms: u64) -> Result<Ticket, ClientError> {
    let client = lab.client_as(|config| config.tenant = tenant(name)).await;
    let witness =
        if circuit == SLEEPS { json!({ "ms": ms }) } else { json!({ "behaves": true }) }.to_string();
    let options = SubmitOptions { patience: Duration::ZERO, ..SubmitOptions::default() };
    let sealed = client.seal(&lab.bundle(), &circuit.parse().unwrap(), witness.as_bytes(), &options)?;
    client.publish(&sealed, options.patience, |_, _| {}).await?;
    Ok(sealed.ticket)
}

async fn outcome(lab: &Lab, name: &str, ticket: &Ticket) -> Collected {
    let client = lab.client_as(|config| config.tenant = tenant(name)).await;
    tokio::time::timeout(PATIENCE, client.wait(ticket, |_| {})).await.expect("in time").expect("to ask")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_outside_a_tenants_list_is_not_authorized() {
    let tables = format!("[tenants.some]\ncircuits = [{SLEEPS:?}]\n[tenants.all]\n");
    let lab = Setup::rogue().limited(SLEEPS, "1m").circuit("panics-v1").tenants(&tables).start().await;
    let _service = lab.service().await;
    for (name, circuit, code) in [
        ("some", SLEEPS, Code::Ok),
        ("some", "panics-v1", Code::NotAuthorized),
        ("all", "panics-v1", Code::Ok),
    ] {
        let ticket = submit_as(&lab, name, circuit, 1).await.unwrap();
        let found = match outcome(&lab, name, &ticket).await {
            Collected::Answer(answer) => answer.code(),
            Collected::Unauthenticated(Some(code)) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, code, "{circuit} of {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_outside_the_bundle_is_refused_to_every_tenant() {
    let tables = "[tenants.some]\ncircuits = [\"absent-v1\"]\n";
    let lab = Setup::rogue().limited(SLEEPS, "1m").tenants(tables).start().await;
    let service = lab.service_starting();
    assert_eq!(service.exit_code().await, 1);
    assert!(service.log().contains("tenants.some.circuits names absent-v1"), "{}", service.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_queue_has_its_configured_length() {
    let lab =
        Setup::rogue().limited(SLEEPS, "1m").tenants("[tenants.short]\nqueued_max = 2\n[tenants.long]\n");
    let lab = lab.start().await;
    for _ in 0..2 {
        submit_as(&lab, "short", SLEEPS, 1).await.unwrap();
    }
    let refused = submit_as(&lab, "short", SLEEPS, 1).await.unwrap_err();
    assert!(matches!(refused, ClientError::QueueFull { .. }), "{refused}");
    for _ in 0..3 {
        submit_as(&lab, "long", SLEEPS, 1).await.unwrap();
    }
    let config = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    lab.write(
        "sealprove.toml",
        config.replace("queued_max = 2", "queued_max = 3\nin_flight_max = 7").as_bytes(),
    );
    let differs = lab.streams("check").exits(1);
    for part in
        ["stream PROVE_JOBS_short: max_msgs is Some(2), needs Some(3)", "max_ack_pending is 20000, needs 7"]
    {
        assert!(differs.stdout.contains(part), "{}", differs.stdout);
    }
    lab.streams("apply").exits(0);
    submit_as(&lab, "short", SLEEPS, 1).await.unwrap();
}

/// Returns the number of unacknowledged deliveries of a tenant's standard lane.
async fn in_flight(lab: &Lab, name: &str) -> usize {
    let stream = lab.stream(&format!("PROVE_JOBS_{name}")).await;
    stream.consumer_info("standard").await.expect("the consumer").num_ack_pending
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_at_its_limit_in_flight_delays_no_other() {
    let tables = "[tenants.held]\nin_flight_max = 2\n[tenants.other]\n";
    // Two services, so that it is the broker who holds the fleet to the limit.
    let lab = Setup::rogue().limited(SLEEPS, "1m").slots(2).tenants(tables).start().await;
    let _services = [lab.service().await, lab.service().await];
    let before = twenty_jobs(&lab).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(submit_as(&lab, "held", SLEEPS, 4000).await.unwrap());
    }
    eventually("it has in flight what it may", async || (in_flight(&lab, "held").await == 2).then_some(()))
        .await;

    let beside = twenty_jobs(&lab).await;
    println!(
        "20 jobs one after the other, the slowest: {before:?} alone, {beside:?} beside a tenant at its limit"
    );
    assert!(beside < before + Duration::from_secs(1), "a pull at the limit holds up the others");
    for ticket in &held {
        assert!(matches!(outcome(&lab, "held", ticket).await, Collected::Answer(_)));
    }
}

/// Has twenty jobs proved one after the other while no tenant exceeds its limit in flight, and returns how long the
/// slowest took.
async fn twenty_jobs(lab: &Lab) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let submitted = Instant::now();
        let ticket = submit_as(lab, "other", SLEEPS, 20).await.unwrap();
        assert!(matches!(outcome(lab, "other", &ticket).await, Collected::Answer(_)));
        slowest = slowest.max(submitted.elapsed());
        let held = in_flight(lab, "held").await;
        assert!(held <= 2, "{held} in flight");
    }
    slowest
}
