//! `sealprove serve`, and the hidden commands of the processes that it starts.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::runtime::on_runtime;
use crate::cli::signals::stop_signal;
use crate::config::{Sandbox, ServiceConfig};
use crate::operator::doctor::locks;
use crate::protocol::{CircuitId, Deployment};
use crate::service::{self, Setup};
use crate::{chamber, launcher};

#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// The configuration; docs/sealprove.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct ChamberArgs {
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
pub(crate) struct LauncherArgs {
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

/// Runs the network side. It is called with one thread, and starts others once it is locked.
pub(crate) fn serve(args: &ServeArgs, circuits: &Circuits) -> CliResult {
    let config = ServiceConfig::read(&args.config)?;
    if let Some(unknown) = config.circuits.keys().find(|id| circuits.get(id).is_none()) {
        let message =
            format!("the configuration names the circuit {unknown}, which this build does not have");
        return Err(Failure::new(Exit::Usage, message));
    }
    let setup = Setup::new(config, circuits)?;
    on_runtime(async {
        service::run(setup, stop_signal()?).await?;
        Ok(Exit::Done)
    })
}

/// Runs the launcher, which starts chambers. The service connects to the socket on standard input.
pub(crate) fn launcher(args: LauncherArgs) -> CliResult {
    let watched = launcher::Watched { keys: args.keys, bundle: args.bundle };
    let listener = std::io::stdin().as_fd().try_clone_to_owned()?;
    launcher::run(args.folder, watched, args.chamber, listener)?;
    Ok(Exit::Done)
}

/// Runs the key side. The service is at the other end of standard input.
pub(crate) fn chamber(args: &ChamberArgs, circuits: &Circuits) -> CliResult {
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
