//! The names of the headers on jobs and answers.

/// The version of the protocol, in headers and documents.
pub const VERSION: &str = "1";

/// `Sealprove-Version`.
pub const H_VERSION: &str = "Sealprove-Version";
/// `Sealprove-Key`.
pub const H_KEY: &str = "Sealprove-Key";
/// `Sealprove-Expires`.
pub const H_EXPIRES: &str = "Sealprove-Expires";
/// `Sealprove-Answer`.
pub const H_ANSWER: &str = "Sealprove-Answer";
/// `Sealprove-Verifying-Key`.
pub const H_VERIFYING_KEY: &str = "Sealprove-Verifying-Key";
/// `Sealprove-Outcome`.
pub const H_OUTCOME: &str = "Sealprove-Outcome";
/// `Sealprove-Code`.
pub const H_CODE: &str = "Sealprove-Code";
/// `Sealprove-Tag`.
pub const H_TAG: &str = "Sealprove-Tag";
/// `traceparent`: the client's trace, on a job and on its answer.
pub const H_TRACE: &str = "traceparent";
/// `Content-Type`.
pub const H_CONTENT_TYPE: &str = "Content-Type";
/// The media type of the [`Answer`] document.
pub const ANSWER_MEDIA_TYPE: &str = "application/json";
