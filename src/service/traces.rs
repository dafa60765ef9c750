//! Spans of jobs whose client has asked for them: a sampled `traceparent` on the job. They go to a collector next
//! door by OTLP over HTTP, as JSON (OpenTelemetry Protocol 1.x), which needs no library and no thread.
//!
//! A job that was taken soon after it was sent is part of the client's trace. One that has waited for longer begins a
//! trace of its own with a link to the client's, which its collector has put away by then. Spans hold what the audit
//! log holds. They are best effort: what a collector does not take is gone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::warn;

use super::record::Work;
use crate::audit::JobEnd;
use crate::clock::{millis, unix_now_ms};
use crate::http;
use crate::job::{Deployment, JobId};
use crate::wire::{Outcome, TraceParent};

/// How many jobs' spans may wait for the collector.
const WAITING_MAX: usize = 1024;
/// How many are sent at once.
const BATCH: usize = 64;
/// How long spans wait for company.
const COMPANY: Duration = Duration::from_millis(500);
/// A job that has waited for longer begins a trace of its own, in milliseconds.
const LATE_MS: u64 = 5 * 60 * 1000;
/// OTLP's numbers: kinds of spans, and the status of one that failed.
const INTERNAL: u32 = 1;
const CONSUMER: u32 = 5;
const FAILED: u32 = 2;

/// Where spans go; nowhere, where the configuration names no collector.
#[derive(Clone, Default)]
pub(super) struct Traces(Option<mpsc::Sender<Vec<Value>>>);

/// When the parts of a job were that the service itself has seen, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) stored: u64,
    pub(super) taken: u64,
    pub(super) settling: u64,
}

impl Traces {
    /// Sends to this collector from now on: `host:port`.
    pub(super) fn to(collector: Option<&str>, deployment: &Deployment) -> Self {
        let Some(collector) = collector else { return Traces(None) };
        let (sender, spans) = mpsc::channel(WAITING_MAX);
        let resource = attributes(&[
            ("service.name", json!("sealprove")),
            ("service.version", json!(env!("CARGO_PKG_VERSION"))),
            ("service.namespace", json!(deployment)),
        ]);
        tokio::spawn(send(collector.to_owned(), resource, spans));
        Traces(Some(sender))
    }

    /// A job has its answer.
    pub(super) fn job(
        &self,
        trace: Option<&TraceParent>,
        end: impl FnOnce() -> JobEnd,
        work: &Work,
        times: Times,
    ) {
        let (Some(sender), Some(trace)) = (&self.0, trace) else { return };
        if trace.is_sampled() {
            // A collector that does not keep up misses some.
            let _ = sender.try_send(spans(trace, &end(), work, times, unix_now_ms()));
        }
    }
}

/// Sends until nobody makes spans any more.
async fn send(collector: String, resource: Value, mut spans: mpsc::Receiver<Vec<Value>>) {
    let mut is_said = false;
    while let Some(mut batch) = spans.recv().await {
        tokio::time::sleep(COMPANY).await;
        for _ in 1..BATCH {
            let Ok(more) = spans.try_recv() else { break };
            batch.extend(more);
        }
        let scope = json!({ "name": "sealprove", "version": env!("CARGO_PKG_VERSION") });
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": scope, "spans": batch }],
        }] });
        match http::post(&collector, "/v1/traces", body.to_string().into_bytes()).await {
            Ok(_) => is_said = false,
            Err(cause) if !std::mem::replace(&mut is_said, true) => {
                warn!(%collector, %cause, "spans are lost: the collector of traces does not take them");
            }
            Err(_) => {}
        }
    }
}

/// A job's own span, and those of its parts below it.
fn spans(trace: &TraceParent, end: &JobEnd, work: &Work, times: Times, now: u64) -> Vec<Value> {
    let is_late = times.taken.saturating_sub(times.stored) > LATE_MS;
    let own_trace = JobId::random();
    let trace_id = if is_late { own_trace.as_str() } else { trace.trace_id() };
    let job = span_id();
    let mut root = span(trace_id, &job, "job", times.stored, now);
    root["kind"] = CONSUMER.into();
    root["attributes"] = described(end);
    if is_late {
        root["links"] = json!([{ "traceId": trace.trace_id(), "spanId": trace.parent_id() }]);
    } else {
        root["parentSpanId"] = trace.parent_id().into();
    }
    if matches!(end.outcome, Some(Outcome::Failed)) {
        root["status"] = json!({ "code": FAILED, "message": end.code.map(|code| code.as_str()) });
    }
    let below = |parent: &str, name, from, to| {
        let mut span = span(trace_id, &span_id(), name, from, to);
        span["parentSpanId"] = parent.into();
        span
    };
    let mut spans = vec![root, below(&job, "queue", times.stored, times.taken)];
    let began = work.began_ms.unwrap_or(times.settling);
    spans.push(below(&job, "admission", times.taken, began));
    if work.began_ms.is_some() {
        let chamber = below(&job, "chamber", began, began.saturating_add(millis(work.took_last)));
        let parent = chamber["spanId"].as_str().unwrap_or_default().to_owned();
        spans.push(chamber);
        // One after the other, as they were done; a job process says how long, not when.
        let mut at = began;
        let steps = [
            ("open", work.timings.opened),
            ("check", work.timings.checked),
            ("prove", work.timings.proved),
            ("verify", work.timings.verified),
            ("seal", work.sealed_ms),
        ];
        for (name, took) in steps.into_iter().filter_map(|(name, took)| Some((name, took?))) {
            spans.push(below(&parent, name, at, at + took));
            at += took;
        }
    }
    spans.push(below(&job, "settle", times.settling, now));
    spans
}

fn span(trace: &str, id: &str, name: &str, from: u64, to: u64) -> Value {
    let nanoseconds = |ms: u64| (u128::from(ms) * 1_000_000).to_string();
    json!({
        "traceId": trace, "spanId": id, "name": name, "kind": INTERNAL,
        "startTimeUnixNano": nanoseconds(from), "endTimeUnixNano": nanoseconds(to.max(from)),
    })
}

/// 16 random digits.
fn span_id() -> String {
    JobId::random().as_str()[..16].to_owned()
}

fn described(end: &JobEnd) -> Value {
    attributes(&[
        ("sealprove.tenant", json!(end.tenant)),
        ("sealprove.lane", json!(end.lane)),
        ("sealprove.circuit", json!(end.circuit)),
        ("sealprove.job", json!(end.job)),
        ("sealprove.code", json!(end.code)),
        ("sealprove.attempt", json!(end.attempt)),
        ("sealprove.job_bytes", json!(end.job_bytes)),
        ("sealprove.answer_bytes", json!(end.answer_bytes)),
        ("sealprove.peak_bytes", json!(end.peak_bytes)),
    ])
}

/// OTLP's way to say a name and a value; what is not known is left out.
fn attributes(pairs: &[(&str, Value)]) -> Value {
    let known = pairs.iter().filter_map(|(key, value)| {
        let value = match value {
            Value::String(text) => json!({ "stringValue": text }),
            Value::Number(number) => json!({ "intValue": number.to_string() }),
            _ => return None,
        };
        Some(json!({ "key": key, "value": value }))
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn end() -> JobEnd {
        let end = json!({
            "tenant": "default", "lane": "express", "circuit": "a-v1", "job": "00112233445566778899aabbccddeeff",
            "settled_by": "delivery", "attempt": 2, "outcome": "failed", "code": "TIMEOUT",
        });
        serde_json::from_value(end).unwrap()
    }

    fn spans_after(waited_ms: u64) -> Vec<Value> {
        let stored = 1_800_000_000_000;
        let times = Times { stored, taken: stored + waited_ms, settling: stored + waited_ms + 20 };
        let work =
            Work { began_ms: Some(times.taken + 5), took_last: Duration::from_millis(10), ..Work::default() };
        spans(&TRACE.parse().unwrap(), &end(), &work, times, times.settling + 3)
    }

    #[test]
    fn a_job_is_part_of_its_clients_trace_unless_it_has_waited_for_long() {
        let (soon, late) = (spans_after(LATE_MS), spans_after(LATE_MS + 1));
        assert!(soon.iter().all(|span| span["traceId"] == TRACE[3..35]));
        assert_eq!((&soon[0]["parentSpanId"], &soon[0]["links"]), (&TRACE[36..52].into(), &Value::Null));
        assert!(
            late.iter().all(|span| span["traceId"] == late[0]["traceId"] && span["traceId"] != TRACE[3..35])
        );
        let link = json!([{ "traceId": &TRACE[3..35], "spanId": &TRACE[36..52] }]);
        assert_eq!((&late[0]["parentSpanId"], &late[0]["links"]), (&Value::Null, &link));
    }

    #[test]
    fn a_span_says_what_failed_and_when_its_parts_were() {
        let spans = spans_after(7);
        assert_eq!(spans[0]["status"], json!({ "code": FAILED, "message": "TIMEOUT" }));
        let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["job", "queue", "admission", "chamber", "settle"]);
        assert_eq!(spans[3]["startTimeUnixNano"], "1800000000012000000");
        assert_eq!(spans[3]["endTimeUnixNano"], "1800000000022000000");
        assert!(!spans[0].to_string().contains("peak_bytes"), "what is not known is left out");
    }
}
