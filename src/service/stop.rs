//! The order to stop.

use tokio::sync::watch;

/// The order to take no more jobs.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns the order that is given when `shutdown` completes.
    pub(super) fn after(shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        let (order, ordered) = watch::channel(false);
        tokio::spawn(async move {
            shutdown.await;
            let _ = order.send(true);
        });
        Stop(ordered)
    }

    pub(super) fn is_ordered(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the order.
    pub(super) async fn ordered(&self) {
        // The sender is gone without an order only when the runtime ends.
        if self.0.clone().wait_for(|ordered| *ordered).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
