//! Waiting for the streams at the start of a service.
//!
//! A service that is started before its streams exist waits and says what is missing. It creates none.

use std::time::Duration;

use tracing::{error, warn};

use crate::backoff::Waits;
use crate::config::ServiceConfig;
use crate::jetstream::Broker;

/// Waits before the streams are checked again.
const CHECK_WAITS: Waits = Waits::between(Duration::from_millis(500), Duration::from_secs(5));
/// Largest accepted difference between this clock and the broker's, in seconds.
const CLOCK_OFFSET_MAX_SECONDS: f64 = 60.0;

/// Waits until streams and consumers are as the configuration needs them and the clocks agree; logs what is missing and
/// the command that creates it.
pub(super) async fn wait(broker: &Broker, config: &ServiceConfig) {
    let mut waits = CHECK_WAITS.start();
    loop {
        match broker.check_streams(config).await {
            Ok(differences) if differences.is_empty() => match broker.clock_offset().await {
                // Deadlines are compared with this clock and with the broker's timestamps. A service whose clock is
                // fast would answer `EXPIRED` to jobs that others have time to prove.
                Some(seconds) if seconds.abs() > CLOCK_OFFSET_MAX_SECONDS => {
                    error!(seconds, "this clock and the broker's differ; set them right");
                }
                // An offset that cannot be measured now is measured again for the metrics.
                _ => return,
            },
            Ok(differences) => {
                for difference in differences {
                    error!("{difference}; run `sealprove streams apply` with this configuration");
                }
            }
            Err(cause) => {
                let source = std::error::Error::source(&cause).map(ToString::to_string).unwrap_or_default();
                warn!(%cause, source, "the streams cannot be checked; trying again");
            }
        }
        waits.pause().await;
    }
}
