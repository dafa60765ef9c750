//! Subscriptions in the services' queue group.

use async_nats::{Client, Subscriber};
use tracing::error;

use crate::jetstream::QUEUE_GROUP;

/// Subscribes to a subject in the queue group; returns `None` without permission.
pub(super) async fn listen(client: &Client, subject: String) -> Option<Subscriber> {
    // The broker gives each request to one service of the group, so a client gets one reply however many services run.
    match client.queue_subscribe(subject.clone(), QUEUE_GROUP.to_owned()).await {
        Ok(requests) => Some(requests),
        Err(cause) => {
            error!(subject, %cause, "cannot listen for requests");
            None
        }
    }
}
