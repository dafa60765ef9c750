//! The log: standard error, one line an event. A job is named by its id; nothing that is derived from a
//! witness is ever an argument of an event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts the log. A service says what it does; a command says it when asked. `SEALPROVE_LOG` overrides
/// both, in the syntax of `tracing-subscriber`'s `EnvFilter`. What the broker's library says of the connection
/// is left out below a warning: the service says it itself.
pub(crate) fn init(verbose: u8, service: bool) {
    let directives = match (service, verbose) {
        (false, 0) => "warn",
        (true, 0) | (false, 1) => "info,async_nats=warn",
        _ => "info,async_nats=warn,sealprove=debug",
    };
    let filter = EnvFilter::try_from_env("SEALPROVE_LOG").unwrap_or_else(|_| EnvFilter::new(directives));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A terminal that has closed takes no lines, and would be told so in a line that panics.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start, as tests make, changes nothing.
    let _ = if service { log.json().flatten_event(true).try_init() } else { log.compact().try_init() };
}
