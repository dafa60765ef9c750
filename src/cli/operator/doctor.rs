//! `sealprove doctor`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::throwaway::Throwaway;
use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::OutputError;
use crate::cli::runtime::on_runtime;
use crate::config::{NatsConfig, ServiceConfig, Slots};
use crate::operator::doctor::{Finding, Standing, broker, deployment, locks, machine};
use crate::service::Setup;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The service's configuration: examine broker, keys, bundle and limits besides the locks
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
    /// The monitoring address of a server of the broker, such as http://host:8222; repeat it for each server
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
    /// The credentials file of that user
    #[arg(long, value_name = "FILE", requires = "config")]
    system_credentials: Option<PathBuf>,
    /// The folder of a throw-away deployment, whose locks are examined
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

impl Args {
    /// Returns whether to examine a part: it was named, or none was.
    fn wants(&self, part: bool) -> bool {
        part || ![self.locks, self.broker, self.keys, self.bundle, self.limits].contains(&true)
    }

    /// Returns the connection of a user of the system account, if one was given.
    fn system_connection(&self, config: &ServiceConfig) -> Option<NatsConfig> {
        (self.system.is_some() || self.system_credentials.is_some()).then(|| NatsConfig {
            url: self.system.clone().unwrap_or_else(|| config.nats.url.clone()),
            credentials: self.system_credentials.clone(),
            tls: config.nats.tls.clone(),
            ..NatsConfig::default()
        })
    }
}

/// Examines what the arguments ask for. It is called with one thread.
pub(crate) fn run(args: &Args, circuits: &Circuits) -> CliResult {
    if let Some(folder) = &args.folder {
        return examine_locks(folder, &Circuits::new().with(locks::circuit()));
    }
    let mut is_in_force = true;
    if args.wants(args.locks) {
        is_in_force &= examine_locks_in_child()?;
    }
    if let Some(path) = &args.config {
        let config = ServiceConfig::read(path)?;
        is_in_force &= report(&examine_deployment(args, &config, circuits)?)?;
    }
    Ok(if is_in_force { Exit::Done } else { Exit::Failed })
}

fn examine_deployment(
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
        on_runtime(async {
            let system = args.system_connection(config);
            findings.extend(broker::examine(config, &args.monitor, system.as_ref()).await);
            Ok(Exit::Done)
        })?;
    }
    Ok(findings)
}

/// Makes a throw-away deployment, and examines the locks in a process of its own: a locked process could not remove the
/// folder.
fn examine_locks_in_child() -> Result<bool, Failure> {
    let circuits = Circuits::new().with(locks::circuit());
    let folder = tempfile::Builder::new().prefix("sealprove-doctor-").tempdir()?;
    Throwaway::create(folder.path(), 0, Slots { slots: 1, threads: 1, ..Slots::default() }, &circuits)?;
    let examined =
        Command::new("/proc/self/exe").arg("doctor").arg("--folder").arg(folder.path()).status()?;
    Ok(examined.success())
}

/// Examines the locks in this process, as the service of that deployment. It is called with one thread.
fn examine_locks(folder: &Path, circuits: &Circuits) -> CliResult {
    let config = ServiceConfig::read(&folder.join("sealprove.toml"))?;
    let setup = Setup::new(config, circuits)?;
    on_runtime(async {
        let findings = locks::examine(setup).await?;
        Ok(if report(&findings)? { Exit::Done } else { Exit::Failed })
    })
}

/// Prints a line for each finding; returns whether no protection is known to be missing.
fn report(findings: &[Finding]) -> Result<bool, OutputError> {
    for Finding { part, protection, standing, how } in findings {
        say!("{part:<8} {protection:<32} {:<9} {how}", standing.as_str())?;
    }
    Ok(findings.iter().all(|finding| finding.standing != Standing::Not))
}
