//! The desk: what strangers may ask a service besides jobs, on a connection of its own. The bundle, and to
//! cancel; and what the broker says live.

use std::sync::Arc;

use async_nats::Client;
use futures_util::StreamExt;
use tracing::error;

use super::line::Line;
use super::{Shared, cancel};

/// Of all services, one answers a request.
pub(super) const QUEUE_GROUP: &str = "sealprove";

/// Answers requests until the service ends.
pub(super) async fn serve(shared: Arc<Shared>) {
    loop {
        let line = Line::dial(&shared).await;
        let requests = async {
            tokio::join!(
                give_bundle(&line.client, &shared),
                cancel::serve(&line.client, &shared),
                shared.live.follow(&line.client, &shared.config.prefix),
                // By the time the broker has heard this, it has heard the subscriptions.
                async { shared.readiness.requests(line.client.flush().await.is_ok()) },
            );
        };
        tokio::select! {
            () = requests => {}
            () = line.broken() => {}
        }
        shared.readiness.requests(false);
    }
}

/// Answers everybody who asks for the bundle with the same bytes.
async fn give_bundle(client: &Client, shared: &Shared) {
    let Some(mut requests) = listen(client, shared.config.prefix.bundle()).await else { return };
    while let Some(request) = requests.next().await {
        if let Some(reply) = request.reply {
            let _ = client.publish(reply, shared.published.now().bytes.clone().into()).await;
        }
    }
}

/// Requests on a subject, of which this service gets its share.
pub(super) async fn listen(client: &Client, subject: String) -> Option<async_nats::Subscriber> {
    match client.queue_subscribe(subject.clone(), QUEUE_GROUP.to_owned()).await {
        Ok(requests) => Some(requests),
        Err(cause) => {
            error!(subject, %cause, "requests cannot be heard");
            None
        }
    }
}
