//! Events in a deployment, scene by scene; each has a broker, services and a Prometheus of its own, and returns
//! the alerts that have fired.

mod hostile;
mod keys;
mod load;
mod outage;
mod queue;
mod trouble;

use std::collections::BTreeSet;
use std::pin::Pin;

use sealprove::client::Ticket;
use serde_json::Value;

use crate::kit::Lab;

type Scene = Pin<Box<dyn Future<Output = BTreeSet<String>>>>;

/// All scenes, by name.
pub(crate) fn all() -> Vec<(&'static str, Scene)> {
    vec![
        ("load", Box::pin(load::play())),
        ("hostile", Box::pin(hostile::play())),
        ("trouble", Box::pin(trouble::play())),
        ("outage", Box::pin(outage::play())),
        ("queue", Box::pin(queue::play())),
        ("keys", Box::pin(keys::play())),
    ]
}

/// Submits a script for a circuit that misbehaves.
async fn submit(lab: &Lab, circuit: &str, script: Value) -> Ticket {
    lab.submit(circuit, script.to_string().as_bytes()).await
}
