//! Measuring the answer streams.
//!
//! Intake takes no job of a tenant whose stream is nearly full.

use std::time::Duration;

use crate::config::Tenants;
use crate::service::job::Settler;

/// Interval between two measurements.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures the answer streams until the service ends.
pub(crate) async fn watch(settler: Settler, tenants: Tenants) {
    let (capacity, queues) = (&settler.capacity, &settler.ledger.metrics.queues);
    loop {
        for tenant in tenants.names() {
            // A stream that cannot be asked keeps its last value: guessing "full" would stop intake at every election.
            let Some(filled) = settler.broker.answers_filled(tenant).await else { continue };
            capacity.set(tenant, filled);
            queues.answer_stream(tenant, filled);
        }
        queues.answer_streams(capacity.fullest(), capacity.full_tenants().len());
        tokio::time::sleep(INTERVAL).await;
    }
}
