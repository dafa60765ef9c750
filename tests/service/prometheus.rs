//! Metrics, alerts and the dashboard in a real Prometheus, which reads real services every second: behind every
//! expression there are data, on an ordinary day no alert fires, and every alert fires once what it is for has really
//! happened. Nothing is faked but one clock, which has to be wrong.
//!
//! A minute of the rules is a second here; `faster` says how.
//!
//! It needs Prometheus; `make monitoring` fetches it and starts this, with `SCENE=name` one scene alone.

mod expressions;
mod faster;
mod scenes;
mod server;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use crate::kit::Ran;

use server::tool;

#[tokio::test]
#[ignore = "needs Prometheus: make monitoring"]
async fn every_alert_fires_when_its_cause_is_real() {
    check_rules();
    run(std::env::var("SCENE").ok().as_deref()).await;
}

/// Has promtool check the rules and their cases.
fn check_rules() {
    for arguments in
        [["check", "rules", "monitoring/alerts.yaml"], ["test", "rules", "monitoring/alerts_test.yaml"]]
    {
        let mut command = Command::new(tool("promtool"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        Ran::run(&mut command, b"").exits(0);
        println!("prometheus: promtool {}: in order", arguments.join(" "));
    }
}

/// Every scene, or one alone; with all of them, every alert has fired.
async fn run(only: Option<&str>) {
    let mut fired = BTreeSet::new();
    for (name, scene) in scenes::all() {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let started = Instant::now();
        let in_scene = scene.await;
        println!("prometheus: {name}: {} s, fired: {}", started.elapsed().as_secs(), join(&in_scene));
        fired.extend(in_scene);
    }
    let silent: BTreeSet<String> =
        expressions::alerts().into_iter().filter(|name| !fired.contains(name)).collect();
    assert!(only.is_some() || silent.is_empty(), "never fired: {}", join(&silent));
    println!("prometheus: {} alerts have fired", fired.len());
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
