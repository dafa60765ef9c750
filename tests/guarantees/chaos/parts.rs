//! The parts of the chaos harness that need no processes: its schedule and its frames.

use std::time::Duration;

use super::nats_frames::{Frames, Malformed};
use super::schedule::{Kind, is_long, plan};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_seed_gives_the_same_schedule_and_another_seed_another() {
    for duration in [HOUR / 45, HOUR] {
        let planned = plan(7, duration, &[]);
        assert_eq!(planned, plan(7, duration, &[]));
        assert_ne!(planned, plan(8, duration, &[]));
        assert!(planned.windows(2).all(|pair| pair[0].at < pair[1].at));
    }
}

#[test]
fn three_runs_of_half_an_hour_have_every_kind_three_times() {
    for seeds in [[1, 2, 3], [4, 5, 6], [100, 200, 300]] {
        let planned: Vec<_> = seeds.iter().flat_map(|seed| plan(*seed, HOUR / 2, &[])).collect();
        for kind in Kind::all() {
            let count = planned.iter().filter(|planned| planned.kind == kind).count();
            assert!(count >= 3, "{kind}: {count} with the seeds {seeds:?}");
        }
    }
}

#[test]
fn the_short_run_kills_and_freezes_services_and_a_leader_and_needs_no_root() {
    let short = Duration::from_secs(75);
    assert!(!is_long(short));
    let kinds: Vec<String> = plan(1, short, &[]).iter().map(|planned| planned.kind.to_string()).collect();
    for kind in [
        "service-killed-before-answer",
        "service-killed-before-ack",
        "service-frozen-before-answer",
        "leader-killed",
        "consumer-deleted",
        "acks-swallowed",
    ] {
        assert!(kinds.iter().any(|planned| planned == kind), "no {kind} in {kinds:?}");
    }
    assert!(!kinds.iter().any(|kind| kind == "disk-full"));
}

#[test]
fn only_the_named_kinds_are_planned() {
    let named: Kind = "leader-frozen".parse().expect("a kind");
    let planned = plan(1, HOUR / 10, &[named]);
    assert!(planned.len() > 10 && planned.iter().all(|planned| planned.kind == named));
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let kinds: Vec<Kind> = Kind::all().collect();
    for kind in &kinds {
        assert_eq!(kind.to_string().parse(), Ok(*kind));
    }
    assert!("service-killed".parse::<Kind>().is_err());
}

const CONVERSATION: &[u8] = b"INFO {\"server_id\": \"a b\"}\r\nPING\r\nSUB in.* 7\r\nPUB a.b 5\r\nhello\r\n\
    PUB a.b reply.c 0\r\n\r\nHPUB a.b reply.c 23 25\r\nNATS/1.0\r\nKey: va l\r\n\r\nhi\r\n\
    MSG a.b 7 5\r\n1\r\n34\r\nHMSG a.b 7 reply.c 12 12\r\nNATS/1.0\r\n\r\n\r\n+OK\r\n";

#[test]
fn frames_are_read_whole_wherever_they_are_cut() {
    for cut in 1..CONVERSATION.len() {
        let mut frames = Frames::default();
        let mut read = Vec::new();
        for part in [&CONVERSATION[..cut], &CONVERSATION[cut..]] {
            frames.push(part);
            while let Some(frame) = frames.next().expect("frames") {
                read.push(frame);
            }
        }
        let verbs: Vec<&str> = read.iter().map(|frame| frame.verb()).collect();
        assert_eq!(
            verbs,
            ["INFO", "PING", "SUB", "PUB", "PUB", "HPUB", "MSG", "HMSG", "+OK"],
            "cut at {cut}"
        );
        let all: Vec<u8> = read.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
        assert_eq!(all, CONVERSATION, "cut at {cut}");
    }
}

#[test]
fn a_frame_names_its_subject_and_reply() {
    let mut frames = Frames::default();
    frames.push(CONVERSATION);
    let read: Vec<_> = std::iter::from_fn(|| frames.next().expect("frames")).collect();
    let replies: Vec<&str> = read.iter().map(|frame| frame.reply()).collect();
    assert_eq!(replies, ["", "", "", "", "reply.c", "reply.c", "", "reply.c", ""]);
    assert_eq!((read[2].subject(), read[3].subject()), ("", "a.b"));
    assert_eq!((read[5].header("key"), read[5].header("other")), (Some("va l"), None));
    assert_eq!(
        (read[5].payload(), read[6].payload(), read[7].payload()),
        (&b"hi"[..], &b"1\r\n34"[..], &b""[..])
    );
}

#[test]
fn malformed_frames_are_refused() {
    for bytes in [&b"PUB a.b many\r\n"[..], b"HPUB a.b 9 3\r\nxxx\r\n", b"MSG\r\n", b"HMSG 4\r\n"] {
        let mut frames = Frames::default();
        frames.push(bytes);
        assert_eq!(frames.next().err(), Some(Malformed), "{:?}", String::from_utf8_lossy(bytes));
    }
}
