//! Answer capacity: the room left in each tenant's answer stream. No job is taken from a tenant whose stream is nearly
//! full, so that no proof is made whose answer could not be stored.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tracing::{error, info};

use crate::protocol::Tenant;

/// The fraction of a stream from which it counts as full. Other services, whose proofs are under way, find room in
/// the last tenth.
const FULL: f64 = 0.9;

/// The used fraction of each tenant's answer stream, as far as is known.
#[derive(Default)]
pub(crate) struct AnswerCapacity {
    filled: Mutex<BTreeMap<Tenant, f64>>,
}

impl AnswerCapacity {
    /// Returns whether an answer of this tenant can be stored.
    pub(crate) fn accepts(&self, tenant: &Tenant) -> bool {
        // A stream that is not measured yet counts as empty. If it is full, the first answer finds out.
        self.filled.lock().get(tenant).is_none_or(|filled| *filled <= FULL)
    }

    /// Marks a stream as full, since the broker has just refused an answer for want of room.
    pub(crate) fn mark_full(&self, tenant: &Tenant) {
        self.set(tenant, 1.0);
    }

    /// Returns the tenants whose jobs are not taken.
    pub(crate) fn full_tenants(&self) -> Vec<Tenant> {
        let filled = self.filled.lock();
        filled.iter().filter(|(_, filled)| **filled > FULL).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// Returns the used fraction of the fullest stream, from 0 to 1.
    pub(crate) fn fullest(&self) -> f64 {
        self.filled.lock().values().copied().fold(0.0, f64::max)
    }

    /// Sets the used fraction of a tenant's stream, from 0 to 1.
    pub(crate) fn set(&self, tenant: &Tenant, filled: f64) {
        let before = self.filled.lock().insert(tenant.clone(), filled).unwrap_or(0.0);
        match (before > FULL, filled > FULL) {
            (false, true) => error!(
                %tenant, filled,
                "the tenant's answer stream is full, and none of its jobs is taken; raise \
                 streams.answers_bytes_max and run `sealprove streams apply`"
            ),
            (true, false) => info!(%tenant, filled, "the tenant's answer stream has room again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_room_until_nine_tenths_are_used() {
        let capacity = AnswerCapacity::default();
        let tenant = Tenant::default();
        assert!(capacity.accepts(&tenant), "nothing is known yet");
        capacity.set(&tenant, 0.89);
        assert!(capacity.accepts(&tenant));
        capacity.set(&tenant, 0.91);
        assert!(!capacity.accepts(&tenant));
        assert_eq!(capacity.full_tenants(), vec![tenant.clone()]);
        capacity.set(&tenant, 0.5);
        assert!(capacity.accepts(&tenant));
        capacity.mark_full(&tenant);
        assert!(!capacity.accepts(&tenant));
    }
}
