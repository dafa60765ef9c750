//! The runtime of asynchronous commands.

use super::exit::CliResult;

/// Runs a command to its end. Tasks that it leaves running end with it.
///
/// The key side and a service that is not locked yet must have one thread, so each command decides itself when to call
/// this.
pub(crate) fn on_runtime(command: impl Future<Output = CliResult>) -> CliResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}
