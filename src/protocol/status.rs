//! The status of a job: its last known state, while it has no answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{BadName, JobId, Tenant};
use super::time::UnixSeconds;

/// The status of a job.
///
/// Only an answer shows that a job is answered. A job whose submission was acknowledged and that has no status is
/// queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Version of the protocol.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Tenant of the job.
    pub tenant: Tenant,
    /// The job.
    pub job: JobId,
    /// State of the job.
    pub state: JobState,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Number of crashes of this job's own process.
    pub faults: u32,
    /// Start of this state, in Unix seconds.
    pub since: UnixSeconds,
    /// Typical time of a proof of this circuit here, in milliseconds, once one has been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
}

closed_set! {
    /// The state of a job that a service has taken.
    pub JobState, "job state" {
        /// A process is proving it.
        Proving = "proving",
        /// An attempt ended in a fault, and the job will be tried again.
        Retrying = "retrying",
    }
}
