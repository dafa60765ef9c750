//! The command line. The commands are grouped by audience: clients, operators, and people who try the program.

mod exit;
#[macro_use]
mod output;
mod circuits;
mod files;
mod log;
mod runtime;
mod signals;

mod client;

mod operator;

#[cfg(feature = "service")]
mod tryout;

mod help;

use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};

use crate::circuit::Circuits;
use exit::{CliResult, Exit};
use log::LogFormat;
use runtime::on_runtime;

/// Private proving over NATS: seal a witness, get its proof.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more to standard error (-v, -vv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Client(client::Command),
    #[command(flatten)]
    Operator(operator::Command),
    #[cfg(feature = "service")]
    #[command(flatten)]
    Tryout(tryout::Command),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the program with these circuits. A program of your own calls it with circuits of its own.
pub fn main(circuits: Circuits) -> ExitCode {
    let matches = help::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let format = match &cli.command {
        Command::Operator(command) => command.log_format(),
        _ => Some(LogFormat::Text),
    };
    if let Some(format) = format {
        log::start(cli.verbose, format);
    }
    exit_code(cli.command.run(&circuits))
}

impl Command {
    fn run(self, circuits: &Circuits) -> CliResult {
        match self {
            Command::Client(command) => on_runtime(command.run(circuits)),
            Command::Operator(command) => command.run(circuits),
            #[cfg(feature = "service")]
            Command::Tryout(command) => on_runtime(command.run(circuits)),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut help::command(), "sealprove", &mut script);
                output::bytes(&script)?;
                Ok(Exit::Done)
            }
        }
    }
}

fn exit_code(result: CliResult) -> ExitCode {
    let exit = result.unwrap_or_else(|failure| {
        if failure.exit() != Exit::Done {
            note!("error: {failure}");
        }
        failure.exit()
    });
    ExitCode::from(exit as u8)
}
