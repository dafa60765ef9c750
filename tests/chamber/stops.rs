//! Ends of connections: a job's, and the chamber's own.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sealprove::frame::End;
use sealprove::protocol::Code;
use serde_json::json;

use super::harness::{Chamber, is_alive, is_closed, wait_until};

#[test]
fn a_connection_ends_with_its_own_process_whatever_was_forked_before_and_after() {
    let mut chamber = Chamber::start();
    let before = chamber.start_job("sleeps-v1", &json!({"ms": 60_000}));
    let pid_before = chamber.pid_of(before.ticket);
    let mut between = chamber.start_job("sleeps-v1", &json!({"ms": 400}));
    chamber.pid_of(between.ticket);
    let after = chamber.start_job("sleeps-v1", &json!({"ms": 60_000}));
    let pid_after = chamber.pid_of(after.ticket);

    // Reads to the end of the connection.
    assert_eq!(between.answer().0.code(), Code::Ok);

    assert!(is_alive(pid_before) && is_alive(pid_after));
    assert_eq!(chamber.end_of(between.ticket), End::Answered);
    drop((before, after));
}

#[test]
fn an_idle_chamber_ends_when_its_control_connection_closes() {
    let mut chamber = Chamber::start();
    chamber.prove("sleeps-v1", &json!({}));
    assert!(chamber.is_running());
    chamber.close_control();
    assert!(chamber.wait().success());
}

#[test]
fn a_stopping_chamber_finishes_its_last_job_and_takes_no_other() {
    let mut chamber = Chamber::start();
    let mut last = chamber.start_job("sleeps-v1", &json!({"ms": 1000}));
    let pid = chamber.pid_of(last.ticket);
    // One that has not said its order is not a job yet.
    let mut silent = chamber.connect().unwrap();

    chamber.close_control();

    assert!(is_closed(&mut silent));
    wait_until("the door closes", || chamber.connect().is_err().then_some(()));
    assert!(is_alive(pid) && chamber.is_running());
    assert_eq!(last.answer().0.code(), Code::Ok);
    assert!(chamber.wait().success());
    assert!(!is_alive(pid));
}

const STOP_SIGNALS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];

/// A terminal and a supervisor send their signals to the whole group.
#[test]
fn a_chamber_ignores_stop_signals_and_ends_with_its_service() {
    let mut chamber = Chamber::start();
    let mut job = chamber.start_job("sleeps-v1", &json!({"ms": 500}));
    let processes = [chamber.pid_of(job.ticket), chamber.pid().cast_signed()];
    for (pid, signal) in processes.into_iter().flat_map(|pid| STOP_SIGNALS.map(|signal| (pid, signal))) {
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
    assert_eq!(job.answer().0.code(), Code::Ok);
    assert_eq!(chamber.end_of(job.ticket), End::Answered);
    chamber.close_control();
    assert!(chamber.wait().success());
}

#[test]
fn when_the_service_dies_its_jobs_are_killed_and_the_chamber_ends() {
    let mut chamber = Chamber::start();
    let jobs = ["sleeps-v1", "spins-v1", "hides-v1"]
        .map(|circuit| chamber.start_job(circuit, &json!({"ms": 60_000})));
    let pids = jobs.each_ref().map(|job| chamber.pid_of(job.ticket));
    let died = Instant::now();

    drop(jobs);
    chamber.close_control();

    assert!(chamber.wait().success());
    println!("the chamber ended {:?} after its service", died.elapsed());
    assert!(died.elapsed() < Duration::from_secs(10));
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn no_job_keeps_the_control_connection_open() {
    let mut chamber = Chamber::start();
    let job = chamber.start_job("hides-v1", &json!({}));
    let pid = chamber.pid_of(job.ticket);
    let held = |pid: u32| {
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let links = folder.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.collect::<Vec<_>>()
    };
    // Only root may look into processes that are not dumpable.
    if let Ok(control) = std::fs::read_link(format!("/proc/{}/fd/0", chamber.pid())) {
        let pid = pid.cast_unsigned();
        assert!(held(chamber.pid()).contains(&control));
        wait_until("the job closes it", || (!held(pid).contains(&control)).then_some(()));
    }

    chamber.kill_hard();
    assert!(chamber.control_has_ended());
}
