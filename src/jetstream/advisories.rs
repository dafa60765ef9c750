//! Advisories: the broker's notice that it has given a message up.
//!
//! The broker publishes an advisory at most once, so a stream captures them. The sweeper fetches them from there.

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{Context, Message};
use futures_util::StreamExt;
use serde::Deserialize;

use super::names::{ADVISORIES_STREAM, SWEEPER, tenant_of_jobs_stream};
use crate::protocol::Tenant;

/// An advisory. It is delivered again unless it is acknowledged.
pub(crate) struct Advisory {
    /// The tenant and the stream sequence of the job that was given up; `None` where it names no job stream.
    pub(crate) given_up: Option<(Tenant, u64)>,
    message: Message,
}

/// JetStream's MAX_DELIVERIES advisory.
#[derive(Deserialize)]
struct MaxDeliveries {
    stream: String,
    stream_seq: u64,
}

impl Advisory {
    fn new(message: Message) -> Self {
        let advisory: Option<MaxDeliveries> = serde_json::from_slice(&message.payload).ok();
        let given_up = advisory
            .and_then(|advisory| Some((tenant_of_jobs_stream(&advisory.stream)?, advisory.stream_seq)));
        Advisory { given_up, message }
    }

    /// Removes it; returns whether that could be sent.
    pub(crate) async fn ack(&self) -> bool {
        // Without waiting for a reply: an advisory that comes again finds its job answered, which costs one read.
        self.message.ack().await.is_ok()
    }
}

/// Fetches up to `most` advisories; returns none where the broker cannot be asked.
pub(crate) async fn fetch(context: &Context, most: usize) -> Vec<Advisory> {
    let Ok(stream) = context.get_stream_no_info(ADVISORIES_STREAM).await else { return Vec::new() };
    let Ok(consumer) = stream.get_consumer::<pull::Config>(SWEEPER).await else { return Vec::new() };
    // Without a heartbeat: a batch that has one loses wake-ups in async-nats 0.51, and with them messages.
    let Ok(batch) = consumer.fetch().max_messages(most).messages().await else { return Vec::new() };
    batch.filter_map(async |message| message.ok().map(Advisory::new)).collect().await
}
