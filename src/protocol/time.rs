//! The two clocks: Unix seconds, which are compared with what others say, and durations.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds; 0 on a clock before 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Now, in Unix milliseconds.
#[cfg(feature = "service")]
pub(crate) fn unix_now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
