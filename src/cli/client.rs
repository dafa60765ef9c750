//! The commands of a client.

mod connection;

mod progress;

mod collect;
mod submit;

mod inspect;

mod cancel;

mod bundle;

use super::exit::CliResult;
use crate::circuit::Circuits;

pub(crate) use bundle::{ShowArgs, TrustArgs, show, trust};
#[cfg(feature = "service")]
pub(crate) use collect::timings;
#[cfg(feature = "service")]
pub(crate) use connection::{Connection, DevFile};
#[cfg(feature = "service")]
pub(crate) use progress::Progress;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Seal a witness and submit it; wait for the proof if asked to
    Submit(submit::Args),
    /// Collect, open and verify the answer to a submitted job
    Answer(collect::Args),
    /// Show the state of a job
    Status(inspect::StatusArgs),
    /// Cancel a job: remove it from the queue, or kill its proof
    Cancel(cancel::Args),
    /// Verify the proof in an answer
    Verify(inspect::VerifyArgs),
    /// Check a witness here, without proving
    Check(inspect::CheckArgs),
    /// Print a valid witness without a secret, to try a circuit with
    Sample(inspect::SampleArgs),
    /// List the circuits that the deployment proves
    Circuits(inspect::CircuitsArgs),
}

impl Command {
    pub(crate) async fn run(self, circuits: &Circuits) -> CliResult {
        match self {
            Command::Submit(args) => submit::run(&args, circuits).await,
            Command::Answer(args) => collect::run(&args, circuits).await,
            Command::Status(args) => inspect::status(&args, circuits).await,
            Command::Cancel(args) => cancel::run(&args, circuits).await,
            Command::Verify(args) => inspect::verify(&args, circuits),
            Command::Check(args) => inspect::check(&args, circuits),
            Command::Sample(args) => inspect::sample(&args, circuits),
            Command::Circuits(args) => inspect::circuits(&args, circuits).await,
        }
    }
}
