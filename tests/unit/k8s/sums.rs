//! Memory and time: what the manifests grant is what the service needs, as it says itself.

use std::time::Duration;

use sealprove::circuit::Circuits;

use crate::kit::manifests::{Overlay, list, number};

/// Time that a service adds to its grace period before it has ended: jobs are handed back for 10 s, chamber and
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
fn a_stopping_pod_finishes_its_longest_proof() {
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
