//! One `sealprove serve`, its log and its admin pages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use sealprove::protocol::JobId;
use serde_json::Value;

use super::eventually;
use super::process::{Process, children_of, is_alive, kill};

/// A running service.
pub(crate) struct Service {
    process: Mutex<Process>,
    pid: i32,
    log: PathBuf,
}

impl Service {
    /// Standard error is its log; standard output, which it does not use, a file beside it.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = std::fs::File::create(&log).expect("a log");
        let output = std::fs::File::create(log.with_extension("out")).expect("a file");
        let process = Process::start(command.stdin(Stdio::null()).stdout(output).stderr(file));
        Service { pid: process.pid(), process: Mutex::new(process), log }
    }

    /// Everything it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("read the log")
    }

    /// The files that are its standard error and its standard output.
    pub(crate) fn streams(&self) -> [PathBuf; 2] {
        [self.log.clone(), self.log.with_extension("out")]
    }

    /// Returns its log as events, one an object.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a line that holds all of these texts.
    pub(crate) async fn logs(&self, texts: &[&str]) -> String {
        let found = async || {
            let log = self.log();
            log.lines().find(|line| texts.iter().all(|text| line.contains(text))).map(str::to_owned)
        };
        let until = std::time::Instant::now() + super::PATIENCE;
        loop {
            if let Some(line) = found().await {
                return line;
            }
            assert!(std::time::Instant::now() < until, "no line with {texts:?} in:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it takes jobs.
    pub(crate) async fn becomes_ready(&self) {
        eventually("the service is ready", async || {
            let ended = self.process.lock().expect("the process").exit_code();
            assert_eq!(ended, None, "the service ended:\n{}", self.log());
            (self.try_get("/readyz")?.0 == 200).then_some(())
        })
        .await;
    }

    /// A page of the admin address: its status and its text.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).expect("the admin address answers")
    }

    /// The same; `None` while there is no admin address.
    pub(crate) fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let events = self.events();
        let open = events.iter().find(|event| event["message"] == "admin address open")?;
        let mut stream = TcpStream::connect(open["address"].as_str()?).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        let (head, body) = page.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The sum of a metric's samples that have all of these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, page) = self.get("/metrics");
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let wanted: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let samples: Vec<&str> =
            samples.filter(|line| wanted.iter().all(|label| line.contains(label))).collect();
        assert!(!samples.is_empty(), "no {name} with {labels:?} in:\n{page}");
        samples.iter().map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap()).sum()
    }

    /// Waits until a metric is as it must be.
    pub(crate) async fn metric_becomes(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        let what = format!("{name}{labels:?} is {wanted}");
        #[allow(clippy::float_cmp)] // Counters are whole numbers.
        eventually(&what, async || (self.metric(name, labels) == wanted).then_some(())).await;
    }

    /// The processes that were started for a job, in their order.
    pub(crate) fn pids_of(&self, job: &JobId) -> Vec<i32> {
        let events = self.events();
        let started = events.iter().filter(|event| event["message"] == "job process started");
        let of_job = started.filter(|event| event["job"] == job.as_str());
        of_job.map(|event| i32::try_from(event["pid"].as_i64().expect("a pid")).expect("a pid")).collect()
    }

    /// Waits until the `count`th process of a job is at work, and says which it is.
    pub(crate) async fn process_of(&self, job: &JobId, count: usize) -> i32 {
        eventually("the job has a process", async || self.pids_of(job).get(count - 1).copied()).await
    }

    /// Waits until the first process of a job is at work, and kills it.
    pub(crate) async fn kill_process_of(&self, job: &JobId) -> i32 {
        let pid = self.process_of(job, 1).await;
        kill(pid, Signal::KILL);
        pid
    }

    /// Returns the process that starts its chambers.
    pub(crate) fn launcher(&self) -> i32 {
        match children_of(self.pid)[..] {
            [launcher] => launcher,
            ref others => panic!("the service has started {others:?}"),
        }
    }

    /// The processes of its chambers: usually one, none while none is started, two while one takes over.
    pub(crate) fn chambers(&self) -> Vec<i32> {
        children_of(self.pid).into_iter().flat_map(children_of).collect()
    }

    /// The chamber's process.
    pub(crate) fn chamber(&self) -> i32 {
        match self.chambers()[..] {
            [chamber] => chamber,
            ref others => panic!("the service has the chambers {others:?}"),
        }
    }

    /// Kills it, and says which process it was.
    pub(crate) fn kill_chamber(&self) -> i32 {
        let chamber = self.chamber();
        kill(chamber, Signal::KILL);
        chamber
    }

    /// Kills the service's own process and nothing else, as a crash would.
    pub(crate) fn crash(&self) {
        self.process.lock().expect("the process").crash();
    }

    /// Stops the service, its chamber and all jobs, as a machine that hangs would.
    pub(crate) fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let group = rustix::process::Pid::from_raw(self.pid).expect("a process id");
        rustix::process::kill_process_group(group, signal).expect("signal the service");
    }

    /// The service's own process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn terminate(&self) {
        self.process.lock().expect("the process").terminate();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn exit_code(&self) -> i32 {
        eventually("the service ends", async || self.process.lock().expect("the process").exit_code()).await
    }
}

/// Waits until a process is gone.
pub(crate) async fn gone(pid: i32) {
    eventually("the process is gone", async || (!is_alive(pid)).then_some(())).await;
}
