//! The protocol, version 1: what a client, a broker and a service say to each other. Each file is a chapter of
//! `docs/PROTOCOL.md`; `schemas/` is their published twin.
//!
//! Parses, prints, seals and opens. Does no I/O.

#[cfg(feature = "service")]
#[macro_use]
mod closed_set;
mod base64;
pub(crate) mod random;

mod names;
mod time;

mod digest;
mod subjects;

mod codes;
mod headers;
mod limits;
mod proof;
mod trace;

mod answer;
mod cancel;
mod job;
mod seal;
mod status;

#[cfg(feature = "client")]
mod acceptance;
mod bundle;

pub use answer::{Answer, AnswerHeader, ErrorBody, Timings};
pub use base64::Base64;
pub use bundle::{
    Bundle, BundleCircuit, BundleError, BundleKey, Identity, IdentityKey, LabelledKey, SignedBundle,
};
pub use cancel::{CancelReply, CancelResult};
pub use codes::{Code, Outcome};
pub use digest::{Sha256Digest, VerifyingKeyDigest, catalogue_digest};
pub use headers::{
    ANSWER_MEDIA_TYPE, H_ANSWER, H_CODE, H_CONTENT_TYPE, H_EXPIRES, H_KEY, H_OUTCOME, H_TAG, H_TRACE,
    H_VERIFYING_KEY, H_VERSION, VERSION,
};
pub use job::{HeaderFault, JobHeader, VerifyingKeyPin};
pub use limits::{ANSWER_GRACE, CLOCK_SKEW_MAX, JOB_LIFETIME_MAX};
pub use names::{AnswerMode, BadName, CircuitId, Deployment, JobId, KeyId, Lane, Tenant};
pub use proof::{Proof, PublicInputs};
pub use seal::{
    AnswerBinding, AnswerSecret, Opened, Scheme, SealError, Sealed, generate_key, key_id, open, public_key,
    seal, sealed_bytes,
};
pub use status::{State, Status};
pub use subjects::{JobSubject, Subjects};
pub use time::{UnixMillis, UnixSeconds};
pub use trace::TraceParent;

#[cfg(feature = "client")]
pub(crate) use acceptance::believe;
pub(crate) use answer::is_header_value;
#[cfg(feature = "client")]
pub(crate) use time::millis;
