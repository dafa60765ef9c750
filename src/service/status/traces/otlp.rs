//! Spans, and sending them to a collector on the same machine or network: OTLP over HTTP in binary protobuf
//! (OpenTelemetry Protocol 1.x, "OTLP/HTTP"), with the messages of `opentelemetry-proto`. The SDK of OpenTelemetry is
//! not used: it starts threads of its own and reads its configuration from the environment.
//!
//! A job that was taken soon after it was sent is part of the client's trace. One that has waited for longer begins a
//! trace of its own with a link to the client's. Spans hold the facts that the audit log holds, and no others.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tokio::sync::mpsc;
use tracing::warn;

use super::facts::TracedJob;
use crate::http;
use crate::protocol::{Deployment, JobId, Outcome, UnixMillis};

/// Path at which a collector takes spans (OTLP specification, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";
/// Media type of the request's body.
const PROTOBUF: &str = "application/x-protobuf";
/// Limit of jobs whose spans are sent in one request.
const BATCH: usize = 64;
/// Time for which the first spans of a request wait for more.
const BATCH_WAIT: Duration = Duration::from_millis(500);
/// A job that has waited for longer begins a trace of its own.
const LATE: Duration = Duration::from_secs(5 * 60);

/// Returns the resource that all spans come from: this program, in this deployment.
pub(super) fn resource(deployment: &Deployment) -> Resource {
    let attributes = vec![
        text("service.name", "sealprove"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.namespace", deployment.as_str()),
    ];
    Resource { attributes, ..Resource::default() }
}

/// Sends spans until the last sender of traced jobs is dropped.
pub(super) async fn send(collector: String, resource: Resource, mut traced: mpsc::Receiver<TracedJob>) {
    // A collector that is away is reported once, not for every request.
    let mut is_reported = false;
    while let Some(first) = traced.recv().await {
        tokio::time::sleep(BATCH_WAIT).await;
        let mut batch = spans(&first);
        for _ in 1..BATCH {
            let Ok(more) = traced.try_recv() else { break };
            batch.extend(spans(&more));
        }
        let body = request(resource.clone(), batch).encode_to_vec();
        match http::post(&collector, PATH, PROTOBUF, body).await {
            Ok(_) => is_reported = false,
            Err(cause) if !std::mem::replace(&mut is_reported, true) => {
                warn!(%collector, %cause, "spans are lost: the collector of traces does not take them");
            }
            Err(_) => {}
        }
    }
}

fn request(resource: Resource, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "sealprove".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// Returns a job's own span, and those of its parts below it.
fn spans(traced: &TracedJob) -> Vec<Span> {
    let TracedJob { trace, end, work, times, settled } = traced;
    let is_late = times.taken.since(times.stored) > LATE;
    let (theirs, their_span) = (bytes(trace.trace_id()), bytes(trace.parent_id()));
    let mut job = Span { kind: SpanKind::Consumer.into(), ..span("job", times.stored, *settled) };
    job.attributes = attributes(traced);
    // Collectors close a trace after minutes. Spans that come later would be shown alone, or not at all.
    if is_late {
        job.trace_id = bytes(JobId::random().as_str());
        job.links = vec![Link { trace_id: theirs, span_id: their_span, ..Link::default() }];
    } else {
        job.trace_id = theirs;
        job.parent_span_id = their_span;
    }
    if end.outcome == Some(Outcome::Failed) {
        let message = end.code.map(|code| code.to_string()).unwrap_or_default();
        job.status = Some(Status { message, code: StatusCode::Error.into() });
    }

    let below = |parent: &Span, name, from, to| Span {
        trace_id: parent.trace_id.clone(),
        parent_span_id: parent.span_id.clone(),
        ..span(name, from, to)
    };
    let began = work.began.unwrap_or(times.settling);
    let mut parts = vec![
        below(&job, "queue", times.stored, times.taken),
        below(&job, "admission", times.taken, began),
        below(&job, "settle", times.settling, *settled),
    ];
    if work.began.is_some() {
        let chamber = below(&job, "chamber", began, began + work.last_attempt);
        // One after the other, as they were done: a job process reports durations and no times.
        let mut at = began;
        let steps = [
            ("open", work.timings.opened),
            ("check", work.timings.checked),
            ("prove", work.timings.proved),
            ("verify", work.timings.verified),
            ("seal", work.sealed_ms),
        ];
        for (name, took_ms) in steps.into_iter().filter_map(|(name, took_ms)| Some((name, took_ms?))) {
            let end = at + Duration::from_millis(took_ms);
            parts.push(below(&chamber, name, at, end));
            at = end;
        }
        parts.push(chamber);
    }
    parts.push(job);
    parts
}

/// Returns a span of this service between two points in time.
fn span(name: &str, from: UnixMillis, to: UnixMillis) -> Span {
    Span {
        span_id: bytes(&JobId::random().as_str()[..16]),
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: from.0.saturating_mul(1_000_000),
        end_time_unix_nano: to.max(from).0.saturating_mul(1_000_000),
        // Sampled, like the client's trace: spans are made for no other.
        flags: 1,
        ..Span::default()
    }
}

/// Returns the attributes of a job's span. Facts that are not known are left out.
fn attributes(traced: &TracedJob) -> Vec<KeyValue> {
    let TracedJob { end, .. } = traced;
    let mut attributes = vec![
        text("sealprove.tenant", end.tenant.as_str()),
        text("sealprove.lane", end.lane.as_str()),
        text("sealprove.circuit", end.circuit.as_str()),
        text("sealprove.job", end.job.as_str()),
        number("sealprove.attempt", u64::from(end.attempt)),
    ];
    attributes.extend(end.code.map(|code| text("sealprove.code", code.as_str())));
    let sizes = [
        ("sealprove.job_bytes", end.job_bytes),
        ("sealprove.answer_bytes", end.answer_bytes),
        ("sealprove.peak_bytes", end.peak_bytes),
    ];
    attributes.extend(sizes.into_iter().filter_map(|(key, size)| Some(number(key, size?))));
    attributes
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Returns the bytes of an id, given in hexadecimal digits.
fn bytes(id: &str) -> Vec<u8> {
    // Cannot panic: ids are checked when they are parsed, and drawn ones are hexadecimal.
    hex::decode(id).expect("ids are pairs of hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Times;
    use super::*;
    use crate::service::status::Work;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const STORED: UnixMillis = UnixMillis(1_800_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn spans_after(waited: Duration) -> Vec<Span> {
        let end = json!({
            "tenant": "default", "lane": "express", "circuit": "a-v1", "job": "00112233445566778899aabbccddeeff",
            "settled_by": "delivery", "attempt": 2, "outcome": "failed", "code": "TIMEOUT",
        });
        let taken = STORED + waited;
        let times = Times { stored: STORED, taken, settling: taken + MS * 20 };
        let work = Work { began: Some(taken + MS * 5), last_attempt: MS * 10, ..Work::default() };
        let (trace, end) = (TRACE.parse().unwrap(), serde_json::from_value(end).unwrap());
        spans(&TracedJob { trace, end, work, times, settled: times.settling + MS * 3 })
    }

    fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
        spans.iter().find(|span| span.name == name).unwrap()
    }

    #[test]
    fn a_job_is_part_of_its_clients_trace_unless_it_has_waited_for_long() {
        let (theirs, their_span) = (bytes(&TRACE[3..35]), bytes(&TRACE[36..52]));
        let soon = spans_after(LATE);
        assert!(soon.iter().all(|span| span.trace_id == theirs));
        let job = named(&soon, "job");
        assert_eq!((&job.parent_span_id, job.links.len()), (&their_span, 0));

        let late = spans_after(LATE + MS);
        assert!(late.iter().all(|span| span.trace_id == late[0].trace_id && span.trace_id != theirs));
        let job = named(&late, "job");
        assert!(job.parent_span_id.is_empty());
        assert_eq!((&job.links[0].trace_id, &job.links[0].span_id), (&theirs, &their_span));
    }

    #[test]
    fn a_span_says_what_failed_and_when_its_parts_were() {
        let spans = spans_after(MS * 7);
        let failed = Status { message: "TIMEOUT".to_owned(), code: StatusCode::Error.into() };
        assert_eq!(named(&spans, "job").status, Some(failed));
        let mut names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["admission", "chamber", "job", "queue", "settle"]);
        let chamber = named(&spans, "chamber");
        assert_eq!(chamber.start_time_unix_nano, (STORED + MS * 12).0 * 1_000_000);
        assert_eq!(chamber.end_time_unix_nano, (STORED + MS * 22).0 * 1_000_000);
        let keys: Vec<_> = named(&spans, "job").attributes.iter().map(|pair| pair.key.as_str()).collect();
        assert!(!keys.contains(&"sealprove.peak_bytes"), "what is not known is left out");
    }
}
