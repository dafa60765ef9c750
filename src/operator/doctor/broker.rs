//! The broker: examines whether an acknowledged message is as safe as it must be. Only a server's monitoring or the system
//! account knows whether it syncs; without either, that is reported as not known.

use std::collections::BTreeMap;

use async_nats::{Client, jetstream};
use semver::Version;

use super::finding::Finding;
use super::servers::{self, Server, Sync};
use crate::causes::with_causes;
use crate::config::{NatsConfig, ServiceConfig};
use crate::jetstream::{clock_offset, topology};
use crate::operator::overview::copies_fault;

/// The oldest nats-server whose acknowledgements can be relied on.
const OLDEST: Version = Version::new(2, 14, 5);
/// Largest clock offset that is in order, in seconds. At a minute, no service starts.
const CLOCK_SECONDS: f64 = 5.0;
/// Examines the broker: what this connection shows, and what the servers report about themselves. `monitor` are the
/// monitoring addresses of servers; `system` is the connection of a user of the system account.
pub async fn examine(
    config: &ServiceConfig,
    monitor: &[String],
    system: Option<&NatsConfig>,
) -> Vec<Finding> {
    let client = match config.nats.connect("sealprove doctor").await {
        Ok(client) => client,
        Err(error) => return vec![Finding::not("broker", "can be reached", with_causes(&error))],
    };
    let (mut servers, mut findings) = (Vec::new(), Vec::new());
    for url in monitor {
        match servers::monitored(url).await {
            Ok(server) => servers.push(server),
            Err(cause) => {
                findings.push(Finding::not_known("broker", "monitoring", format!("{url}: {cause}")));
            }
        }
    }
    if let Some(nats) = system {
        match servers::of_system_account(nats).await {
            Ok(found) => servers.extend(found),
            Err(cause) => findings.push(Finding::not_known("broker", "the system account", cause)),
        }
    }
    findings.extend(examine_connection(&client, config, &servers).await);
    findings
}

async fn examine_connection(client: &Client, config: &ServiceConfig, servers: &[Server]) -> Vec<Finding> {
    let context = jetstream::new(client.clone());
    let info = client.server_info();
    let mut findings = vec![examine_version(&info.server_name, &info.version)];
    let others = servers.iter().filter(|server| server.name != info.server_name);
    findings.extend(others.map(|server| examine_version(&server.name, &server.version)));
    findings.extend(examine_streams(&context, config).await);
    findings.extend(examine_copies(&context, config).await);
    findings.extend(examine_sync(servers));
    findings.push(examine_clock(client).await);
    findings
}

fn examine_version(name: &str, version: &str) -> Finding {
    let what = format!("nats-server {}", name.chars().take(19).collect::<String>());
    match Version::parse(version) {
        Ok(parsed) if parsed >= OLDEST => Finding::in_force("broker", what, format!("version {version}")),
        Ok(_) => Finding::not(
            "broker",
            what,
            format!("version {version}: install {OLDEST} or newer, server by server"),
        ),
        Err(_) => Finding::not_known(
            "broker",
            what,
            format!("it reports version {version}, which cannot be compared"),
        ),
    }
}

async fn examine_streams(context: &jetstream::Context, config: &ServiceConfig) -> Vec<Finding> {
    let what = "streams and consumers";
    match topology::check(context, config).await {
        Ok(differences) if differences.is_empty() => {
            vec![Finding::in_force("broker", what, "each setting compared")]
        }
        Ok(differences) => differences
            .iter()
            .map(|difference| {
                Finding::not("broker", what, format!("{difference}: run `sealprove streams apply`"))
            })
            .collect(),
        Err(error) => vec![Finding::not_known("broker", what, with_causes(&error))],
    }
}

/// Examines whether every copy is current, and reports how many there are.
async fn examine_copies(context: &jetstream::Context, config: &ServiceConfig) -> Vec<Finding> {
    let what = "copies of streams";
    let (mut findings, mut asked) = (Vec::new(), 0);
    for needed in topology::streams(config) {
        // A missing stream is reported above.
        let Ok(stream) = context.get_stream(&needed.name).await else { continue };
        asked += 1;
        if let Some(fault) = copies_fault(stream.cached_info()) {
            let how = format!("{}: {fault}; look at its servers, `nats stream info`", needed.name);
            findings.push(Finding::not("broker", what, how));
        }
    }
    if findings.is_empty() && asked > 0 {
        let copies = config.streams.replicas;
        let how = match copies {
            1 => format!(
                "1 of each of {asked}, as configured; use 3 in production: jobs are lost with the disk"
            ),
            copies => format!("{copies} of each of {asked}, all current"),
        };
        findings.push(Finding::in_force("broker", what, how));
    }
    findings
}

/// Examines whether an acknowledged message is on disk.
fn examine_sync(servers: &[Server]) -> Vec<Finding> {
    let what = "sync_interval: always";
    let by_name: BTreeMap<&str, &Server> =
        servers.iter().map(|server| (server.name.as_str(), server)).collect();
    if by_name.is_empty() {
        let how = "only a server's monitoring knows it: give --monitor http://HOST:8222 for each server (http_port \
                   there), or --system with a user of the system account";
        return vec![Finding::not_known("broker", what, how)];
    }
    by_name.into_iter().map(|(name, server)| examine_server_sync(name, server, what)).collect()
}

fn examine_server_sync(name: &str, server: &Server, what: &str) -> Finding {
    match server.sync() {
        Some(Sync::Always) => Finding::in_force("broker", what, format!("on {name}")),
        Some(Sync::Every(interval)) => {
            let every = humantime::format_duration(interval);
            let how = format!(
                "on {name} it is {every}, so a power failure may lose acknowledged jobs; set `sync_interval: always` \
                 in jetstream {{}} there"
            );
            Finding::not("broker", what, how)
        }
        None => Finding::not_known("broker", what, format!("{name} runs no JetStream")),
    }
}

async fn examine_clock(client: &Client) -> Finding {
    let what = "clocks of service and broker";
    match clock_offset(client).await.map(f64::abs) {
        Some(seconds) if seconds <= CLOCK_SECONDS => {
            Finding::in_force("broker", what, format!("{seconds:.0} s apart"))
        }
        Some(seconds) => {
            let how = format!("{seconds:.0} s apart: synchronise them by NTP; at 60 s no service starts");
            Finding::not("broker", what, how)
        }
        None => Finding::not_known("broker", what, "the broker's streams do not report its time"),
    }
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
            assert_eq!(examine_version("n", version).standing, standing, "{version}");
        }
    }

    #[test]
    fn a_monitoring_page_shows_whether_its_server_syncs_always() {
        let server = |config: &str| {
            let page = format!(
                r#"{{"server_name":"n","version":"2.15.1","jetstream":{{"config":{config}}},"x":1}}"#
            );
            serde_json::from_str::<Server>(&page).unwrap()
        };
        let standing = |servers: &[Server]| examine_sync(servers)[0].standing;
        assert_eq!(
            standing(&[server(r#"{"sync_always":true,"sync_interval":120000000000}"#)]),
            Standing::InForce
        );
        assert_eq!(standing(&[server(r#"{"sync_interval":120000000000}"#)]), Standing::Not);
        assert_eq!(standing(&[server("null")]), Standing::NotKnown);
        assert_eq!(standing(&[]), Standing::NotKnown);
    }
}
