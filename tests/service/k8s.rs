//! The manifests of Kubernetes, held against a real broker and a real service: pages, streams and consumers, memory.

use std::collections::BTreeSet;

use sealprove::circuit::Circuits;

use crate::kit::manifests::{Overlay, in_memory, list, memory, text};
use crate::kit::{Lab, Setup, THRESHOLD};

/// The pages that are asked for are asked for here, of a service.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_that_probes_and_prometheus_request_is_served() {
    let (_lab, service) = Lab::with_service().await;
    let mut asked = BTreeSet::new();
    for overlay in Overlay::all() {
        let container = overlay.service();
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["port"], "admin", "{}: {probe}", overlay.name);
            asked.insert(text(&get["path"]).to_owned());
        }
        let monitors = overlay.of_kind("PodMonitor");
        asked.extend(
            monitors.iter().map(|one| text(&one["spec"]["podMetricsEndpoints"][0]["path"]).to_owned()),
        );
    }
    assert_eq!(asked, BTreeSet::from(["/livez", "/readyz", "/metrics"].map(str::to_owned)));
    for path in asked {
        let (status, page) = service.get(&path);
        assert_eq!(status, 200, "{path}: {page}");
    }
}

/// Names of streams and consumers are asked of a real broker, after `sealprove streams apply`.
#[tokio::test(flavor = "multi_thread")]
async fn the_autoscaler_reads_existing_consumers() {
    let lab = Setup::new().start().await;
    let mut triggers = 0;
    for overlay in Overlay::all() {
        let slots = overlay.config().service.slots.to_string();
        for scaled in overlay.of_kind("ScaledObject") {
            assert_eq!(scaled["spec"]["scaleTargetRef"]["name"], "sealprove");
            let modifiers = &scaled["spec"]["advanced"]["scalingModifiers"];
            assert_eq!(modifiers["target"], slots.as_str(), "jobs a pod are its slots");
            for trigger in list(&scaled["spec"]["triggers"]) {
                let (stream, consumer) =
                    (text(&trigger["metadata"]["stream"]), text(&trigger["metadata"]["consumer"]));
                let found = lab.stream(stream).await.consumer_info(consumer).await;
                assert_eq!(found.expect("a consumer").config.durable_name.as_deref(), Some(consumer));
                let formula = text(&modifiers["formula"]);
                assert!(formula.contains(text(&trigger["name"])), "{formula} leaves {consumer} out");
                triggers += 1;
            }
            assert!(overlay.one("Deployment", "sealprove")["spec"]["replicas"].is_null(), "two say how many");
        }
    }
    assert_eq!(triggers, 3);
}

/// The service does the sum, with a chamber that has really built the keys of all circuits: it is told of far
/// too little memory, and says how much it needs.
#[tokio::test(flavor = "multi_thread")]
async fn the_memory_limit_fits_all_slots_at_their_ceilings_and_little_more() {
    let mut setup = Setup::new();
    for (id, _) in Circuits::built_in().iter().filter(|(id, _)| id.as_str() != THRESHOLD) {
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

/// Returns the memory that a service with this overlay's slots, threads and limits says it needs, in bytes, rounded up.
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
