//! The command line. The commands are grouped by audience: clients, operators, and people who try the program out.

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

mod arguments;

use std::process::ExitCode;

use crate::circuit::Circuits;
use arguments::Arguments;
use exit::{CliResult, Exit};

/// Runs the program with these circuits. A program of your own calls it with circuits of its own.
pub fn main(circuits: Circuits) -> ExitCode {
    let arguments = Arguments::parse_or_exit();
    if let Some(format) = arguments.command.log_format() {
        log::start(arguments.verbose, format);
    }
    report(arguments.command.run(&circuits))
}

/// Prints the error of a failure, and returns the exit code.
fn report(result: CliResult) -> ExitCode {
    let exit = result.unwrap_or_else(|failure| {
        if failure.exit() != Exit::Done {
            note!("error: {failure}");
        }
        failure.exit()
    });
    ExitCode::from(exit as u8)
}
