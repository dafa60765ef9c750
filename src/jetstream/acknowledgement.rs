//! The four replies to a delivery: ack, NAK, in progress, and term (ADR-15).
//!
//! They stay inside `jetstream`: only a leased job may use them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Request, Subject};

use super::connection::REQUEST_TIMEOUT;
use crate::metrics::{BrokerEvent, Metrics};

/// The reply subject of one delivery, on the connection that it is used on.
#[derive(Clone)]
pub(super) struct Acknowledgement {
    client: Client,
    reply: Subject,
    metrics: Arc<Metrics>,
}

impl Acknowledgement {
    pub(super) fn new(client: Client, reply: Subject, metrics: Arc<Metrics>) -> Self {
        Acknowledgement { client, reply, metrics }
    }

    /// Removes the message from its queue; returns whether the broker took it.
    pub(super) async fn ack(&self) -> bool {
        let taken = self.send("+ACK").await;
        if !taken {
            self.metrics.broker.event(BrokerEvent::RequestFailed);
        }
        taken
    }

    /// Hands the message back, to be delivered again after `delay`; returns whether the broker took it.
    pub(super) async fn nak(&self, delay: Duration) -> bool {
        // Without a delay the broker delivers the job again within milliseconds, and services that cannot prove it
        // would use up all of its deliveries in a moment. So the caller has to choose one, even if it is zero.
        self.send(&format!("-NAK {{\"delay\": {}}}", delay.as_nanos())).await
    }

    /// Removes the message; JetStream's advisory carries the reason.
    pub(super) async fn term(&self, reason: &str) -> bool {
        self.send(&format!("+TERM {reason}")).await
    }

    /// Extends the lease; returns whether the broker took it.
    pub(super) async fn progress(&self) -> bool {
        let taken = self.send("+WPI").await;
        if !taken {
            self.metrics.broker.event(BrokerEvent::LeaseFailed);
        }
        taken
    }

    async fn send(&self, word: &str) -> bool {
        // A request, and not `double_ack` of async-nats: that reports success for "no responders", which is what an
        // acknowledgement to a deleted consumer or during an election gets. Without a reply nothing would be known.
        let request = Request::new().payload(word.to_owned().into()).timeout(Some(REQUEST_TIMEOUT));
        self.client.send_request(self.reply.clone(), request).await.is_ok()
    }
}
