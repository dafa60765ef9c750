//! What a person sees while waiting.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::note;
use crate::protocol::{JobState, Status};

/// A line that says what is being done, and, once a proof is being made, how far it should be.
pub(super) struct Progress {
    bar: ProgressBar,
    proving: Option<(Instant, Duration)>,
    /// The states that were said in a line, where there is no terminal.
    said: Vec<&'static str>,
}

impl Progress {
    /// On a terminal's standard error; elsewhere only a job's states are said, each once.
    pub(super) fn new(first: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(spinner());
        bar.set_message(first);
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress { bar, proving: None, said: Vec::new() }
    }

    /// The next step.
    pub(super) fn step(&mut self, message: impl Into<std::borrow::Cow<'static, str>>) {
        self.proving = None;
        self.bar.set_style(spinner());
        self.bar.set_message(message);
    }

    /// What the service says of the job.
    pub(super) fn status(&mut self, status: Option<&Status>) {
        self.say_once(status.map_or("queued", |status| status.state.as_str()));
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
        let expected = Duration::from_millis(expected_ms.max(1));
        let (since, _) = *self.proving.get_or_insert_with(|| (Instant::now(), expected));
        self.bar.set_style(bar());
        self.bar.set_length(expected_ms.max(1));
        self.bar.set_position(crate::protocol::millis(since.elapsed()).min(expected_ms));
        self.bar.set_message(format!("proving, about {} s", expected.as_secs_f32().ceil()));
    }

    fn say_once(&mut self, state: &'static str) {
        if self.bar.is_hidden() && !self.said.contains(&state) {
            self.said.push(state);
            note!("{state}");
        }
    }

    /// A line that stays, also where there is no terminal.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| note!("{line}"));
    }

    /// Clears the line.
    pub(super) fn done(self) {
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
