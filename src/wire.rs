//! What a client, a broker and a service say to each other, version 1: the headers of a job and of an
//! answer, the error codes, and the JSON documents. The published twins of these types are
//! `docs/PROTOCOL.md` and `schemas/`.
//!
//! Pure: parses and prints, touches no network and no key.

mod answer;
mod cancel;
mod code;
mod header;
mod status;
mod trace;

pub(crate) use answer::is_header_value;
pub use answer::{Answer, AnswerHeader, Base64, ErrorBody, Timings};
pub use cancel::{CancelReply, CancelResult};
pub use code::{Code, Outcome};
pub use header::{HeaderFault, JobHeader, VerifyingKeyPin};
pub use status::{State, Status};
pub use trace::TraceParent;

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

/// The longest that a job may live, in seconds from its timestamp in the stream.
pub const LIFETIME_SECONDS_MAX: u64 = 24 * 60 * 60;
/// How far two clocks may be apart before a lifetime is refused, in seconds.
pub const SKEW_SECONDS: u64 = 5 * 60;
/// How long after its deadline a job may still get its answer, in seconds.
pub const GRACE_SECONDS: u64 = 10 * 60;
