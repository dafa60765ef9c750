//! The deployment: identity, keys, bundle and configurations in the run's folder, all made by the real
//! program.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Trouble;
use super::settings::ACK_WAIT;
use crate::kit::{Ran, THRESHOLD, sealprove};

/// The deployment's name, which every seal is bound to.
pub(crate) const DEPLOYMENT: &str = "chaos";
/// Time that the brokers may take to agree on a leader and on the streams.
const STREAMS_PATIENCE: Duration = Duration::from_secs(60);

/// Limits that a small disk has room for.
const JOBS_BYTES_MAX: u64 = 32 << 20;
const ANSWERS_BYTES_MAX: u64 = 96 << 20;

/// A deployment in a folder.
pub(crate) struct Deployment {
    program: PathBuf,
    folder: PathBuf,
}

impl Deployment {
    /// With as many replicas as there are brokers.
    pub(crate) fn make(
        program: Option<&Path>,
        folder: &Path,
        brokers: usize,
        url: &str,
    ) -> Result<Self, Trouble> {
        let program = program.map_or_else(|| Ok(sealprove()), Path::canonicalize)?;
        let deployment = Deployment { program, folder: folder.to_owned() };
        std::fs::create_dir(deployment.sockets())?;
        let identity = deployment.run("bundle identity --out identity.key")?;
        deployment.run("keys new --out keys")?;
        deployment.run(&format!(
            "bundle sign --identity-key identity.key --keys keys --deployment {DEPLOYMENT} \
             --circuit {THRESHOLD} --out bundle.json"
        ))?;
        let service = format!(
            "bundle = {:?}\nkeys = {:?}\n[nats]\nurl = {url:?}\n\
             [service]\nslots = 1\nthreads = 1\ngrace = \"20s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [streams]\nreplicas = {brokers}\nack_wait = \"{}s\"\n\
             jobs_bytes_max = {JOBS_BYTES_MAX}\nanswers_bytes_max = {ANSWERS_BYTES_MAX}\n",
            folder.join("bundle.json"),
            folder.join("keys"),
            ACK_WAIT.as_secs(),
        );
        std::fs::write(folder.join("sealprove.toml"), service)?;
        let (identity, state) = (identity.line(), folder.join("state"));
        let client = format!("identity = {identity:?}\nstate = {state:?}\n[nats]\nurl = {url:?}\n");
        std::fs::write(client_config(folder), client)?;
        Ok(deployment)
    }

    /// Makes the streams, as soon as the brokers can.
    pub(crate) async fn streams(&self) -> Result<(), Trouble> {
        let until = Instant::now() + STREAMS_PATIENCE;
        loop {
            match self.run("streams apply --config sealprove.toml") {
                Ok(_) => return Ok(()),
                Err(trouble) if Instant::now() > until => return Err(trouble),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// A service that reaches the brokers at `url`.
    pub(crate) fn serve(&self, index: usize, url: &str) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(service_log(&self.folder, index));
        let mut command = self.command();
        command.args(["serve", "--config", "sealprove.toml"]).env("SEALPROVE_NATS__URL", url);
        command.env("TMPDIR", self.sockets());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.map_or_else(|_| Stdio::null(), Stdio::from));
        command
    }

    /// Returns the folder for temporary files: what a killed service leaves is removed with the run's folder.
    fn sockets(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env_clear().env("HOME", &self.folder);
        command
    }

    fn run(&self, arguments: &str) -> Result<Ran, Trouble> {
        let ran = Ran::run(self.command().args(arguments.split(' ')), b"");
        if ran.code == 0 { Ok(ran) } else { Err(format!("sealprove {arguments}: {}", ran.stderr).into()) }
    }
}

/// The configuration of every client.
pub(crate) fn client_config(folder: &Path) -> PathBuf {
    folder.join("client.toml")
}

/// Returns the log of a service, over all its lives.
pub(crate) fn service_log(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("service-{index}.log"))
}
