//! The last known state of a job that has no answer yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{JobId, Tenant};
use super::time::UnixSeconds;

/// What is being done about a job. That a job is answered is known from its answer alone; a job with
/// no status whose submission was acknowledged is queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The protocol's version.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Whose job it is.
    pub tenant: Tenant,
    /// Which job it is.
    pub job: JobId,
    /// What is being done.
    pub state: State,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often this job's own process has crashed on it.
    pub faults: u32,
    /// Start of this state, in Unix seconds.
    pub since: UnixSeconds,
    /// How long a proof of this circuit takes here, in milliseconds, once one has been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
}

/// What is being done about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process is proving it.
    Proving,
    /// An attempt ended in a fault; it will be tried again.
    Retrying,
}

impl State {
    /// As it stands in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Proving => "proving",
            State::Retrying => "retrying",
        }
    }
}
