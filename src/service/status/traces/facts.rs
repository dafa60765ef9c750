//! The measured facts of a job, for its spans and its line in the audit log.
#![cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "some facts are read by the exporter alone"))]

use std::time::Duration;

use crate::audit::JobEnd;
use crate::protocol::{Timings, TraceParent, UnixMillis};

/// A settled job whose spans are sent.
pub(super) struct TracedJob {
    pub(super) trace: TraceParent,
    pub(super) end: JobEnd,
    pub(super) work: Work,
    pub(super) times: Times,
    /// Moment at which it was settled.
    pub(super) settled: UnixMillis,
}

/// Moments in a job's life that the service itself has seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) stored: UnixMillis,
    pub(crate) taken: UnixMillis,
    pub(crate) settling: UnixMillis,
}

/// The work on a job by this service.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    /// Number of the last attempt, from 1.
    pub(crate) attempt: u32,
    /// Start of the last attempt.
    pub(crate) began: Option<UnixMillis>,
    /// Duration of the last attempt.
    pub(crate) last_attempt: Duration,
    /// Duration of all attempts together.
    pub(crate) all_attempts: Duration,
    /// Durations that the process of the last attempt reported, capped at the whole.
    pub(crate) timings: Timings,
    pub(crate) sealed_ms: Option<u64>,
    /// Largest resident set of the last process, in bytes.
    pub(crate) peak_bytes: Option<u64>,
}
