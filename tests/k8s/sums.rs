//! Memory and time: what the manifests grant is what the service needs, as it says itself.

use std::time::Duration;

use sealprove::circuit::Circuits;

use crate::manifests::{Overlay, in_memory, list, memory, number};
use crate::support::{Lab, Setup};

/// What a service adds to its grace period before it has ended: jobs are handed back for 10 s, chamber and
/// launcher end within 5 s each.
const AFTER_GRACE: Duration = Duration::from_secs(20);

/// The longest that a proof of this overlay can take.
fn longest(overlay: &Overlay) -> Duration {
    let config = overlay.config();
    let circuits = Circuits::built_in();
    let limits = circuits.iter().map(|(id, circuit)| {
        let own = config.circuits.get(id).and_then(|own| own.time_limit);
        own.unwrap_or(circuit.descriptor().time_limit)
    });
    limits.max().expect("circuits")
}

#[test]
fn a_pod_that_is_told_to_stop_finishes_its_longest_proof() {
    for overlay in Overlay::all() {
        let grace = overlay.config().service.grace;
        let until_killed =
            Duration::from_secs(number(&overlay.service_pod()["terminationGracePeriodSeconds"]));
        let longest = longest(&overlay);
        assert!(grace > longest, "{}: a grace of {grace:?} for proofs of {longest:?}", overlay.name);
        assert!(
            until_killed > longest + grace + AFTER_GRACE,
            "{}: killed after {until_killed:?}",
            overlay.name
        );
    }
}

/// So the next pod is told to go when the one before has gone.
#[test]
fn pods_go_one_at_a_time() {
    let overlay = Overlay::rendered("production");
    let until_killed = number(&overlay.service_pod()["terminationGracePeriodSeconds"]);
    let scaled = overlay.one("ScaledObject", "sealprove");
    let down = &scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"];
    let [policy] = list(&down["policies"]) else { panic!("one policy: {down}") };
    assert_eq!((policy["type"].as_str(), number(&policy["value"])), (Some("Pods"), 1));
    assert!(number(&policy["periodSeconds"]) >= until_killed);
    assert!(number(&down["stabilizationWindowSeconds"]) >= until_killed);
}

/// The service does the sum, with a chamber that has really built the keys of all circuits: it is told of far
/// too little memory, and says how much it needs.
#[tokio::test(flavor = "multi_thread")]
async fn the_memory_limit_holds_all_slots_at_their_ceilings_and_little_more() {
    let mut setup = Setup::new();
    for (id, _) in Circuits::built_in().iter().filter(|(id, _)| id.as_str() != crate::support::THRESHOLD) {
        setup = setup.circuit(id.as_str());
    }
    let lab = setup.without_streams().start().await;
    for overlay in Overlay::all() {
        let needed = needed(&lab, &overlay);
        let limit = memory(&overlay.service()["resources"]["limits"]["memory"]);
        let granted = limit - in_memory(overlay.service_pod());
        assert!(needed <= granted, "{}: {needed} bytes are needed, {granted} granted", overlay.name);
        assert!(granted < needed / 4 * 5, "{}: {granted} bytes are granted for {needed}", overlay.name);
    }
}

/// What a service with this overlay's slots, threads and limits says that it needs, in bytes, rounded up.
fn needed(lab: &Lab, overlay: &Overlay) -> u64 {
    let folder = lab.folder().to_str().expect("a path in UTF-8");
    let mut config: toml::Table = overlay.configuration().parse().expect("the configuration");
    config["bundle"] = format!("{folder}/bundle.json").into();
    config["keys"] = format!("{folder}/keys").into();
    config["admin"]["listen"] = "127.0.0.1:0".into();
    config["nats"] = toml::Table::from_iter([("url".to_owned(), lab.nats.url().into())]).into();
    config["service"].as_table_mut().expect("a table").insert("memory".to_owned(), "256MiB".into());
    let file = lab.write("cluster.toml", toml::to_string(&config).expect("a configuration").as_bytes());
    let refused = lab.run(&["serve", "--config", &file]).exits(1);
    let sum = refused.stderr.split(" for the service are ").nth(1).and_then(|rest| rest.split(',').next());
    let sum = sum.unwrap_or_else(|| panic!("no sum: {}", refused.stderr));
    println!(
        "{}: {}",
        overlay.name,
        refused.stderr.lines().rfind(|line| line.contains(sum)).unwrap_or_default()
    );
    // It is shown in GiB with one decimal: what is hidden is less than half of the last one.
    let gib: f64 = sum.trim().strip_suffix(" GiB").and_then(|gib| gib.parse().ok()).expect("GiB");
    ((gib + 0.05) * f64::from(1 << 30)) as u64
}
