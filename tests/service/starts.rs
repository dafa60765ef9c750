//! Readiness of a service, and refusals at its start.

use std::process::Command;

use crate::kit::{Lab, Ran, Setup, sealprove};

/// Starts a service with one more line of configuration, and expects it to refuse.
#[track_caller]
fn refuses(lab: &Lab, table: &str, line: &str) -> Ran {
    let config = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    let changed = config.replace(table, &format!("{table}\n{line}"));
    assert_ne!(config, changed);
    let file = lab.write("changed.toml", changed.as_bytes());
    lab.run(&["serve", "--config", &file]).exits(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_beyond_the_memory_are_refused_with_the_sum() {
    let lab = Setup::new().slots(40).start().await;
    let refused = refuses(&lab, "[service]", "memory = \"1GiB\"");
    for part in
        ["41 jobs (40 slots and a self-test)", "32.0 MiB of the largest circuit's ceiling", "2 chambers"]
    {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    refused.says("and there are 1.0 GiB").says("lower service.slots or a circuit's memory_limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_that_fails_its_self_test_is_not_served() {
    let lab = Setup::new().start().await;
    let table = "[circuits.threshold-v1]";
    refuses(&lab, table, "time_limit = \"10ms\"")
        .says("the self-test of threshold-v1: job process ended: timed_out")
        .says("raise time_limit under [circuits.threshold-v1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_service_has_just_made_a_proof() {
    let lab = Setup::new().start().await;
    let service = lab.service().await;
    let passed = service.logs(&["self-test passed", "threshold-v1"]).await;
    let passed: serde_json::Value = serde_json::from_str(&passed).unwrap();
    assert!(passed["peak_bytes"].as_u64().unwrap() > 1 << 20, "{passed}");
    let labels = [("circuit", "threshold-v1"), ("witness", "smallest")];
    assert!(service.metric("sealprove_self_test_seconds", &labels) > 0.0);
    for process in ["service", "chamber"] {
        let lock = |lock| service.metric("sealprove_locks", &[("process", process), ("lock", lock)]);
        assert_eq!(lock("seccomp"), 1.0);
    }
}

/// Parts of Landlock that this kernel lacks are reported, and do not fail the test.
#[test]
fn the_doctor_tries_every_lock() {
    let ran = Ran::run(Command::new(sealprove()).arg("doctor"), b"");
    println!("{}", ran.stdout);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.len() >= 17, "{}", ran.stderr);
    let missing: Vec<_> = lines.iter().filter(|line| !line.contains(" in force ")).collect();
    assert!(
        missing.iter().all(|line| line.contains("Landlock") || line.starts_with("service")),
        "{missing:?}"
    );
    assert_eq!(ran.code, i32::from(!missing.is_empty()));
    for attempt in ["open a file", "connect by TCP", "start a program", "take more memory than granted"] {
        assert!(lines.iter().any(|line| line.starts_with("job") && line.contains(attempt)), "{attempt}");
    }
}
