//! `sealprove doctor`: whether machine, broker, keys and bundle hold what the service promises.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::dev::{self, Options};
use super::output::{OutputError, say};
use super::{Exit, Failure, Outcome_};
use crate::circuit::Circuits;
use crate::config::{NatsConfig, ServiceConfig};
use crate::http;
use crate::operator::doctor::broker::Server;
use crate::operator::doctor::{Finding, Standing, broker, deployment, locks, machine};
use crate::service::Setup;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The service's configuration: examines broker, keys, bundle and limits besides the locks
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only the locks of this machine [default without --config]
    #[arg(long)]
    locks: bool,
    /// Only the broker: version, streams, copies, sync, clock
    #[arg(long, requires = "config")]
    broker: bool,
    /// Only the folder of keys
    #[arg(long, requires = "config")]
    keys: bool,
    /// Only the bundle
    #[arg(long, requires = "config")]
    bundle: bool,
    /// Only the memory for all slots, and swap
    #[arg(long, requires = "config")]
    limits: bool,
    /// The monitoring address of a server of the broker, such as http://host:8222; several, one for each server
    #[arg(long, value_name = "URL", requires = "config")]
    monitor: Vec<String>,
    /// The broker's address for a user of its system account, such as nats://user:password@host:4222
    #[arg(
        long,
        value_name = "URL",
        requires = "config",
        env = "SEALPROVE_SYSTEM_URL",
        hide_env_values = true
    )]
    system: Option<String>,
    /// That user's credentials file
    #[arg(long, value_name = "FILE", requires = "config")]
    system_credentials: Option<PathBuf>,
    /// Where a throw-away deployment is
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

impl Args {
    /// Whether a part was asked for: by name, or all of them by none.
    fn wants(&self, part: bool) -> bool {
        part || ![self.locks, self.broker, self.keys, self.bundle, self.limits].contains(&true)
    }
}

pub(super) fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    if let Some(folder) = &args.folder {
        return examine_locks(folder, &Circuits::new().with(locks::circuit()));
    }
    let mut holds = true;
    if args.wants(args.locks) {
        holds &= examine_in_child()?;
    }
    if let Some(path) = &args.config {
        let config = ServiceConfig::read(path)?;
        holds &= report(&deployment_findings(args, &config, circuits)?)?;
    }
    Ok(if holds { Exit::Done } else { Exit::Failed })
}

fn deployment_findings(
    args: &Args,
    config: &ServiceConfig,
    circuits: &Circuits,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let bundle = deployment::read_bundle(config);
    if args.wants(args.keys) {
        findings.extend(deployment::keys(config));
    }
    if args.wants(args.bundle) {
        findings.extend(deployment::bundle(config, &bundle));
    }
    if args.wants(args.limits) {
        findings.extend(machine::examine(config, bundle.as_ref().ok(), circuits));
    }
    if args.wants(args.broker) {
        super::on_runtime(async {
            findings.extend(of_broker(args, config).await);
            Ok(Exit::Done)
        })?;
    }
    Ok(findings)
}

async fn of_broker(args: &Args, config: &ServiceConfig) -> Vec<Finding> {
    let client = match config.nats.connect("sealprove doctor").await {
        Ok(client) => client,
        Err(error) => return vec![broker::unreachable(&Failure::new(Exit::Unreachable, error).text())],
    };
    let (mut servers, mut troubles) = (Vec::new(), Vec::new());
    for url in &args.monitor {
        match monitored(url).await {
            Ok(server) => servers.push(server),
            Err(cause) => {
                troubles.push(Finding::not_known("broker", "monitoring", format!("{url}: {cause}")))
            }
        }
    }
    if args.system.is_some() || args.system_credentials.is_some() {
        match system_servers(args, config).await {
            Ok(found) => servers.extend(found),
            Err(cause) => troubles.push(Finding::not_known("broker", "the system account", cause)),
        }
    }
    troubles.extend(broker::examine(&client, config, &servers).await);
    troubles
}

/// What a server says on its monitoring port.
async fn monitored(url: &str) -> Result<Server, String> {
    let address = url.strip_prefix("http://").ok_or("only http:// is spoken, on the server's own network")?;
    let page = http::get(address.trim_end_matches('/'), "/varz").await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&page).map_err(|_| "this is no monitoring page of a nats-server".to_owned())
}

async fn system_servers(args: &Args, config: &ServiceConfig) -> Result<Vec<Server>, String> {
    let given = args.system.as_deref().unwrap_or(&config.nats.url);
    let nats = NatsConfig {
        url: given.to_owned(),
        credentials: args.system_credentials.clone(),
        tls: config.nats.tls.clone(),
        ..NatsConfig::default()
    };
    let client = nats.connect("sealprove doctor").await.map_err(|error| error.to_string())?;
    match &broker::servers(&client).await[..] {
        [] => Err("no server answers: is this a user of the system account?".to_owned()),
        servers => Ok(servers.to_vec()),
    }
}

/// Makes a throw-away deployment, and examines the locks in a process of its own: one that is locked can clear
/// nothing away.
fn examine_in_child() -> Result<bool, Failure> {
    let circuits = Circuits::new().with(locks::circuit());
    let folder = tempfile::Builder::new().prefix("sealprove-doctor-").tempdir()?;
    dev::configure(&Options::smallest(), folder.path(), 0, &circuits)?;
    let examined =
        Command::new("/proc/self/exe").arg("doctor").arg("--folder").arg(folder.path()).status()?;
    Ok(examined.success())
}

/// It is called with one thread, and is the service of that deployment.
fn examine_locks(folder: &Path, circuits: &Circuits) -> Outcome_ {
    let config = ServiceConfig::read(&folder.join("sealprove.toml"))?;
    let setup = Setup::new(config, circuits)?;
    super::on_runtime(async {
        let findings = locks::examine(setup).await.map_err(Failure::from)?;
        Ok(if report(&findings)? { Exit::Done } else { Exit::Failed })
    })
}

/// A line for each; says whether nothing is known to be missing.
fn report(findings: &[Finding]) -> Result<bool, OutputError> {
    for Finding { part, protection, standing, how } in findings {
        say!("{part:<8} {protection:<32} {:<9} {how}", standing.as_str())?;
    }
    Ok(findings.iter().all(|finding| finding.standing != Standing::Not))
}
