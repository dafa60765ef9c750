//! Whether there is room for answers. A tenant whose answer stream is nearly full gets no job taken, so
//! that no proof is made whose answer could not be stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::stream::Info;
use tracing::{error, info};

use super::Shared;
use crate::broker::answers_stream;
use crate::job::Tenant;

/// How often the answer streams are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// A stream is full for us once less than a tenth of it is left. Other services, whose proofs are under
/// way, find room in that tenth.
const RESERVE: u64 = 10;

/// Which tenants' answer streams are full, and how full the fullest is.
#[derive(Default)]
pub(super) struct Room {
    filled: Mutex<BTreeMap<Tenant, f64>>,
}

impl Room {
    /// Whether an answer of this tenant could be stored, as far as is known.
    pub(super) fn has(&self, tenant: &Tenant) -> bool {
        self.lock().get(tenant).is_none_or(|filled| !is_full(*filled))
    }

    /// The broker has just refused an answer for want of room.
    pub(super) fn is_full(&self, tenant: &Tenant) {
        self.set(tenant, 1.0);
    }

    /// The tenants whose jobs are not taken.
    pub(super) fn full(&self) -> Vec<Tenant> {
        self.lock().iter().filter(|(_, filled)| is_full(**filled)).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// How much of the fullest stream is used, from 0 to 1.
    pub(super) fn fullest(&self) -> f64 {
        self.lock().values().copied().fold(0.0, f64::max)
    }

    fn set(&self, tenant: &Tenant, filled: f64) {
        let before = self.lock().insert(tenant.clone(), filled).unwrap_or(0.0);
        match (is_full(before), is_full(filled)) {
            (false, true) => error!(
                %tenant, filled,
                "the answer stream is full: no more jobs of this tenant are taken; give {} more max_bytes \
                 (streams.answers_bytes_max, then `sealprove streams apply`)",
                answers_stream(tenant),
            ),
            (true, false) => info!(%tenant, filled, "the answer stream has room again"),
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Tenant, f64>> {
        // A map is whole after every call, whoever panicked.
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_full(filled: f64) -> bool {
    filled > 1.0 - 1.0 / RESERVE as f64
}

/// Looks at the answer streams until the service ends. A stream that cannot be asked stays as it was.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        for tenant in shared.config.tenants.names() {
            let Ok(stream) = shared.context.get_stream(answers_stream(tenant)).await else { continue };
            let filled = filled(stream.cached_info());
            shared.room.set(tenant, filled);
            shared.metrics.queues.answer_stream(tenant, filled);
        }
        shared.metrics.queues.answer_streams(shared.room.fullest(), shared.room.full().len());
        tokio::time::sleep(LOOK).await;
    }
}

/// How much of a stream is used; nothing, where it has no bound.
#[allow(clippy::cast_precision_loss)] // A fraction of two sizes needs no more than 52 bits of either.
pub(super) fn filled(info: &Info) -> f64 {
    match u64::try_from(info.config.max_bytes) {
        Ok(most) if most > 0 => info.state.bytes as f64 / most as f64,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_room_until_nine_tenths_are_used() {
        let room = Room::default();
        let tenant = Tenant::default();
        assert!(room.has(&tenant), "nothing is known yet");
        room.set(&tenant, 0.89);
        assert!(room.has(&tenant));
        room.set(&tenant, 0.91);
        assert!(!room.has(&tenant));
        assert_eq!(room.full(), vec![tenant.clone()]);
        room.set(&tenant, 0.5);
        assert!(room.has(&tenant));
        room.is_full(&tenant);
        assert!(!room.has(&tenant));
    }
}
