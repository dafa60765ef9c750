//! `sealprove serve`, the chamber that it starts, and `sealprove streams`.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream;

use super::output::{OutputError, say};
use super::signals::stop_signal;
use super::{Exit, Failure, Outcome_};
use crate::bundle::Bundle;
use crate::chamber;
use crate::circuit::Circuits;
use crate::client::ClientError;
use crate::config::ServiceConfig;
use crate::job::{CircuitId, Deployment};
use crate::service::{self, ChamberCommand, ServiceError, streams};

#[derive(clap::Args)]
pub(super) struct ServeArgs {
    /// The configuration; docs/sealprove.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct StreamsArgs {
    /// Make what is missing and mend what differs, or only say what does
    action: StreamsAction,
    /// The service's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum StreamsAction {
    Apply,
    Check,
}

#[derive(clap::Args)]
pub(super) struct ChamberArgs {
    #[arg(long)]
    listen: PathBuf,
    #[arg(long)]
    keys: PathBuf,
    #[arg(long)]
    deployment: Deployment,
    #[arg(long)]
    jobs_max: usize,
    #[arg(long = "circuit")]
    circuits: Vec<CircuitId>,
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

impl From<chamber::ChamberError> for Failure {
    fn from(error: chamber::ChamberError) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

/// Connections that wait for their order, beyond one for each slot.
const CONNECTIONS_SPARE: usize = 8;

pub(super) async fn serve(args: &ServeArgs, circuits: &Circuits) -> Outcome_ {
    let config = ServiceConfig::read(&args.config)?;
    // This very program, also when its file has been replaced by an upgrade.
    let program = PathBuf::from("/proc/self/exe");
    let keys = config.keys.clone();
    let jobs_max = config.service.slots + CONNECTIONS_SPARE;
    let limits = time_limits(&config, circuits)?;
    let command = |bundle: &Bundle| {
        let listed = bundle.circuits.iter().map(|circuit| circuit.id.clone());
        let circuits = listed.filter(|id| circuits.get(id).is_some()).collect();
        ChamberCommand { program, deployment: bundle.deployment.clone(), keys, circuits, jobs_max }
    };
    service::run(config, limits, command, stop_signal()?).await?;
    Ok(Exit::Done)
}

/// The limit of each circuit: the operator's, else the circuit's own.
fn time_limits(config: &ServiceConfig, circuits: &Circuits) -> Result<HashMap<CircuitId, Duration>, Failure> {
    if let Some(unknown) = config.circuits.keys().find(|id| circuits.get(id).is_none()) {
        let message =
            format!("the configuration names the circuit {unknown}, which this build does not have");
        return Err(Failure::new(Exit::Usage, message));
    }
    let limits = circuits.iter().map(|(id, circuit)| {
        let own = config.circuits.get(id).and_then(|limits| limits.time_limit);
        (id.clone(), own.unwrap_or_else(|| circuit.descriptor().time_limit))
    });
    Ok(limits.collect())
}

/// The key side. The service is at the other end of standard input.
pub(super) fn chamber(args: &ChamberArgs, circuits: &Circuits) -> Outcome_ {
    let control: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let config = chamber::Config {
        deployment: args.deployment.clone(),
        keys: args.keys.clone(),
        listen: args.listen.clone(),
        jobs_max: args.jobs_max,
    };
    let circuits = circuits.clone().retain(|id| args.circuits.contains(id));
    chamber::run(&config, &circuits, control)?;
    Ok(Exit::Done)
}

pub(super) async fn streams(args: &StreamsArgs) -> Outcome_ {
    let config = ServiceConfig::read(&args.config)?;
    let client = config.nats.connect("sealprove streams").await.map_err(ClientError::from)?;
    let context = jetstream::new(client);
    match args.action {
        StreamsAction::Apply => {
            let mended = streams::apply(&context, &config).await.map_err(unreachable)?;
            for difference in mended {
                say!("mended: {difference}")?;
            }
        }
        StreamsAction::Check => {}
    }
    Ok(report(&streams::check(&context, &config).await.map_err(unreachable)?)?)
}

fn unreachable(error: streams::StreamsError) -> Failure {
    Failure::new(Exit::Unreachable, error)
}

fn report(differences: &[streams::Difference]) -> Result<Exit, OutputError> {
    for difference in differences {
        say!("{difference}")?;
    }
    if !differences.is_empty() {
        return Ok(Exit::Failed);
    }
    say!("streams and consumers are as they must be")?;
    Ok(Exit::Done)
}
