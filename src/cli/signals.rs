//! The signals that end a command in good order: SIGTERM, SIGINT, and SIGHUP, which comes when the terminal closes.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Starts to listen for the three signals, and returns a future of the first.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = hangup()?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = received(hangup.as_mut()) => {}
        }
    })
}

/// Returns the output of `work`; `None` if a signal comes first, which drops the work.
pub(crate) async fn unless_stopped<T>(work: impl Future<Output = T>) -> io::Result<Option<T>> {
    let stop = stop_signal()?;
    Ok(tokio::select! {
        output = work => Some(output),
        () = stop => None,
    })
}

/// Listens for SIGHUP, unless the parent process has it ignored, as `nohup` does.
fn hangup() -> io::Result<Option<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let kind = SignalKind::hangup();
    let is_ignored = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
    if is_ignored { Ok(None) } else { signal(kind).map(Some) }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
