//! Jobs that do not end well: each ends alone, and says how.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sealprove::frame::{End, FrameError};
use sealprove::protocol::Code;
use serde_json::{Value, json};

use super::harness::{Chamber, NoFrame, Sent, is_alive, wait_until};

/// Time after its limit by which a process is dead, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

#[track_caller]
fn ends_so(circuit: &str, witness: &Value, end: End, frame: NoFrame) -> Chamber {
    let mut chamber = Chamber::start();
    let mut sent = chamber.start_job(circuit, witness);
    assert_eq!(sent.reply().unwrap_err(), frame);
    assert_eq!(chamber.end_of(sent.ticket), end);
    // Whatever it was, the next job is answered.
    assert_eq!(chamber.prove("sleeps-v1", &json!({})).1, End::Answered);
    chamber
}

#[track_caller]
fn is_killed_at_its_limit(circuit: &str) {
    const LIMIT: Duration = Duration::from_millis(400);
    let mut chamber = Chamber::start();
    let mut neighbour = chamber.start_job("sleeps-v1", &json!({"ms": 1500}));
    let mut job = chamber.job(circuit, &json!({"ms": 60_000}));
    job.limit_ms = 400;
    let started = Instant::now();
    let mut sent = chamber.send(&job);
    let pid = chamber.pid_of(sent.ticket);

    assert_eq!(sent.reply().unwrap_err(), NoFrame::End);

    assert_eq!(chamber.end_of(sent.ticket), End::TimedOut);
    let late = started.elapsed().saturating_sub(LIMIT);
    println!("{circuit}: dead {late:?} after its limit");
    assert!(started.elapsed() >= LIMIT && late < SLACK, "{late:?}");
    assert!(!is_alive(pid));
    assert_eq!(neighbour.answer().0.code(), Code::Ok);
    assert_eq!(chamber.end_of(neighbour.ticket), End::Answered);
}

#[test]
fn a_sleeping_job_is_killed_at_its_limit_and_its_neighbour_continues() {
    is_killed_at_its_limit("sleeps-v1");
}

#[test]
fn a_spinning_job_is_killed_at_its_limit_and_its_neighbour_continues() {
    is_killed_at_its_limit("spins-v1");
}

#[test]
fn a_job_that_blocks_every_signal_is_killed_at_its_limit_and_its_neighbour_continues() {
    is_killed_at_its_limit("hides-v1");
}

#[test]
fn a_job_that_never_gets_its_frame_is_killed_at_its_limit() {
    let mut chamber = Chamber::start();
    let (ticket, connection) = chamber.order_of(300, b"");
    assert_eq!(chamber.end_of(ticket), End::TimedOut);
    drop(connection);
}

#[test]
fn a_job_of_limit_zero_is_killed_and_one_of_no_limit_is_answered() {
    let mut chamber = Chamber::start();
    for (limit_ms, end) in [(0, End::TimedOut), (u64::MAX, End::Answered)] {
        let mut job = chamber.job("sleeps-v1", &json!({"ms": 300}));
        (job.limit_ms, job.threads) = (limit_ms, 2);
        let sent = chamber.send(&job);
        assert_eq!(chamber.end_of(sent.ticket), end, "{limit_ms}");
    }
}

#[test]
fn closing_the_connection_kills_the_process_and_no_other() {
    for circuit in ["sleeps-v1", "spins-v1", "hides-v1"] {
        let mut chamber = Chamber::start();
        let mut neighbour = chamber.start_job("sleeps-v1", &json!({"ms": 500}));
        let Sent { ticket, connection, .. } = chamber.start_job(circuit, &json!({"ms": 60_000}));
        let pid = chamber.pid_of(ticket);
        let closed = Instant::now();

        drop(connection);

        assert_eq!(chamber.end_of(ticket), End::Dropped);
        println!("{circuit}: dead {:?} after it was dropped", closed.elapsed());
        assert!(!is_alive(pid));
        assert!(closed.elapsed() < SLACK);
        assert_eq!(neighbour.answer().0.code(), Code::Ok);
    }
}

#[test]
fn a_job_killed_from_outside_is_reported_as_killed() {
    let mut chamber = Chamber::start();
    let mut sent = chamber.start_job("sleeps-v1", &json!({"ms": 60_000}));
    let pid = Pid::from_raw(chamber.pid_of(sent.ticket)).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(sent.reply().unwrap_err(), NoFrame::End);
    assert_eq!(chamber.end_of(sent.ticket), End::Killed);
}

#[test]
fn a_panic_is_logged_with_its_place_and_without_its_message() {
    const SECRET: &str = "attack-at-dawn";
    let chamber = ends_so("panics-v1", &json!({"secret": SECRET}), End::Panicked, NoFrame::End);
    let log = chamber.log();
    assert!(log.contains("panic at ") && log.contains("rogue/rogue.rs:"), "{log}");
    assert!(!log.contains(SECRET) && !log.contains("the witness holds"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn an_aborting_job_is_reported_as_aborted() {
    ends_so("aborts-v1", &json!({}), End::Aborted, NoFrame::End);
}

/// Rust's handler of its guard page says so and aborts; a fault anywhere else would be a violation.
#[test]
fn a_stack_overflow_is_reported_as_aborted() {
    let chamber = ends_so("overflows-v1", &json!({}), End::Aborted, NoFrame::End);
    assert!(chamber.log().contains("overflowed its stack"));
}

/// Its status says that it has answered; that there is no answer is for the reader to see.
#[test]
fn a_job_that_exits_silently_leaves_no_frame() {
    ends_so("exits-v1", &json!({}), End::Answered, NoFrame::End);
}

#[test]
fn malformed_replies_are_refused_by_their_reader() {
    let head = NoFrame::Frame(FrameError::Head);
    let long = NoFrame::Frame(FrameError::TooLong);
    ends_so("garbles-v1", &json!({"mode": "garbage"}), End::Answered, long);
    ends_so("garbles-v1", &json!({"mode": "half_frame"}), End::Answered, NoFrame::End);
    ends_so("garbles-v1", &json!({"mode": "huge_frame"}), End::Answered, NoFrame::Frame(FrameError::TooLong));
    ends_so("garbles-v1", &json!({"mode": "not_json"}), End::Answered, head);
    ends_so("garbles-v1", &json!({"mode": "frame_and_more"}), End::Answered, NoFrame::More);
}

#[test]
fn when_the_chamber_is_killed_every_job_dies() {
    let mut chamber = Chamber::start();
    let jobs = ["sleeps-v1", "spins-v1", "hides-v1"]
        .map(|circuit| chamber.start_job(circuit, &json!({"ms": 60_000})));
    let pids = jobs.each_ref().map(|job| chamber.pid_of(job.ticket));
    assert!(pids.iter().all(|pid| is_alive(*pid)));

    chamber.kill_hard();

    wait_until("every job dies", || pids.iter().all(|pid| !is_running(*pid)).then_some(()));
    for mut job in jobs {
        assert_eq!(job.reply().unwrap_err(), NoFrame::End);
    }
}

/// Orphans are reaped by their new parent, in its own time: a zombie is dead.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}
