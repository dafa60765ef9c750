//! The commands of an operator.

mod keys;

mod bundle;

mod audit;

#[cfg(feature = "service")]
mod throwaway;

#[cfg(feature = "service")]
mod doctor;

#[cfg(feature = "service")]
mod serve;

#[cfg(feature = "service")]
mod streams;

#[cfg(feature = "service")]
mod tenants;

#[cfg(feature = "service")]
mod top;

use super::exit::CliResult;
use super::log::LogFormat;
use super::runtime::on_runtime;
use crate::circuit::Circuits;

#[cfg(feature = "service")]
pub(crate) use throwaway::{Throwaway, client_toml, free_port};
#[cfg(feature = "service")]
pub(crate) use top::snapshot;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make, list, rotate, retire and destroy recipient keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make, sign, show and trust bundles
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Create or check the streams that a deployment needs
    #[cfg(feature = "service")]
    Streams(streams::Args),
    /// Make broker users and accounts, one account for each tenant
    #[cfg(feature = "service")]
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// Run the service
    #[cfg(feature = "service")]
    Serve(serve::ServeArgs),
    /// Show the activity of services and broker, live
    #[cfg(feature = "service")]
    Top(top::Args),
    /// Examine locks, broker, keys, bundle and memory
    #[cfg(feature = "service")]
    Doctor(doctor::Args),
    /// Verify audit logs
    #[command(subcommand)]
    Audit(audit::Command),
    /// The process that starts the key side of a service
    #[cfg(feature = "service")]
    #[command(hide = true)]
    Launcher(serve::LauncherArgs),
    /// The key side of a service
    #[cfg(feature = "service")]
    #[command(hide = true)]
    Chamber(serve::ChamberArgs),
}

impl Command {
    /// Returns the format of the command's log. The key side has no log.
    pub(crate) fn log_format(&self) -> Option<LogFormat> {
        match self {
            #[cfg(feature = "service")]
            Command::Chamber(_) => None,
            #[cfg(feature = "service")]
            Command::Serve(_) | Command::Launcher(_) => Some(LogFormat::Json),
            _ => Some(LogFormat::Text),
        }
    }

    /// Runs the command. It is called with one thread: the chamber and the launcher fork, and a service locks itself,
    /// before they start another.
    pub(crate) fn run(self, circuits: &Circuits) -> CliResult {
        match self {
            Command::Keys(command) => keys::run(&command),
            Command::Bundle(command) => on_runtime(bundle::run(&command, circuits)),
            Command::Audit(command) => audit::run(&command),
            #[cfg(feature = "service")]
            Command::Streams(args) => on_runtime(streams::run(&args)),
            #[cfg(feature = "service")]
            Command::Tenants(command) => tenants::run(&command),
            #[cfg(feature = "service")]
            Command::Serve(args) => serve::serve(&args, circuits),
            #[cfg(feature = "service")]
            Command::Top(args) => on_runtime(top::run(&args)),
            #[cfg(feature = "service")]
            Command::Doctor(args) => doctor::run(&args, circuits),
            #[cfg(feature = "service")]
            Command::Launcher(args) => serve::launcher(args),
            #[cfg(feature = "service")]
            Command::Chamber(args) => serve::chamber(&args, circuits),
        }
    }
}
