//! Settings of a run, read from the environment, so that `cargo test` and `make chaos` start the same
//! program. The defaults are the short run that is part of `make test`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::Trouble;
use super::schedule::Kind;

/// Time that a delivery may go without a sign of life; short, so that a run is not all waiting.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(15);

/// The settings of a run.
pub(crate) struct Settings {
    /// Time in which faults are injected.
    pub(crate) duration: Duration,
    /// Seed of the schedule.
    pub(crate) seed: u64,
    pub(crate) brokers: usize,
    pub(crate) services: usize,
    /// Jobs submitted in a second, by all clients together.
    pub(crate) rate: f64,
    /// The only kinds of faults that are injected, where it is not the run's own choice.
    pub(crate) faults: Vec<Kind>,
    /// The program under test, where it is not the one that cargo built.
    pub(crate) program: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, Trouble> {
        let named = std::env::var("CHAOS_FAULTS").unwrap_or_default();
        let named: Result<Vec<Kind>, String> =
            named.split([',', ' ']).filter(|name| !name.is_empty()).map(str::parse).collect();
        let settings = Settings {
            duration: Duration::from_secs(number("CHAOS_DURATION", 75)?),
            seed: number("CHAOS_SEED", 1)?,
            brokers: number("CHAOS_BROKERS", 3)?,
            services: number("CHAOS_SERVICES", 2)?,
            rate: number("CHAOS_RATE", 3.0)?,
            faults: named?,
            program: std::env::var_os("CHAOS_PROGRAM").filter(|path| !path.is_empty()).map(PathBuf::from),
        };
        if !matches!(settings.brokers, 1 | 3 | 5) || settings.services == 0 || settings.rate <= 0.0 {
            return Err("brokers are 1, 3 or 5; services and jobs in a second more than 0".into());
        }
        Ok(settings)
    }
}

fn number<T: FromStr>(name: &str, default: T) -> Result<T, Trouble> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|_| format!("{name}={text} is no number").into())
        }
        _ => Ok(default),
    }
}
