//! `sealprove serve`, the chamber that it starts, and `sealprove streams`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use async_nats::jetstream;

use super::output::{OutputError, say};
use super::signals::stop_signal;
use super::{Exit, Failure, Outcome_};
use crate::circuit::Circuits;
use crate::client::ClientError;
use crate::config::{Sandbox, ServiceConfig};
use crate::jetstream::topology as streams;
use crate::operator::doctor::locks;
use crate::protocol::{CircuitId, Deployment};
use crate::service::{self, NoChamber, RunError, Setup, SetupError};
use crate::{chamber, launcher};

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
    #[arg(long)]
    sandbox: Sandbox,
    #[arg(long = "circuit")]
    circuits: Vec<CircuitId>,
}

#[derive(clap::Args)]
pub(super) struct LauncherArgs {
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    keys: PathBuf,
    #[arg(long)]
    bundle: PathBuf,
    /// The arguments of every chamber
    #[arg(last = true)]
    chamber: Vec<OsString>,
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

impl From<NoChamber> for Failure {
    fn from(error: NoChamber) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

impl From<chamber::ChamberError> for Failure {
    fn from(error: chamber::ChamberError) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

/// The network side. It is called with one thread, and makes others once it is locked.
pub(super) fn serve(args: &ServeArgs, circuits: &Circuits) -> Outcome_ {
    let config = ServiceConfig::read(&args.config)?;
    if let Some(unknown) = config.circuits.keys().find(|id| circuits.get(id).is_none()) {
        let message =
            format!("the configuration names the circuit {unknown}, which this build does not have");
        return Err(Failure::new(Exit::Usage, message));
    }
    let setup = Setup::new(config, circuits)?;
    super::on_runtime(async {
        service::run(setup, stop_signal()?).await?;
        Ok(Exit::Done)
    })
}

/// Starts chambers. What the service connects to is standard input.
pub(super) fn launcher(args: LauncherArgs) -> Outcome_ {
    let watched = launcher::Watched { keys: args.keys, bundle: args.bundle };
    let listener = std::io::stdin().as_fd().try_clone_to_owned()?;
    launcher::run(args.folder, watched, args.chamber, listener)?;
    Ok(Exit::Done)
}

/// The key side. The service is at the other end of standard input.
pub(super) fn chamber(args: &ChamberArgs, circuits: &Circuits) -> Outcome_ {
    let control: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let config = chamber::Config {
        deployment: args.deployment.clone(),
        keys: args.keys.clone(),
        listen: args.listen.clone(),
        jobs_max: args.jobs_max,
        sandbox: args.sandbox,
    };
    let circuits = circuits.clone().with(locks::circuit()).retain(|id| args.circuits.contains(id));
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
