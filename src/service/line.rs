//! Connections on which strangers' bytes come in: jobs, and requests. The NATS library gives up a whole
//! connection over a header that it cannot read. So these are apart from the one that stores answers, keeps
//! leases and reads from leaders, on which the broker alone speaks; and one that broke is made anew.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Event};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{ServiceError, Shared};
use crate::broker::Backoff;
use crate::config::ServiceConfig;
use crate::metrics::{BrokerEvent, Metrics};

/// The first and the longest wait before the broker is tried again.
const BROKER_WAIT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// A connection that is given up at its first interruption.
pub(super) struct Line {
    pub(super) client: Client,
    broken: watch::Receiver<bool>,
}

impl Line {
    /// Makes one, however long it takes.
    pub(super) async fn dial(shared: &Shared) -> Self {
        let mut waits = Backoff::new(BROKER_WAIT);
        loop {
            let (break_it, broken) = watch::channel(false);
            let heard = move |event| {
                let is_over =
                    matches!(event, BrokerEvent::Disconnected | BrokerEvent::LameDuck | BrokerEvent::Closed);
                if is_over {
                    break_it.send_replace(true);
                }
            };
            match connect(&shared.config, shared.metrics.clone(), heard).await {
                Ok(client) => return Line { client, broken },
                // It could be used when the service started, so this passes.
                Err(cause) => warn!(%cause, "a connection to the broker cannot be made"),
            }
            waits.pause().await;
        }
    }

    /// Until it is interrupted, or the broker says that it will be.
    pub(super) async fn broken(&self) {
        // A line whose callback is gone is broken too.
        let _ = self.broken.clone().wait_for(|broken| *broken).await;
    }
}

/// Connects, however long it takes; only a configuration that can never work is an error. `heard` is told
/// what happens to the connection from then on.
pub(super) async fn connect(
    config: &ServiceConfig,
    metrics: Arc<Metrics>,
    heard: impl Fn(BrokerEvent) + Send + Sync + 'static,
) -> Result<Client, ServiceError> {
    let heard = Arc::new(heard);
    let mut waits = Backoff::new(BROKER_WAIT);
    loop {
        let (metrics, heard) = (metrics.clone(), heard.clone());
        let options = config.nats.options("sealprove").await?.event_callback(move |event| {
            let counted = counted(&event);
            metrics.broker.event(counted);
            match counted {
                BrokerEvent::Connected => info!("connected to the broker"),
                _ => warn!(%event, "the connection to the broker"),
            }
            heard(counted);
            async {}
        });
        match options.connect(config.nats.addresses()).await {
            Ok(client) => return Ok(client),
            Err(cause) => warn!(
                url = config.nats.shown(), %cause,
                "the broker cannot be reached; is nats-server running there? trying again"
            ),
        }
        waits.pause().await;
    }
}

fn counted(event: &Event) -> BrokerEvent {
    match event {
        Event::Connected => BrokerEvent::Connected,
        Event::Disconnected => BrokerEvent::Disconnected,
        Event::Closed | Event::Draining => BrokerEvent::Closed,
        Event::LameDuckMode => BrokerEvent::LameDuck,
        _ => BrokerEvent::Error,
    }
}
