//! The log on standard error: one line for each event. It names a job by its id. Nothing that is derived from a witness is
//! ever an argument of an event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people, with warnings only unless more is asked for.
    Text,
    /// For machines, with the events of a service.
    #[cfg(feature = "service")]
    Json,
}

/// Starts the log. `SEALPROVE_LOG`, in the syntax of `tracing-subscriber`'s `EnvFilter`, overrides the level. Events of the
/// NATS library below a warning are left out: the service logs its connections itself.
pub(crate) fn start(verbose: u8, format: LogFormat) {
    let directives = match (format, verbose) {
        (LogFormat::Text, 0) => "warn",
        (LogFormat::Text, 1) => "info,async_nats=warn",
        #[cfg(feature = "service")]
        (LogFormat::Json, 0) => "info,async_nats=warn",
        _ => "info,async_nats=warn,sealprove=debug",
    };
    let filter = EnvFilter::try_from_env("SEALPROVE_LOG").unwrap_or_else(|_| EnvFilter::new(directives));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Without this, a closed terminal would be reported by `eprintln!`, which panics.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails if the log has already been started, as in tests.
    let _ = match format {
        LogFormat::Text => log.compact().try_init(),
        #[cfg(feature = "service")]
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
