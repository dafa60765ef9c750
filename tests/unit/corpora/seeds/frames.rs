//! Frames between service and chamber.

use base64::prelude::{BASE64_STANDARD, Engine};
use sealprove::frame::{self, ChamberEvent, End, JobHead, Locks, Order, ReadyCircuit, ReadyKey, ReplyHead};
use sealprove::protocol::{
    ANSWER_MEDIA_TYPE, AnswerMode, Code, JobHeader, Scheme, Sha256Digest, VerifyingKeyPin,
};
use serde_json::{Value, json};

use super::super::targets::bundles::NOW;
use super::super::targets::seals::JOBS;
use super::{JOB_ID, KEY_ID, Seed, seeds_for, subject, timings};

pub(super) fn all() -> Vec<Seed> {
    [of_job(), of_reply(), of_events()].concat()
}

/// Frames that a chamber and its job are sent.
fn of_job() -> Vec<Seed> {
    let order = Order { ticket: 7, limit_ms: 30_000, memory_bytes: 64 << 20, threads: 2 }.to_bytes();
    let job = frame::encode(&job_head(), &JOBS[0].payload);
    let with = |frame: &[u8]| [&order[..], frame].concat();
    let edited = |name: &str, value: Value| {
        let mut head = json!(job_head());
        head[name] = value;
        with(&frame_of(head))
    };
    let mut seeds = vec![
        ("good", with(&job)),
        ("order-alone", order.to_vec()),
        (
            "order-without-threads",
            Order { threads: 0, ..Order::from_bytes(&order).unwrap() }.to_bytes().to_vec(),
        ),
        ("order-with-a-reserved-byte", [&order[..order.len() - 1], &[1]].concat()),
        ("order-of-another-program", [b"sealpro2", &order[8..]].concat()),
        ("frame-cut-short", with(&job[..job.len() - 1])),
        ("head-over-its-limit", with(&[0, 1, 0, 1, 0, 0, 0, 0])),
        ("head-at-its-limit", with(&[0, 1, 0, 0, 0, 0, 0, 0])),
        ("body-over-its-limit", with(&[0, 0, 0, 0, 0, 0x80, 0, 1])),
        ("nothing-in-it", with(&[0; 8])),
        ("any-verifying-key", edited("verifying_key", Value::Null)),
        ("answer-in-the-open", edited("answer", json!("open"))),
        ("tenant-with-a-dot", edited("tenant", json!("a.b"))),
        ("job-in-upper-case", edited("job", json!(JOB_ID.to_uppercase()))),
        ("expires-below-zero", edited("expires", json!(-1))),
        ("head-nested", with(&frame_of(json!([[[[{}]]]])))),
    ];
    seeds.push(("head-not-utf-8", with(b"\0\0\0\x04\0\0\0\0{\"\xff\"}")));
    seeds_for("frame_of_job", seeds)
}

/// Frames that a job process answers with.
fn of_reply() -> Vec<Seed> {
    let tag = BASE64_STANDARD.encode([7; 48]);
    let reply = |name: &str, value: Value| {
        let mut head = json!(reply_head(AnswerMode::Open, Some(&tag)));
        head[name] = value;
        frame_of(head)
    };
    let seeds = [
        ("sealed", frame::encode(&reply_head(AnswerMode::Sealed, None), &[7; 64])),
        ("open", frame::encode(&reply_head(AnswerMode::Open, Some(&tag)), b"{}")),
        ("no-timings", reply("timings", json!({}))),
        ("longest-timings", reply("timings", json!({ "proved": u64::MAX }))),
        ("unknown-code", reply("code", json!("FINE"))),
        ("line-break-in-the-content-type", reply("content_type", json!("a\r\nNats-Expected-Stream: b"))),
        ("line-break-in-the-tag", reply("tag", json!("a\nb"))),
        ("content-type-not-ascii", reply("content_type", json!("text/\u{e9}"))),
        ("long-content-type", reply("content_type", json!("a".repeat(300)))),
        ("two-frames", [reply("tag", Value::Null), reply("tag", Value::Null)].concat()),
    ];
    seeds_for("frame_of_reply", seeds)
}

/// Frames that a chamber sends its service.
fn of_events() -> Vec<Seed> {
    let circuit = ReadyCircuit { id: subject().circuit, verifying_key: Sha256Digest([1; 32]), built_ms: 90 };
    let ready = ChamberEvent::Ready {
        keys: vec![ReadyKey { id: KEY_ID.parse().unwrap(), scheme: Scheme::XWing }],
        destroyed: vec![JOB_ID.parse().unwrap()],
        circuits: vec![circuit],
        listen: "/tmp/sealprove-1/chamber-1.sock".into(),
        locks: Locks { calls: true, files: 6 },
        birth_bytes: 40 << 20,
    };
    let event = |event: &ChamberEvent| frame::encode(event, b"");
    let started = event(&ChamberEvent::Started { ticket: 7, pid: 1234 });
    let ends =
        End::ALL.map(|end| event(&ChamberEvent::Ended { ticket: 7, end, peak_bytes: 100 << 20 })).concat();
    let seeds = [
        ("a-life", [event(&ready), started.clone(), ends].concat()),
        ("ready", event(&ready)),
        ("started", started.clone()),
        ("cut-short", started[..started.len() - 2].to_vec()),
        ("unknown-event", frame_of(json!({ "paused": {} }))),
        ("two-events-in-one", frame_of(json!({ "started": { "ticket": 1, "pid": 1 }, "ended": {} }))),
    ];
    seeds_for("frame_of_events", seeds)
}

fn job_head() -> JobHead {
    let header = JobHeader {
        subject: subject(),
        key: KEY_ID.parse().unwrap(),
        expires: NOW,
        answer: AnswerMode::Sealed,
        verifying_key: VerifyingKeyPin::Exactly(Sha256Digest([1; 32])),
    };
    JobHead::new(header, 1, 3)
}

fn reply_head(mode: AnswerMode, tag: Option<&str>) -> ReplyHead {
    ReplyHead {
        code: Code::Ok,
        mode,
        content_type: ANSWER_MEDIA_TYPE.to_owned(),
        tag: tag.map(str::to_owned),
        timings: timings(),
        sealed_ms: 1,
    }
}

/// A frame whose head is any JSON at all.
fn frame_of(head: Value) -> Vec<u8> {
    frame::encode(&head, b"body")
}
