//! A private nats-server with JetStream, on a port of its own and in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use tempfile::TempDir;

use super::eventually;
use super::process::{Process, nats_server};

/// A broker. It can be stopped and started again at the same port, with what it had stored.
pub(crate) struct Nats {
    folder: TempDir,
    settings: String,
    port: u16,
    process: Option<Process>,
}

impl Nats {
    /// With JetStream, and nothing else.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With these settings besides.
    pub(crate) async fn start_with(settings: &str) -> Self {
        let store = "jetstream { store_dir: \"FOLDER/jetstream\", sync_interval: always }\n";
        Self::start_exactly(&format!("{store}{settings}")).await
    }

    /// With these settings alone; `FOLDER` in them stands for the broker's own folder.
    pub(crate) async fn start_exactly(settings: &str) -> Self {
        let mut nats = Self::stopped(settings);
        nats.restart().await;
        nats
    }

    /// A broker that is to be started later, at a port that is known now.
    pub(crate) fn stopped(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sealprove-nats-").tempdir().expect("a folder");
        let settings = settings.replace("FOLDER", folder.path().to_str().expect("a path in UTF-8"));
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        Nats { folder, settings, port, process: None }
    }

    /// Starts it, if it does not run, and waits until it takes connections.
    pub(crate) async fn restart(&mut self) {
        if self.process.is_none() {
            let config = self.folder.path().join("nats.conf");
            let log = std::fs::File::create(self.folder.path().join("nats.log")).expect("a log");
            std::fs::write(&config, format!("listen: 127.0.0.1:{}\n{}", self.port, self.settings))
                .expect("write the broker's configuration");
            let mut command = Command::new(nats_server());
            command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            self.process = Some(Process::start(&mut command));
        }
        eventually("nats-server listens", async || {
            let log = std::fs::read_to_string(self.folder.path().join("nats.log")).unwrap_or_default();
            if let Some(code) = self.process.as_mut().and_then(Process::exit_code) {
                panic!("nats-server ended with {code}:\n{log}");
            }
            log.contains("Server is ready").then_some(())
        })
        .await;
    }

    /// Stops it in good order, with its data on disk.
    pub(crate) async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.terminate();
        eventually("nats-server ends", async || process.exit_code()).await;
    }

    /// Starts it again with other settings.
    pub(crate) async fn restart_with(&mut self, settings: &str) {
        self.stop().await;
        let folder = self.folder.path().to_str().expect("a path in UTF-8");
        self.settings = settings.replace("FOLDER", folder);
        self.restart().await;
    }

    /// Has it take other settings while it runs.
    pub(crate) async fn reload_with(&mut self, settings: &str) {
        let folder = self.folder.path().to_str().expect("a path in UTF-8");
        self.settings = settings.replace("FOLDER", folder);
        let log = || std::fs::read_to_string(self.folder.path().join("nats.log")).unwrap_or_default();
        let reloads = |log: String| log.matches("Reloaded server configuration").count();
        let before = reloads(log());
        std::fs::write(
            self.folder.path().join("nats.conf"),
            format!("listen: 127.0.0.1:{}\n{}", self.port, self.settings),
        )
        .expect("write the broker's configuration");
        super::kill(self.pid().expect("it runs"), rustix::process::Signal::HUP);
        eventually("nats-server has other settings", async || {
            assert!(!log().contains("Failed to reload"), "{}", log());
            (reloads(log()) > before).then_some(())
        })
        .await;
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Process::pid)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every file below the store that holds these bytes.
    pub(crate) fn files_with(&self, bytes: &[u8]) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().join("jetstream")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("read the store").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if std::fs::read(&path)
                    .is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes))
                {
                    found.push(path);
                }
            }
        }
        found
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new().request_timeout(Some(Duration::from_secs(10)));
        options.connect(self.url()).await.expect("connect to the test's own broker")
    }

    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.connect().await)
    }
}
