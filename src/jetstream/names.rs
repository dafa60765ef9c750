//! The names of streams and consumers. No other module forms them.

use crate::protocol::Tenant;

/// The stream of last known job states.
pub(crate) const STATUS_STREAM: &str = "PROVE_STATUS";
/// The stream of JetStream's advisories about deliveries.
#[cfg(feature = "service")]
pub(crate) const ADVISORIES_STREAM: &str = "PROVE_ADVISORIES";
/// The consumer of the advisories, shared by the sweepers of all services.
#[cfg(feature = "service")]
pub(crate) const SWEEPER: &str = "sweeper";
#[cfg(feature = "service")]
const JOBS_PREFIX: &str = "PROVE_JOBS_";

/// Returns the name of the stream that a tenant's jobs wait in.
#[cfg(feature = "service")]
pub(crate) fn jobs_stream(tenant: &Tenant) -> String {
    format!("{JOBS_PREFIX}{tenant}")
}

/// Returns the tenant whose jobs wait in `stream`; `None` for a stream of another kind.
#[cfg(feature = "service")]
pub(crate) fn tenant_of_jobs_stream(stream: &str) -> Option<Tenant> {
    stream.strip_prefix(JOBS_PREFIX)?.parse().ok()
}

/// Returns the name of the stream that keeps a tenant's answers.
pub(crate) fn answers_stream(tenant: &Tenant) -> String {
    format!("PROVE_ANSWERS_{tenant}")
}

/// The queue group of request endpoints: one service of a deployment answers each request.
#[cfg(feature = "service")]
pub(crate) const QUEUE_GROUP: &str = "sealprove";
