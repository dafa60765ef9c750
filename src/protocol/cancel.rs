//! Cancelling a job: the reply to a client's request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::names::{BadName, JobId, Tenant};

/// The reply to a request on a job's cancel subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelReply {
    /// Version of the protocol.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Tenant of the job.
    pub tenant: Tenant,
    /// The job.
    pub job: JobId,
    /// Result of the request.
    pub result: CancelResult,
    /// Code of the job's answer, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

closed_set! {
    /// The result of a request to cancel a job.
    pub CancelResult, "cancel result" {
        /// `CANCELLED` is the job's one answer. A service that is proving it stops.
        Cancelled = "cancelled",
        /// Too late: the job has another answer.
        Answered = "answered",
        /// There is neither such a job nor an answer to it. Nothing was written.
        NotFound = "not-found",
        /// The broker could not be read, so nothing is known. The client may ask again.
        Unavailable = "unavailable",
    }
}
