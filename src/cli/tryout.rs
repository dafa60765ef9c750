//! The commands to try the program out.

mod environment;

mod dev;

mod demo;

mod bench;

use super::exit::CliResult;
use crate::circuit::Circuits;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Keep a private environment running: broker, keys, service
    Dev(dev::Args),
    /// Show the path of two jobs, hop by hop
    Demo(demo::Args),
    /// Measure what the whole path adds to a bare proof
    Bench(bench::Args),
}

impl Command {
    pub(crate) async fn run(self, circuits: &Circuits) -> CliResult {
        match self {
            Command::Dev(args) => dev::run(&args, circuits).await,
            Command::Demo(args) => demo::run(&args, circuits).await,
            Command::Bench(args) => bench::run(&args, circuits).await,
        }
    }
}
