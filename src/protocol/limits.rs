//! The limits of a job's life.

/// The longest that a job may live, in seconds from its timestamp in the stream.
pub const LIFETIME_SECONDS_MAX: u64 = 24 * 60 * 60;
/// How far two clocks may be apart before a lifetime is refused, in seconds.
pub const SKEW_SECONDS: u64 = 5 * 60;
/// How long after its deadline a job may still get its answer, in seconds.
pub const GRACE_SECONDS: u64 = 10 * 60;
