//! The view of services and broker that `sealprove top` shows.

use std::net::SocketAddr;

use serde::Serialize;

use crate::operator::overview::Overview;
use crate::protocol::UnixSeconds;
use crate::service::status::Snapshot;

/// Everything that is shown.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// Time of the view.
    pub(super) at: UnixSeconds,
    pub(super) services: Vec<ServiceView>,
    #[serde(serialize_with = "or_error")]
    pub(super) broker: Result<Overview, String>,
}

/// A service, as its admin address reports it.
#[derive(Debug, Serialize)]
pub(super) struct ServiceView {
    pub(super) admin: SocketAddr,
    #[serde(serialize_with = "or_error")]
    pub(super) top: Result<Snapshot, String>,
}

fn or_error<T: Serialize, S: serde::Serializer>(
    result: &Result<T, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match result {
        Ok(value) => value.serialize(serializer),
        Err(error) => serde_json::json!({ "error": error }).serialize(serializer),
    }
}

impl View {
    /// Returns whether the broker and every service answered.
    pub(super) fn is_complete(&self) -> bool {
        self.broker.is_ok() && self.services.iter().all(|service| service.top.is_ok())
    }
}
