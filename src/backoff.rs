//! Exponential backoff with jitter, without an end.
//!
//! Every retry in the program waits by one of these. The caller decides when to give up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The number of waits after which every backoff here is at its longest.
const WAITS_UNTIL_LONGEST: usize = 16;

/// The shortest and the longest wait of a backoff, for a `const`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    first: Duration,
    longest: Duration,
}

impl Waits {
    /// Waits that double from `first` to `longest`.
    pub(crate) const fn between(first: Duration, longest: Duration) -> Self {
        Waits { first, longest }
    }

    /// Starts a backoff at the first wait.
    pub(crate) fn start(self) -> Backoff {
        let builder = ExponentialBuilder::new().with_min_delay(self.first).with_max_delay(self.longest);
        Backoff { waits: builder.with_jitter().without_max_times().build(), longest: self.longest }
    }

    /// Returns the wait number `index`, from 0.
    pub(crate) fn nth(self, index: usize) -> Duration {
        self.start().waits.nth(index.min(WAITS_UNTIL_LONGEST)).unwrap_or(self.longest)
    }
}

/// A sequence of waits.
pub(crate) struct Backoff {
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// Returns the next wait.
    pub(crate) fn next(&mut self) -> Duration {
        self.waits.next().unwrap_or(self.longest)
    }

    /// Sleeps for the next wait.
    #[cfg(feature = "service")]
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
