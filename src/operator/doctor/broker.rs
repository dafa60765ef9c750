//! The broker: whether what it acknowledges is as safe as it has to be. What its monitoring alone can say is asked
//! there, and is not known where nobody said where that is.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::{Client, jetstream};
use serde::Deserialize;

use super::finding::Finding;
use crate::config::ServiceConfig;
use crate::jetstream::{clock_offset, topology as streams};
use crate::operator::overview::trouble;

/// The oldest nats-server that keeps what it promises here.
const OLDEST: [u64; 3] = [2, 14, 5];
/// How far the clocks may be apart before it is said, in seconds; at a minute no service starts.
const CLOCK_SECONDS: f64 = 5.0;
/// How long servers are listened to that answer on the system account.
const SILENCE: Duration = Duration::from_millis(500);

/// A server as its monitoring page `/varz` describes it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Server {
    #[serde(default)]
    server_name: String,
    #[serde(default)]
    version: String,
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
    /// In nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

/// All servers that answer a user of the system account.
pub async fn servers(system: &Client) -> Vec<Server> {
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
    while let Ok(Some(reply)) =
        tokio::time::timeout(SILENCE, futures_util::StreamExt::next(&mut replies)).await
    {
        servers.extend(serde_json::from_slice::<Reply>(&reply.payload).map(|reply| reply.data));
    }
    servers
}

/// Examines the broker at the other end of this connection, and the servers that could be asked.
pub async fn examine(client: &Client, config: &ServiceConfig, servers: &[Server]) -> Vec<Finding> {
    let context = jetstream::new(client.clone());
    let info = client.server_info();
    let mut findings = vec![of_version(&info.server_name, &info.version)];
    let others = servers.iter().filter(|server| server.server_name != info.server_name);
    findings.extend(others.map(|server| of_version(&server.server_name, &server.version)));
    findings.extend(of_streams(&context, config).await);
    findings.extend(of_copies(&context, config).await);
    findings.extend(of_sync(servers));
    findings.push(of_clock(client).await);
    findings
}

fn of_version(name: &str, version: &str) -> Finding {
    let numbers: Vec<u64> = version.split(['.', '-']).map_while(|part| part.parse().ok()).take(3).collect();
    let what = format!("nats-server {}", name.chars().take(19).collect::<String>());
    match numbers[..] {
        [_, _, _] if numbers[..] >= OLDEST[..] => {
            Finding::in_force("broker", what, format!("version {version}"))
        }
        [_, _, _] => Finding::not(
            "broker",
            what,
            format!("version {version}: install 2.14.5 or newer, server by server"),
        ),
        _ => Finding::not_known("broker", what, format!("it says to be of version {version}")),
    }
}

async fn of_streams(context: &jetstream::Context, config: &ServiceConfig) -> Vec<Finding> {
    let what = "streams and consumers";
    match streams::check(context, config).await {
        Ok(differences) if differences.is_empty() => {
            vec![Finding::in_force("broker", what, "each setting compared")]
        }
        Ok(differences) => {
            let say = |difference: &streams::Difference| {
                Finding::not("broker", what, format!("{difference}: run `sealprove streams apply`"))
            };
            differences.iter().map(say).collect()
        }
        Err(cause) => vec![Finding::not_known("broker", what, format!("{cause}"))],
    }
}

/// That every copy is current; and that one copy is one disk.
async fn of_copies(context: &jetstream::Context, config: &ServiceConfig) -> Vec<Finding> {
    let what = "copies of streams";
    let (mut findings, mut asked) = (Vec::new(), 0);
    for needed in streams::streams(config) {
        // One that is missing is said already.
        let Ok(stream) = context.get_stream(&needed.name).await else { continue };
        asked += 1;
        if let Some(trouble) = trouble(stream.cached_info()) {
            let how = format!("{}: {trouble}; look at its servers, `nats stream info`", needed.name);
            findings.push(Finding::not("broker", what, how));
        }
    }
    if findings.is_empty() && asked > 0 {
        let copies = config.streams.replicas;
        let how = match copies {
            1 => {
                format!("1 of each of {asked}, as configured: with that disk, jobs are lost. In production 3")
            }
            copies => format!("{copies} of each of {asked}, all current"),
        };
        findings.push(Finding::in_force("broker", what, how));
    }
    findings
}

/// That "acknowledged" means "on disk".
fn of_sync(servers: &[Server]) -> Vec<Finding> {
    let what = "sync_interval: always";
    let by_name: BTreeMap<&str, &Server> =
        servers.iter().map(|server| (server.server_name.as_str(), server)).collect();
    if by_name.is_empty() {
        let how = "only its monitoring says it: --monitor http://HOST:8222 for each server (http_port there), or \
                   --system with a user of the system account";
        return vec![Finding::not_known("broker", what, how)];
    }
    let of_server = |(name, server): (&&str, &&Server)| match &server.jetstream.config {
        Some(JetStreamConfig { sync_always: true, .. }) => {
            Finding::in_force("broker", what, format!("on {name}"))
        }
        Some(JetStreamConfig { sync_interval, .. }) => {
            let every = humantime::format_duration(Duration::from_nanos(*sync_interval));
            let how = format!(
                "on {name} it is {every}: what is acknowledged may be lost with its power; set `sync_interval: \
                 always` in jetstream {{}} there"
            );
            Finding::not("broker", what, how)
        }
        None => Finding::not_known("broker", what, format!("{name} has no JetStream of its own")),
    };
    by_name.iter().map(of_server).collect()
}

async fn of_clock(client: &Client) -> Finding {
    let what = "clocks of service and broker";
    match clock_offset(client).await.map(f64::abs) {
        Some(seconds) if seconds <= CLOCK_SECONDS => {
            Finding::in_force("broker", what, format!("{seconds:.0} s apart"))
        }
        Some(seconds) => {
            let how = format!("{seconds:.0} s apart: set them by NTP; at 60 s no service starts");
            Finding::not("broker", what, how)
        }
        None => Finding::not_known("broker", what, "its streams do not say what time it is"),
    }
}

/// What is said of a broker that cannot be reached.
pub fn unreachable(cause: &str) -> Finding {
    Finding::not("broker", "can be reached", cause)
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, standing) in [
            ("2.14.5", Standing::InForce),
            ("2.15.1", Standing::InForce),
            ("3.0.0-beta.1", Standing::InForce),
            ("2.14.4", Standing::Not),
            ("2.9.99", Standing::Not),
            ("devel", Standing::NotKnown),
        ] {
            assert_eq!(of_version("n", version).standing, standing, "{version}");
        }
    }

    #[test]
    fn a_server_says_in_its_page_whether_it_syncs_always() {
        let server = |config: &str| {
            let page = format!(
                r#"{{"server_name":"n","version":"2.15.1","jetstream":{{"config":{config}}},"x":1}}"#
            );
            serde_json::from_str::<Server>(&page).unwrap()
        };
        let standing = |servers: &[Server]| of_sync(servers)[0].standing;
        assert_eq!(
            standing(&[server(r#"{"sync_always":true,"sync_interval":120000000000}"#)]),
            Standing::InForce
        );
        assert_eq!(standing(&[server(r#"{"sync_interval":120000000000}"#)]), Standing::Not);
        assert_eq!(standing(&[server("null")]), Standing::NotKnown);
        assert_eq!(standing(&[]), Standing::NotKnown);
    }
}
