//! A client's trace: carried through to its answer, into the audit log, and as spans to a collector.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use sealprove::protocol::Code;
use serde_json::Value;

use crate::kit::{Lab, Service, Setup, eventually};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

/// A deployment with these tables besides, and a service.
async fn lab(tables: &str) -> (Lab, Service) {
    let lab = Setup::new().start().await;
    let config = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    lab.write("sealprove.toml", format!("{config}{tables}\n").as_bytes());
    let service = lab.service().await;
    (lab, service)
}

/// Has a job with these traces proved, and says what trace its answer has.
async fn submit(lab: &Lab, traces: &[&str]) -> Option<String> {
    let mut job = lab.raw_job();
    job.headers.extend(traces.iter().map(|trace| ("traceparent".to_owned(), (*trace).to_owned())));
    job.publish(&lab.nats.connect().await).await.unwrap();
    let stored = lab.stored_answer(&job.id).await;
    assert_eq!(job.open(&stored).unwrap().code(), Code::Ok);
    stored.get("traceparent").map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_trace_is_on_its_answer_and_in_the_audit_log() {
    let (lab, service) = lab("[audit]\nto = \"stdout\"").await;
    assert_eq!(submit(&lab, &[TRACE]).await.as_deref(), Some(TRACE));
    assert_eq!(submit(&lab, &[]).await, None);
    assert_eq!(submit(&lab, &[TRACE, TRACE]).await, None);
    assert_eq!(submit(&lab, &[&TRACE.to_uppercase()]).await, None);
    let long = format!("{TRACE}-{}", "x".repeat(3000));
    assert_eq!(submit(&lab, &[&long]).await, None);
    lab.all_acknowledged().await;
    service.terminate();
    assert_eq!(service.exit_code().await, 0);

    let output = std::fs::read_to_string(&service.streams()[1]).unwrap();
    let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let traces: Vec<_> = lines.filter_map(|line| Some(line["trace"].as_str()?.to_owned())).collect();
    assert_eq!(traces, [TRACE]);
    assert!(!service.log().contains("xxxxxxxx"), "a header that is no trace is in the log");
}

/// A collector of OTLP over HTTP, as small as one can be.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::new(Mutex::new(Vec::new()));
        let collected = spans.clone();
        tokio::task::spawn_blocking(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let body = read_request(&mut stream);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n").unwrap();
                if body.is_empty() {
                    return;
                }
                let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("OTLP");
                // As OTLP has it in JSON: ids in hexadecimal digits, times in text.
                let request = serde_json::to_value(request).unwrap();
                let resource = &request["resourceSpans"][0];
                assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "sealprove");
                let spans = resource["scopeSpans"][0]["spans"].as_array().expect("spans").clone();
                collected.lock().unwrap().extend(spans);
            }
        });
        Collector { address, spans }
    }

    fn spans(&self) -> Vec<Value> {
        self.spans.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // One without a body is the last.
        let _ = std::net::TcpStream::connect(self.address).and_then(|mut stream| {
            stream.write_all(b"POST /v1/traces HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        });
    }
}

/// Reads the head, then as much as it says.
fn read_request(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        head.extend(byte);
    }
    // The names of headers are alike in any case (RFC 9110 section 5.1).
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1."), "{head}");
    if !head.contains("content-length: 0") {
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).expect("a body");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampled_job_has_a_span_for_each_step_in_its_clients_trace() {
    let collector = Collector::start();
    let (lab, _service) = lab(&format!("[traces]\notlp = \"http://{}\"", collector.address)).await;
    // Not asked for, or not to be recorded: these leave nothing.
    submit(&lab, &[]).await;
    submit(&lab, &[&TRACE.replace("-01", "-00")]).await;
    submit(&lab, &[TRACE]).await;
    let spans = eventually("the spans are collected", async || {
        Some(collector.spans()).filter(|spans| !spans.is_empty())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(collector.spans().len(), spans.len(), "of one job");

    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| span["name"] == name);
        let span = found.next().unwrap_or_else(|| panic!("no span {name} in {spans:#?}"));
        assert!(found.next().is_none(), "{name} twice");
        span
    };
    let time = |span: &Value, which: &str| span[which].as_str().unwrap().parse::<u128>().unwrap();
    let (job, chamber) = (named("job"), named("chamber"));
    assert_eq!(job["parentSpanId"], PARENT_ID);
    for (name, parent) in [
        ("queue", job),
        ("admission", job),
        ("chamber", job),
        ("settle", job),
        ("open", chamber),
        ("check", chamber),
        ("prove", chamber),
        ("verify", chamber),
        ("seal", chamber),
    ] {
        let span = named(name);
        assert_eq!(span["parentSpanId"], parent["spanId"], "{name}");
        let (from, to) = (time(span, "startTimeUnixNano"), time(span, "endTimeUnixNano"));
        assert!(time(job, "startTimeUnixNano") <= from && from <= to, "{name}");
    }
    assert_eq!(spans.len(), 10);
    assert!(spans.iter().all(|span| span["traceId"] == TRACE_ID));
    assert!(time(named("prove"), "endTimeUnixNano") > time(named("prove"), "startTimeUnixNano"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_collector_delays_no_job() {
    let (lab, service) = lab("[traces]\notlp = \"http://127.0.0.1:1\"").await;
    assert_eq!(submit(&lab, &[TRACE]).await.as_deref(), Some(TRACE));
    service.logs(&["spans are lost"]).await;
    assert_eq!(submit(&lab, &[TRACE]).await.as_deref(), Some(TRACE));
}
