//! Reports of the locks of a process, in the log and in the metrics.

use tracing::{info, warn};

use crate::frame::Locks;
use crate::metrics::Metrics;

/// Reports the locks of a process, and what this kernel lacks of them.
pub(crate) fn report_locks(process: &'static str, locks: Locks, metrics: &Metrics) {
    metrics.chambers.locked(process, locks);
    match locks {
        Locks { calls: false, .. } => warn!(process, "runs without a lock, as the configuration says"),
        Locks { files, .. } if files < Locks::FILES_WHOLE => warn!(
            process,
            landlock = files,
            "locked, except for what this kernel's Landlock lacks; `sealprove doctor` lists it"
        ),
        Locks { files, .. } => info!(process, landlock = files, "locked"),
    }
}
