//! Keys and a bundle that end soon, services that serve different bundles, one without locks, one with a wrong clock,
//! one whose audit log is stuck, and answers that fill their stream.

use std::collections::BTreeSet;
use std::path::PathBuf;

use async_nats::jetstream::stream::Config;

use crate::kit::{Lab, Service, Setup};
use crate::service::prometheus::server::Prometheus;

/// Error of the one clock: more than an alert lets pass, less than a service refuses.
const AHEAD: &str = "+20s";

pub(super) async fn play() -> BTreeSet<String> {
    let lab = Setup::new().start().await;
    // A minute is a second here: a quarter of an hour is fifteen hours, and two hours are five days.
    std::fs::remove_dir_all(lab.path("keys")).expect("remove the keys");
    lab.run(&["keys", "new", "--out", "keys", "--seal-for", "2h"]).exits(0);
    sign(&lab, 1);
    std::fs::copy(lab.path("bundle.json"), lab.path("older.json")).expect("keep the bundle");
    let configuration = String::from_utf8(lab.read("sealprove.toml")).expect("text");

    let older = configuration
        .replace("bundle.json", "older.json")
        .replace("[service]\n", "[service]\nsandbox = \"off\"\n");
    lab.write("sealprove.toml", older.as_bytes());
    let unlocked = lab.service().await;
    sign(&lab, 2);
    lab.write("sealprove.toml", configuration.as_bytes());
    let ahead = lab.service_starting_with(|command| {
        command.env("LD_PRELOAD", faketime()).env("FAKETIME", AHEAD).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    });
    ahead.becomes_ready().await;

    let prometheus = Prometheus::start(&[&unlocked, &ahead]).await;
    prometheus.has_fired(&["SealproveWithoutSeccomp", "SealproveWithoutLandlock"]).await;
    prometheus.has_fired(&["SealproveBundleEndsSoon", "SealproveBundleEnds", "SealproveKeysEndSoon"]).await;
    prometheus.has_fired(&["SealproveClocksApart", "SealproveBundlesDiffer"]).await;

    let silenced = without_output(&lab, &configuration).await;
    prometheus.reads(&[&unlocked, &ahead, &silenced]).await;
    prometheus.has_fired(&["SealproveAuditLogStuck"]).await;

    lab.answer_to(&lab.submit_good().await).await;
    let used = lab.stream("PROVE_ANSWERS_default").await.cached_info().state.bytes;
    fill(&lab, used).await;
    prometheus.has_fired(&["SealproveTenantsWithoutRoom", "SealproveAnswersFill"]).await;
    prometheus.fired()
}

fn sign(lab: &Lab, serial: u64) {
    lab.sign(&["--valid-for", "15m", "--serial", &serial.to_string()]).exits(0);
}

/// A service whose audit log goes to a device that is always full.
async fn without_output(lab: &Lab, configuration: &str) -> Service {
    lab.write("sealprove.toml", format!("{configuration}[audit]\nto = \"stdout\"\n").as_bytes());
    std::os::unix::fs::symlink("/dev/full", lab.path("silenced.out")).expect("link the device");
    let mut command = lab.command();
    let service =
        Service::start(command.args(["serve", "--config", "sealprove.toml"]), lab.path("silenced.log"));
    service.becomes_ready().await;
    service
}

/// Leaves hardly any room in the answer stream beyond what is used.
async fn fill(lab: &Lab, used: u64) {
    let context = lab.nats.jetstream().await;
    let config = lab.stream("PROVE_ANSWERS_default").await.cached_info().config.clone();
    let max_bytes = i64::try_from(used).expect("a size") + 64;
    context.update_stream(Config { max_bytes, ..config }).await.expect("update the stream");
}

/// Returns the library that makes a clock wrong.
fn faketime() -> PathBuf {
    let program = crate::service::prometheus::server::tool("prometheus");
    let folder = program.ancestors().nth(2).expect("a folder").join("lib");
    let triplets = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let found =
        triplets.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{} has no libfaketime; `make monitoring` installs it", folder.display()))
}
