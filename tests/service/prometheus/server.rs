//! A Prometheus of the test's own, which reads some services every second.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{expressions, faster};
use crate::kit::{Process, Ran, Service, eventually, kill};

/// Prometheus or promtool.
pub(crate) fn tool(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/prometheus/usr/bin");
    let program = std::env::var_os("SEALPROVE_PROMETHEUS").map_or(own, PathBuf::from).join(name);
    assert!(program.is_file(), "{} is missing; `make monitoring` installs it", program.display());
    program
}

/// A running Prometheus with the rules that are shipped.
pub(crate) struct Prometheus {
    folder: TempDir,
    address: String,
    process: Process,
}

impl Prometheus {
    /// One that has read these services, and gets its rules then: it takes seconds to find a service, and would
    /// believe for so long that there is none.
    pub(crate) async fn start(services: &[&Service]) -> Self {
        faster::try_out();
        let folder = tempfile::Builder::new().prefix("sealprove-prometheus-").tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("targets.json"), targets(services)).expect("write the targets");
        let config = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n\
                      rule_files: [alerts*.yaml]\n\
                      scrape_configs:\n  - job_name: sealprove\n    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n";
        std::fs::write(path("prometheus.yml"), config).expect("write the configuration");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let log = std::fs::File::create(path("log")).expect("a log");
        let mut command = Command::new(tool("prometheus"));
        command.arg(format!("--config.file={}", path("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", path("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
        let prometheus = Prometheus { folder, address, process };
        eventually("Prometheus is ready", async || {
            prometheus.get("/-/ready").filter(|(status, _)| *status == 200).map(drop)
        })
        .await;
        prometheus.reads(services).await;
        std::fs::write(prometheus.folder.path().join("alerts.yaml"), expressions::rules())
            .expect("write the rules");
        kill(prometheus.process.pid(), Signal::HUP);
        eventually("the rules are read", async || {
            prometheus.get("/api/v1/rules").filter(|(_, text)| text.contains("SealproveNoneReady")).map(drop)
        })
        .await;
        prometheus
    }

    /// Has it read these services, and no others; waits until it has.
    pub(crate) async fn reads(&self, services: &[&Service]) {
        let up = format!("sum(up) == {}", services.len());
        let next = self.folder.path().join("targets.next");
        std::fs::write(&next, targets(services)).expect("write the targets");
        std::fs::rename(&next, self.folder.path().join("targets.json")).expect("put the targets in place");
        for service in services {
            check_page(service);
        }
        if !services.is_empty() {
            eventually(&up, async || (!self.query(&up).is_empty()).then_some(())).await;
        }
    }

    /// The values behind an expression, now. What is not a number is none.
    pub(crate) fn query(&self, expression: &str) -> Vec<f64> {
        self.series(expression).iter().filter_map(value_of).collect()
    }

    fn series(&self, expression: &str) -> Vec<Value> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            write!(encoded, "%{byte:02X}").expect("write to a string");
        }
        let (status, text) = self.get(&format!("/api/v1/query?query={encoded}")).expect("Prometheus answers");
        assert_eq!(status, 200, "{expression}: {text}");
        let reply: Value = serde_json::from_str(&text).expect("JSON");
        reply["data"]["result"].as_array().expect("a vector").clone()
    }

    /// Waits until there is a number behind an expression.
    pub(crate) async fn finds(&self, what: &str, expression: &str) {
        let found = async || (!self.query(expression).is_empty()).then_some(());
        eventually(&format!("there are data for {what}: {expression}"), found).await;
    }

    /// The alerts that have fired so far.
    pub(crate) fn fired(&self) -> BTreeSet<String> {
        let fired = self.series("count by (alertname) (max_over_time(ALERTS{alertstate=\"firing\"}[1h]))");
        fired
            .iter()
            .map(|series| series["metric"]["alertname"].as_str().expect("a name").to_owned())
            .collect()
    }

    /// Waits until all of these have fired.
    pub(crate) async fn has_fired(&self, names: &[&str]) {
        for name in names {
            eventually(&format!("{name} fires"), async || self.fired().contains(*name).then_some(())).await;
        }
    }

    /// Status and body. As HTTP/1.0, so that the body is in one piece.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address).ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        let (head, body) = page.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

fn value_of(series: &Value) -> Option<f64> {
    let value: f64 = series["value"][1].as_str()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// Returns their addresses, for `file_sd_configs`.
fn targets(services: &[&Service]) -> String {
    let addresses: Vec<String> = services.iter().map(|service| address_of(service)).collect();
    json!([{ "targets": addresses }]).to_string()
}

fn address_of(service: &Service) -> String {
    let events = service.events();
    let bound =
        events.iter().find(|event| event["message"] == "admin address open").expect("an admin address");
    bound["address"].as_str().expect("an address").to_owned()
}

/// Has promtool check a service's page.
fn check_page(service: &Service) {
    let (_, page) = service.get("/metrics");
    let ran = Ran::run(Command::new(tool("promtool")).args(["check", "metrics"]), page.as_bytes()).exits(0);
    assert_eq!(ran.stderr, "", "promtool check metrics");
}
