//! The headers of jobs and answers, by name.

/// Version of the protocol, in headers and documents.
pub const VERSION: &str = "1";

/// Header with the version of the protocol, on a job and on its answer.
pub const H_VERSION: &str = "Sealprove-Version";
/// Header with the id of the key that a job is sealed to.
pub const H_KEY: &str = "Sealprove-Key";
/// Header with a job's deadline, in Unix seconds.
pub const H_EXPIRES: &str = "Sealprove-Expires";
/// Header with the answer mode, on a job and on its answer.
pub const H_ANSWER: &str = "Sealprove-Answer";
/// Header with the verifying key that a client insists on.
pub const H_VERIFYING_KEY: &str = "Sealprove-Verifying-Key";
/// Header with the outcome, on an answer.
pub const H_OUTCOME: &str = "Sealprove-Outcome";
/// Header with the code, on an answer.
pub const H_CODE: &str = "Sealprove-Code";
/// Header with the tag that authenticates an open answer.
pub const H_TAG: &str = "Sealprove-Tag";
/// Header with the client's trace, on a job and on its answer.
pub const H_TRACE: &str = "traceparent";
/// Header with the media type of an answer's document.
pub const H_CONTENT_TYPE: &str = "Content-Type";
/// Media type of the document of an [`Answer`](super::Answer).
pub const ANSWER_MEDIA_TYPE: &str = "application/json";
