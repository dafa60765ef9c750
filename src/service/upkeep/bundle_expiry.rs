//! Watching the end of the served bundle.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use crate::protocol::{Bundle, UnixSeconds};
use crate::service::prover::ServedBundle;

/// Logs when the served bundle has expired: from then on clients refuse it, and no new jobs come.
pub(crate) async fn watch(served: Arc<ServedBundle>) {
    let mut logged = None;
    loop {
        let Bundle { serial, expires_at, .. } = served.current().bundle;
        let left = expires_at.since(UnixSeconds::now());
        // Once for each serial, and not every minute until a new bundle is signed.
        if left.is_zero() && logged.replace(serial) != Some(serial) {
            error!(
                serial,
                "the bundle has expired and clients refuse it; sign a new one with `sealprove bundle sign`"
            );
        }
        tokio::time::sleep(left.clamp(Duration::from_secs(1), Duration::from_secs(60))).await;
    }
}
