//! Points in time, in Unix seconds and in Unix milliseconds.
//!
//! Deadlines and the lives of keys are compared with the clocks of other machines, so they are counted from 1970 in
//! UTC. Intervals are [`Duration`]s, and what one process measures, it measures by the monotonic clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::BadName;

/// The last second that RFC 3339 can write: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

macro_rules! point_in_time {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $count:ident, $duration:path) => {
        $(#[$doc])*
        ///
        /// Arithmetic saturates: a bundle may state any number, and the end of time is as good as forever.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Reads the system's clock. A clock before 1970 reads as 1970.
            pub fn now() -> Self {
                $name(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, $count))
            }

            /// Returns the time from `earlier` to this point, zero if `earlier` is later.
            pub fn since(self, earlier: Self) -> Duration {
                $duration(self.0.saturating_sub(earlier.0))
            }

            /// Returns the time from this point to now, zero if it is in the future.
            pub fn elapsed(self) -> Duration {
                Self::now().since(self)
            }
        }

        impl Add<Duration> for $name {
            type Output = Self;

            fn add(self, duration: Duration) -> Self {
                $name(self.0.saturating_add($count(duration)))
            }
        }

        impl Sub<Duration> for $name {
            type Output = Self;

            fn sub(self, duration: Duration) -> Self {
                $name(self.0.saturating_sub($count(duration)))
            }
        }

        /// Writes the number, as it stands in headers and documents.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// Reads decimal digits without a sign or a leading zero. The seal binds the text, so a number has one
        /// spelling.
        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let number = text.parse().ok().filter(|number: &u64| number.to_string() == text);
                number.map($name).ok_or(BadName::new("point in time", concat!("a number of ", $unit, " since 1970")))
            }
        }
    };
}

point_in_time! {
    /// A point in time, in Unix seconds.
    UnixSeconds, "seconds", seconds, Duration::from_secs
}

point_in_time! {
    /// A point in time, in Unix milliseconds.
    UnixMillis, "milliseconds", millis, Duration::from_millis
}

impl UnixSeconds {
    /// Returns the first millisecond of this second.
    pub fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(1000))
    }

    /// Writes the point in time for people, as RFC 3339 with seconds.
    pub fn to_rfc3339(self) -> String {
        if self.0 > LAST_SECOND {
            return format!("the year 10000 or later (Unix seconds {self})");
        }
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.0)).to_string()
    }
}

impl UnixMillis {
    /// Returns the second that this millisecond is part of.
    pub fn to_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }

    /// Writes the point in time for people, as RFC 3339 with milliseconds.
    pub fn to_rfc3339(self) -> String {
        if self.to_seconds().0 > LAST_SECOND {
            return self.to_seconds().to_rfc3339();
        }
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0)).to_string()
    }
}

/// Returns a duration in whole seconds.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

/// Returns a duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: UnixSeconds = UnixSeconds(u64::MAX);

    #[test]
    fn arithmetic_saturates() {
        let day = Duration::from_secs(86_400);
        assert_eq!(UnixSeconds(100) + day, UnixSeconds(86_500));
        assert_eq!((END + day, UnixSeconds(100) - day), (END, UnixSeconds(0)));
        assert_eq!(UnixSeconds(86_500).since(UnixSeconds(100)), day);
        assert_eq!(UnixSeconds(100).since(END), Duration::ZERO);
        assert_eq!((END.to_millis(), UnixMillis(1999).to_seconds()), (UnixMillis(u64::MAX), UnixSeconds(1)));
        assert_eq!(UnixMillis(1) + Duration::MAX, UnixMillis(u64::MAX));
    }

    #[test]
    fn people_read_rfc_3339() {
        assert_eq!(UnixSeconds(1_795_996_800).to_rfc3339(), "2026-11-30T00:00:00Z");
        assert_eq!(UnixMillis(1_795_996_800_007).to_rfc3339(), "2026-11-30T00:00:00.007Z");
        assert_eq!(UnixSeconds(LAST_SECOND).to_rfc3339(), "9999-12-31T23:59:59Z");
        assert_eq!(END.to_rfc3339(), format!("the year 10000 or later (Unix seconds {})", u64::MAX));
        assert!(UnixMillis(u64::MAX).to_rfc3339().starts_with("the year 10000"));
    }

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!("1800000000".parse(), Ok(UnixSeconds(1_800_000_000)));
        for other in ["01800000000", "+1800000000", "-1", "1.8e9", "18446744073709551616", " 1", ""] {
            assert!(other.parse::<UnixSeconds>().is_err(), "{other}");
        }
    }

    #[test]
    fn documents_hold_the_number() {
        assert_eq!(serde_json::to_string(&END).unwrap(), u64::MAX.to_string());
        assert_eq!(serde_json::from_str::<UnixMillis>("7").unwrap(), UnixMillis(7));
        assert_eq!(schemars::schema_for!(UnixSeconds).get("type"), schemars::schema_for!(u64).get("type"));
    }
}
