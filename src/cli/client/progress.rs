//! Progress for a person who waits.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::protocol::{JobState, Status, millis};

/// A line with the current step and, while a proof runs, its expected progress. Without a terminal, each state of a job is
/// printed once.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Start of the running proof.
    proving: Option<Instant>,
    /// States that were printed, without a terminal.
    printed: Vec<&'static str>,
}

impl Progress {
    /// Shows the first step on standard error.
    pub(crate) fn new(first: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(spinner());
        bar.set_message(first);
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress { bar, proving: None, printed: Vec::new() }
    }

    /// Shows the next step.
    pub(crate) fn step(&mut self, message: impl Into<Cow<'static, str>>) {
        self.proving = None;
        self.bar.set_style(spinner());
        self.bar.set_message(message);
    }

    /// Shows the status of the job.
    pub(crate) fn status(&mut self, status: Option<&Status>) {
        self.print_once(status.map_or("queued", |status| status.state.as_str()));
        match status {
            None => self.step("queued"),
            Some(Status { state: JobState::Retrying, attempt, .. }) => {
                self.step(format!("attempt {attempt} failed, trying again"))
            }
            Some(Status { state: JobState::Proving, expected_ms: None, .. }) => self.step("proving"),
            Some(Status { state: JobState::Proving, expected_ms: Some(expected), .. }) => {
                self.prove(*expected)
            }
        }
    }

    fn prove(&mut self, expected_ms: u64) {
        let expected_ms = expected_ms.max(1);
        let started = *self.proving.get_or_insert_with(Instant::now);
        self.bar.set_style(bar());
        self.bar.set_length(expected_ms);
        self.bar.set_position(millis(started.elapsed()).min(expected_ms));
        let seconds = Duration::from_millis(expected_ms).as_secs_f32().ceil();
        self.bar.set_message(format!("proving, about {seconds} s"));
    }

    fn print_once(&mut self, state: &'static str) {
        if self.bar.is_hidden() && !self.printed.contains(&state) {
            self.printed.push(state);
            note!("{state}");
        }
    }

    /// Prints a line that stays, with or without a terminal.
    pub(crate) fn print(&self, line: &str) {
        self.bar.suspend(|| note!("{line}"));
    }

    /// Clears the line.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
    }
}

fn spinner() -> ProgressStyle {
    // Cannot panic: a constant template.
    ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}").expect("a template")
}

fn bar() -> ProgressStyle {
    // Cannot panic: a constant template.
    ProgressStyle::with_template("{spinner} {elapsed_precise} {msg} {wide_bar}").expect("a template")
}
