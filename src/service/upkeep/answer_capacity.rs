//! Measuring the answer streams.

use std::time::Duration;

use crate::config::Tenants;
use crate::service::job::Settler;

/// Interval between two measurements.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures the answer streams until the service ends. A stream that cannot be asked keeps its last value.
pub(crate) async fn watch(settler: Settler, tenants: Tenants) {
    let (capacity, queues) = (&settler.capacity, &settler.ledger.metrics.queues);
    loop {
        for tenant in tenants.names() {
            let Some(filled) = settler.broker.answers_filled(tenant).await else { continue };
            capacity.set(tenant, filled);
            queues.answer_stream(tenant, filled);
        }
        queues.answer_streams(capacity.fullest(), capacity.full_tenants().len());
        tokio::time::sleep(INTERVAL).await;
    }
}
