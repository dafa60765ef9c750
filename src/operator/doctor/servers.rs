//! Self-reports of the broker's servers, from their monitoring pages or by the system account.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::causes::with_causes;
use crate::config::NatsConfig;
use crate::http;

/// Time without an answer after which no further server is expected on the system account.
const SILENCE: Duration = Duration::from_millis(500);

/// A server, as its monitoring page `/varz` describes it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Server {
    #[serde(default, rename = "server_name")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct JetStream {
    config: Option<JetStreamConfig>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct JetStreamConfig {
    #[serde(default)]
    sync_always: bool,
    /// Interval between syncs, in nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

/// The moment at which a server syncs a write to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before it acknowledges the write.
    Always,
    /// At intervals.
    Every(Duration),
}

impl Server {
    /// Returns when JetStream syncs; `None` if the server runs no JetStream.
    pub(super) fn sync(&self) -> Option<Sync> {
        let JetStreamConfig { sync_always, sync_interval } = self.jetstream.config.as_ref()?;
        Some(if *sync_always { Sync::Always } else { Sync::Every(Duration::from_nanos(*sync_interval)) })
    }
}

/// Fetches a server's description from its monitoring address, an `http://` URL.
pub(super) async fn monitored(url: &str) -> Result<Server, String> {
    let address =
        url.strip_prefix("http://").ok_or("not an http:// address; this page is read without TLS")?;
    let page = http::get(address.trim_end_matches('/'), "/varz").await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&page).map_err(|_| "this is not the monitoring page of a nats-server".to_owned())
}

/// Fetches the description of every server that answers a user of the system account.
pub(super) async fn of_system_account(nats: &NatsConfig) -> Result<Vec<Server>, String> {
    let client = nats.connect("sealprove doctor").await.map_err(|error| with_causes(&error))?;
    let servers = ping(&client).await;
    if servers.is_empty() {
        return Err("no server answers: is this a user of the system account?".to_owned());
    }
    Ok(servers)
}

async fn ping(system: &Client) -> Vec<Server> {
    #[derive(Deserialize)]
    struct Reply {
        data: Server,
    }
    let inbox = system.new_inbox();
    let Ok(mut replies) = system.subscribe(inbox.clone()).await else { return Vec::new() };
    if system.publish_with_reply("$SYS.REQ.SERVER.PING.VARZ", inbox, "".into()).await.is_err() {
        return Vec::new();
    }
    let mut servers = Vec::new();
    while let Ok(Some(reply)) = tokio::time::timeout(SILENCE, replies.next()).await {
        servers.extend(serde_json::from_slice::<Reply>(&reply.payload).map(|reply| reply.data));
    }
    servers
}
