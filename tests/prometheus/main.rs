//! Metrics, alerts and the dashboard in a real Prometheus, which reads real services every second: behind every
//! expression there are data, on an ordinary day no alert fires, and every alert fires once what it is for has really
//! happened. Nothing is faked but one clock, which has to be wrong.
//!
//! A minute of the rules is a second here; `faster` says how.
//!
//! It needs Prometheus; `make monitoring` fetches it and starts this. `cargo test` does not: it exits with 0 and says
//! so. Otherwise it exits with 0 where everything held, and panics where not.

mod expressions;
mod faster;
mod scenes;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};
use std::time::Instant;

use server::tool;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "prometheus") {
        println!("prometheus: NOT TRIED with the other tests: it needs Prometheus, run `make monitoring`");
        return ExitCode::SUCCESS;
    }
    check_rules();
    let only = arguments.iter().find(|argument| *argument != "prometheus");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(run(only.map(String::as_str)));
    ExitCode::SUCCESS
}

/// What promtool says of rules and their cases.
fn check_rules() {
    for arguments in
        [["check", "rules", "monitoring/alerts.yaml"], ["test", "rules", "monitoring/alerts_test.yaml"]]
    {
        let mut command = Command::new(tool("promtool"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        support::Ran::of(&mut command, b"").exits(0);
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
