//! What a command says: its result on standard output, remarks on standard error.
//!
//! `println!` panics where the reader has left or the disk is full, so nobody here uses it: [`say`] gives the
//! error to its caller, and a [`note`] that cannot be written is lost.

use std::fmt::Arguments;
use std::io::{self, Write};

use super::{Exit, Failure};

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("write to standard output")]
pub(super) struct OutputError(#[from] io::Error);

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        // A reader that has left has read what it wanted.
        let left = error.0.kind() == io::ErrorKind::BrokenPipe;
        Failure::new(if left { Exit::Done } else { Exit::Failed }, error)
    }
}

/// A line of the result.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}

/// A line beside the result.
macro_rules! note {
    ($($text:tt)*) => { $crate::cli::output::remark(format_args!($($text)*)) };
}

pub(super) use {note, say};

pub(super) fn line(text: Arguments<'_>) -> Result<(), OutputError> {
    let mut output = io::stdout().lock();
    output.write_fmt(text)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    line(format_args!("{text}"))
}

/// Bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    Ok(output.flush()?)
}

pub(super) fn remark(text: Arguments<'_>) {
    let mut output = io::stderr().lock();
    // Nobody is left to hear of it.
    let _ = output.write_fmt(text).and_then(|()| output.write_all(b"\n"));
}

/// `1 key`, `2 keys`.
pub(super) fn count(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}
