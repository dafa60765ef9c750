//! The limits of a job's life.

use std::time::Duration;

/// The longest that a job may live, from its timestamp in the stream to its deadline.
pub const JOB_LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The greatest difference of two clocks that does not yet make a lifetime wrong.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);
/// The time after its deadline for which a job may still get its answer.
pub const ANSWER_GRACE: Duration = Duration::from_secs(10 * 60);
