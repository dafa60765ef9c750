//! What a service says to a request to cancel a job.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::names::{JobId, Tenant};

/// The reply to a request on a job's cancel subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelReply {
    /// The protocol's version.
    #[schemars(extend("const" = "1"))]
    pub version: String,
    /// Whose job it is.
    pub tenant: Tenant,
    /// Which job it is.
    pub job: JobId,
    /// What came of the request.
    pub result: CancelResult,
    /// The code of the answer that the job has, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// What came of a request to cancel a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CancelResult {
    /// `CANCELLED` is the job's one answer. Whoever is proving it stops.
    Cancelled,
    /// Too late: it has another answer.
    Answered,
    /// There is neither such a job nor an answer to it. Nothing was written.
    NotFound,
    /// The broker could not be asked, so that nothing is known: ask again.
    Unavailable,
}

impl CancelResult {
    /// All results.
    pub const ALL: [CancelResult; 4] =
        [CancelResult::Cancelled, CancelResult::Answered, CancelResult::NotFound, CancelResult::Unavailable];

    /// The result as it stands in the reply and as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            CancelResult::Cancelled => "cancelled",
            CancelResult::Answered => "answered",
            CancelResult::NotFound => "not-found",
            CancelResult::Unavailable => "unavailable",
        }
    }
}
