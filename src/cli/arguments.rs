//! The arguments of the program: its commands, which the groups define.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::exit::{CliResult, Exit};
use super::log::LogFormat;
use super::runtime::on_runtime;
#[cfg(feature = "service")]
use super::tryout;
use super::{client, help, operator, output};
use crate::circuit::Circuits;

/// Private proving over NATS: seal a witness, get its proof.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Log more to standard error (-v, -vv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

const AFTER_HELP: &str = "\
Try it: `sealprove dev` keeps a private environment running. In another shell:
  sealprove circuits                                   lists what it proves
  sealprove sample threshold-v1 > witness.json         prints a witness to prove
  sealprove submit threshold-v1 witness.json --wait --json > answer.json
                                                       seals, submits, verifies

Exit codes: 0 done, 1 failed here, 2 usage, 3 refused, 4 failed but worth a try,
5 unreachable, 6 no answer yet.";

#[derive(Subcommand)]
pub(super) enum Command {
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

impl Arguments {
    /// Parses the arguments of this process. If they are wrong or ask for help, this ends the process.
    pub(super) fn parse_or_exit() -> Self {
        let matches = parser().get_matches();
        Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Returns the parser of the whole command line.
fn parser() -> clap::Command {
    let groups = [
        ("Client commands", help::group::<client::Command>()),
        ("Operator commands", help::group::<operator::Command>()),
        #[cfg(feature = "service")]
        ("Commands to try it out", help::group::<tryout::Command>()),
    ];
    help::with_groups(Arguments::command(), &groups)
}

impl Command {
    /// Returns the format of the command's log, if it has one.
    pub(super) fn log_format(&self) -> Option<LogFormat> {
        match self {
            Command::Operator(command) => command.log_format(),
            _ => Some(LogFormat::Text),
        }
    }

    /// Runs the command. It is called with one thread.
    pub(super) fn run(self, circuits: &Circuits) -> CliResult {
        match self {
            Command::Client(command) => on_runtime(command.run(circuits)),
            Command::Operator(command) => command.run(circuits),
            #[cfg(feature = "service")]
            Command::Tryout(command) => on_runtime(command.run(circuits)),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut parser(), "sealprove", &mut script);
                output::bytes(&script)?;
                Ok(Exit::Done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_command_once_and_fits_80_columns() {
        let mut parser = parser();
        let help = parser.render_help().to_string();
        for command in parser.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("\n  {} ", command.get_name());
            // `help` is added when the parser is built, and works without being listed.
            let times = usize::from(command.get_name() != "help");
            assert_eq!(help.matches(&name).count(), times, "{name}:\n{help}");
        }
        let commands = help.split("Options:").next().unwrap_or_default();
        assert!(commands.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
