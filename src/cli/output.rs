//! The output of a command: its result on standard output, remarks on standard error.
//!
//! `println!` panics if the reader has left or the disk is full, so no command uses it. [`say`] returns the error to its
//! caller, and a [`note`] that cannot be written is lost.

use std::fmt::Arguments;
use std::io::{self, Write};

use super::exit::{Exit, Failure};

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("write to standard output")]
pub(crate) struct OutputError(#[from] io::Error);

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        // A reader that has left, such as `head`, has read what it wanted.
        let has_left = error.0.kind() == io::ErrorKind::BrokenPipe;
        Failure::new(if has_left { Exit::Done } else { Exit::Failed }, error)
    }
}

/// Prints a line of the result.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}

/// Prints a remark.
macro_rules! note {
    ($($text:tt)*) => { $crate::cli::output::remark(format_args!($($text)*)) };
}

pub(crate) fn line(text: Arguments<'_>) -> Result<(), OutputError> {
    let mut output = io::stdout().lock();
    output.write_fmt(text)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    line(format_args!("{text}"))
}

/// Writes bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    Ok(output.flush()?)
}

pub(crate) fn remark(text: Arguments<'_>) {
    let mut output = io::stderr().lock();
    // Without a reader of standard error, there is nowhere to report this.
    let _ = output.write_fmt(text).and_then(|()| output.write_all(b"\n"));
}

/// Formats a number of things: `1 key`, `2 keys`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
