//! Connections to the broker.
//!
//! Jobs and requests are messages of publishers, and the NATS library closes a whole connection over a header that it
//! cannot read. So those two have connections of their own, apart from the one that stores answers, keeps leases and
//! reads from leaders. A connection that was interrupted is opened again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Event};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::backoff::Waits;
use crate::config::{ServiceConfig, join_addresses};
use crate::jetstream::ConnectError;
use crate::metrics::{BrokerEvent, Metrics};

/// Waits before the next attempt to connect.
const CONNECT_WAITS: Waits = Waits::between(Duration::from_millis(100), Duration::from_secs(5));

/// A connection that is given up at its first interruption.
///
/// The library would reconnect by itself. But the broker has then dropped the pull requests that waited, and a
/// message that caused the interruption has to be answered first.
pub(super) struct Connection {
    pub(super) client: Client,
    closed: watch::Receiver<bool>,
}

impl Connection {
    /// Connects, however long it takes.
    pub(super) async fn connect(config: &ServiceConfig, metrics: &Arc<Metrics>) -> Self {
        let mut waits = CONNECT_WAITS.start();
        loop {
            let (close, closed) = watch::channel(false);
            // A server in lame-duck mode will end its connections. Leaving at once moves the pull requests to a
            // server that stays.
            let connected = connect(config, metrics.clone(), move |event| {
                if matches!(event, BrokerEvent::Disconnected | BrokerEvent::LameDuck | BrokerEvent::Closed) {
                    close.send_replace(true);
                }
            });
            match connected.await {
                Ok(client) => return Connection { client, closed },
                // The same configuration worked when the service started. A file of credentials may be missing while
                // it is replaced.
                Err(cause) => warn!(%cause, "cannot connect to the broker; trying again"),
            }
            waits.pause().await;
        }
    }

    /// Waits until it is interrupted, or the broker announces that it will be.
    pub(super) async fn closed(&self) {
        // A connection whose callback is gone is closed too.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }
}

/// Connects, however long it takes. `on_event` is called at every later event of the connection.
///
/// # Errors
/// When the configuration can never work.
pub(super) async fn connect(
    config: &ServiceConfig,
    metrics: Arc<Metrics>,
    on_event: impl Fn(BrokerEvent) + Send + Sync + 'static,
) -> Result<Client, ConnectError> {
    let on_event = Arc::new(on_event);
    let addresses = config.nats.addresses()?;
    let mut waits = CONNECT_WAITS.start();
    loop {
        let (metrics, on_event) = (metrics.clone(), on_event.clone());
        // Made for each attempt, since credentials may have been replaced after the last one.
        let options = config.nats.options("sealprove").await?.event_callback(move |event| {
            let kind = kind(&event);
            metrics.broker.event(kind);
            match kind {
                BrokerEvent::Connected => info!("connected to the broker"),
                _ => warn!(%event, "broker connection event"),
            }
            on_event(kind);
            async {}
        });
        match options.connect(&addresses[..]).await {
            Ok(client) => return Ok(client),
            Err(cause) => warn!(
                url = join_addresses(&addresses), %cause,
                "the broker cannot be reached; is nats-server running there? trying again"
            ),
        }
        waits.pause().await;
    }
}

fn kind(event: &Event) -> BrokerEvent {
    match event {
        Event::Connected => BrokerEvent::Connected,
        Event::Disconnected => BrokerEvent::Disconnected,
        Event::Closed | Event::Draining => BrokerEvent::Closed,
        Event::LameDuckMode => BrokerEvent::LameDuck,
        _ => BrokerEvent::Error,
    }
}
