//! The journal of a client: a line of JSON for each event, on disk before the next step. The
//! client writes it, the checker reads it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobKind {
    /// Must be proved.
    Valid,
    /// Valid, and its message is published more than once.
    Duplicate,
    /// Valid, and taken back after a moment.
    Cancelled,
    /// Valid, with a deadline in a moment.
    Hurried,
    /// The statement does not hold.
    Invalid,
    /// The seal does not open.
    Damaged,
}

impl JobKind {
    /// Checks whether only a proof will do.
    pub(crate) fn must_be_proved(self) -> bool {
        matches!(self, JobKind::Valid | JobKind::Duplicate)
    }
}

/// An event in the life of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// About to publish.
    Submitting(JobKind),
    /// The broker has it: from here on, one answer is due.
    Accepted,
    /// Not accepted as far as the client knows.
    GivenUp(String),
    /// The same message was published again, and this came of it.
    Again(String),
    /// Result of a request to cancel.
    Cancel(String),
    /// Answer as the client saw it: the code, and whether it is authentic.
    Collected { code: String, authentic: bool },
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) job: String,
    pub(crate) event: Event,
}

/// A client's journal.
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        OpenOptions::new().create_new(true).append(true).open(path).map(Journal)
    }

    /// Writes a line; when this returns, it outlives the client.
    pub(crate) fn write(&mut self, job: &str, event: Event) -> std::io::Result<()> {
        let entry = Entry { at: unix_ms(), job: job.to_owned(), event };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.sync_data()
    }

    /// Every whole line of a journal. The last may be half a line: its client was killed.
    pub(crate) fn read(path: &Path) -> std::io::Result<Vec<Entry>> {
        let text = std::fs::read_to_string(path)?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// Unix milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("milliseconds")
}
