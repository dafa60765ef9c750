//! A job process seen from inside, while siblings run; and the chamber from outside.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use sealprove::frame::End;
use serde_json::{Value, json};

use super::harness::{Chamber, is_alive, report};
use crate::kit::rogue;

/// A user that owns nothing else.
const OTHER_USER: u32 = 65_534;

fn status_of(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect(name).trim().to_owned()
}

#[test]
fn a_chamber_has_one_thread_and_its_keys_are_locked() {
    let mut chamber = Chamber::start();
    assert_eq!(status_of(chamber.pid(), "Threads"), "1");
    assert_ne!(status_of(chamber.pid(), "VmLck"), "0 kB");
    // "lo": locked; "dd": not in a dump (proc_pid_smaps(5)); only root may look.
    if let Ok(maps) = fs::read_to_string(format!("/proc/{}/smaps", chamber.pid())) {
        let flags: Vec<_> = maps.lines().filter(|line| line.starts_with("VmFlags:")).collect();
        assert!(flags.iter().any(|flags| flags.contains(" lo") && flags.contains(" dd")), "{flags:?}");
    }
    chamber.prove("sleeps-v1", &json!({}));
    assert_eq!(status_of(chamber.pid(), "Threads"), "1");
}

/// The files of a process that is not dumpable belong to root (proc(5)). Only who is not root can tell.
#[test]
fn a_chamber_is_not_dumpable() {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && Command::new(rogue()).arg("--version").uid(OTHER_USER).output().is_err() {
        return eprintln!("the program lies where only root can run it: nothing was looked at");
    }
    let chamber = Chamber::start_with(1, |command, folder| {
        if is_root {
            for entry in [".", "keys", "log"] {
                chown(folder.join(entry), Some(OTHER_USER), None).unwrap();
            }
            for key in fs::read_dir(folder.join("keys")).unwrap() {
                chown(key.unwrap().path(), Some(OTHER_USER), None).unwrap();
            }
            command.uid(OTHER_USER);
        }
    });
    let owner = fs::metadata(format!("/proc/{}/stat", chamber.pid())).unwrap().uid();
    let runs_as = status_of(chamber.pid(), "Uid");
    assert!(!runs_as.starts_with("0\t"), "{runs_as}");
    assert_eq!(owner, 0);
}

fn probe(chamber: &mut Chamber, limit_ms: u64, threads: u32) -> Value {
    let mut job = chamber.job("probes-v1", &json!({}));
    (job.limit_ms, job.threads) = (limit_ms, threads);
    let mut sent = chamber.send(&job);
    let report = report(sent.answer().0);
    assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    report
}

#[test]
fn a_job_has_its_connection_and_the_standard_streams_alone() {
    let mut chamber = Chamber::unlocked();
    let siblings = [(); 3].map(|()| chamber.start_job("sleeps-v1", &json!({"ms": 60_000})));
    assert!(siblings.iter().all(|sibling| is_alive(chamber.pid_of(sibling.ticket))));
    // One that has not said its order yet, too.
    let silent = chamber.connect().unwrap();

    let report = probe(&mut chamber, 60_000, 1);

    let descriptors = report["descriptors"].as_object().unwrap();
    assert_eq!(descriptors.keys().collect::<Vec<_>>(), ["0", "1", "2"], "{descriptors:?}");
    let what = |number: &str| descriptors[number].as_str().unwrap();
    assert!(what("0").starts_with("socket:"), "{descriptors:?}");
    assert_eq!(what("1"), "/dev/null");
    assert!(what("2").ends_with("/log"));
    // Descriptor 0 of the chamber is its control connection; only root may look.
    if let Ok(control) = fs::read_link(format!("/proc/{}/fd/0", chamber.pid())) {
        assert_ne!(what("0"), control.to_str().unwrap());
    }
    drop((siblings, silent));
}

#[test]
fn a_job_can_neither_dump_core_nor_gain_privileges_and_opens_few_files() {
    let mut chamber = Chamber::unlocked();
    let report = probe(&mut chamber, 2_500, 2);
    assert_eq!(report["limits"]["Max core file size"], json!(["0", "0"]));
    assert_eq!(report["limits"]["Max open files"], json!(["16", "16"]));
    // Three seconds, begun, of two threads; and the slack of five.
    assert_eq!(report["limits"]["Max cpu time"], json!(["11", "12"]));
    assert_eq!(report["status"]["NoNewPrivs"], "1");
    assert_eq!(report["dumpable"], false);
    assert_eq!(report["environment"], 0);
    assert_eq!(report["nice"], 5);
}

/// Checking and proving share one decoded witness. The counter of the job process starts at 0: its chamber decodes
/// none.
#[test]
fn a_job_decodes_its_witness_once() {
    let mut chamber = Chamber::start();
    for _ in 0..2 {
        let (answer, end) = chamber.prove("counts-v1", &json!({}));
        assert_eq!(end, End::Answered);
        assert_eq!(report(answer), 1);
    }
}

#[test]
fn a_job_has_the_threads_of_its_order_and_is_a_child_of_the_chamber() {
    let mut chamber = Chamber::unlocked();
    for threads in [1, 2, 5] {
        let report = probe(&mut chamber, 60_000, threads);
        assert_eq!(report["threads"], 1 + threads);
        assert_eq!(report["parent"], chamber.pid());
    }
}
