//! Bundle requests: every client gets the same signed bytes, whatever is in its request.

use async_nats::Client;
use futures_util::StreamExt;

use super::listen::listen;
use crate::protocol::Subjects;
use crate::service::prover::ServedBundle;

/// Answers bundle requests for as long as the connection lives.
pub(super) async fn serve(client: &Client, subjects: &Subjects, bundle: &ServedBundle) {
    let Some(mut requests) = listen(client, subjects.bundle()).await else { return };
    while let Some(request) = requests.next().await {
        if let Some(reply) = request.reply {
            // A client that gets no reply asks again.
            let _ = client.publish(reply, bundle.current().bytes.clone().into()).await;
        }
    }
}
