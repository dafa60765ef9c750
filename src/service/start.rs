//! What must be there before the first job: the bundle, the broker, its streams, and a chamber that has
//! what the bundle promises. A broker that is away is waited for; what can never work is an error.

use std::time::Duration;

use async_nats::{Client, jetstream};
use tracing::{error, warn};

use super::link::{Chamber, Live};
use super::readiness::Readiness;
use super::{ServiceError, streams};
use crate::broker::{Backoff, STATUS_STREAM};
use crate::bundle::{Bundle, SignedBundle};
use crate::clock::unix_now;
use crate::config::ServiceConfig;

/// The first and the longest wait before the broker is tried again.
const BROKER_WAIT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// How far this clock and the broker's may be apart, in seconds.
const CLOCK_SECONDS: u64 = 60;

/// The bundle that is served, and what it says.
pub(super) async fn read_bundle(config: &ServiceConfig) -> Result<(SignedBundle, Bundle), ServiceError> {
    let path = config.bundle.clone();
    let bytes = tokio::fs::read(&path).await.map_err(|source| ServiceError::ReadBundle { path, source })?;
    let signed = SignedBundle::from_json(&bytes)?;
    let bundle = signed.read_unverified()?;
    if bundle.expires_at <= unix_now() {
        return Err(ServiceError::BundleExpired(bundle.expires_at));
    }
    Ok((signed, bundle))
}

/// Until streams, consumers and chamber are there and agree with the bundle.
pub(super) async fn wait_for_all(
    client: &Client,
    config: &ServiceConfig,
    bundle: &Bundle,
    chamber: &Chamber,
    readiness: &Readiness,
) -> Result<jetstream::Context, ServiceError> {
    let context = jetstream::new(client.clone());
    wait_for_streams(&context, client, config).await;
    readiness.streams(true);
    agree(bundle, &*chamber.ready().await)?;
    Ok(context)
}

/// Until streams and consumers are as they must be and the clocks agree; says what is missing, and what
/// to run.
async fn wait_for_streams(context: &jetstream::Context, client: &Client, config: &ServiceConfig) {
    let mut waits = Backoff::new(BROKER_WAIT);
    loop {
        match streams::check(context, config).await {
            Ok(differences) if differences.is_empty() => match clock_difference(client).await {
                Some(seconds) if seconds > CLOCK_SECONDS => {
                    error!(seconds, "this clock and the broker's differ; set them right");
                }
                _ => return,
            },
            Ok(differences) => {
                for difference in differences {
                    error!("{difference}; run `sealprove streams apply` with this configuration");
                }
            }
            Err(cause) => {
                let source = std::error::Error::source(&cause).map(ToString::to_string).unwrap_or_default();
                warn!(%cause, source, "the streams cannot be checked; trying again");
            }
        }
        waits.pause().await;
    }
}

/// Seconds between this clock and the broker's, which stands in its answers; `None` where it says none.
async fn clock_difference(client: &Client) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Clock {
        ts: String,
    }
    let subject = format!("$JS.API.STREAM.INFO.{}", STATUS_STREAM);
    let reply = client.request(subject, "".into()).await.ok()?;
    let clock: Clock = serde_json::from_slice(&reply.payload).ok()?;
    let theirs = humantime::parse_rfc3339(&clock.ts).ok()?;
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(theirs.abs_diff(unix_now()))
}

/// The bundle may promise nothing that the chamber does not have.
fn agree(bundle: &Bundle, chamber: &Live) -> Result<(), ServiceError> {
    for key in &bundle.keys {
        if !chamber.keys.contains(&key.id) {
            return Err(ServiceError::BundleAhead { what: format!("the key {}", key.id) });
        }
    }
    for circuit in &bundle.circuits {
        let built = chamber.circuit(&circuit.id).map(|built| built.verifying_key);
        if built != Some(circuit.verifying_key) {
            let what = format!("the circuit {} under {}", circuit.id, circuit.verifying_key);
            return Err(ServiceError::BundleAhead { what });
        }
    }
    Ok(())
}
