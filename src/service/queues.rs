//! How long the queues are, and how old their oldest jobs; and how far the clocks are apart. It is looked at for
//! those who watch over a deployment, and nothing here is decided by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::streams::jobs_stream;
use super::{Shared, leader, start, streams};
use crate::clock::unix_now_ms;
use crate::job::{Lane, Tenant};
use crate::metrics::Length;

/// How long it rests between two looks at all queues; a deployment of many tenants is looked at less often.
const REST: Duration = Duration::from_secs(5);
const REST_FOR_EACH_LOOK: u32 = 20;
/// How long one look at all of them may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// Looks until the service ends.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut seen = BTreeMap::new();
    loop {
        let started = Instant::now();
        // A broker that is away is no news here. What was seen grows older meanwhile.
        let _ = tokio::time::timeout(LOOK_TIMEOUT, look(&mut seen, &shared)).await;
        tell(&seen, &shared);
        tokio::time::sleep(REST.max(started.elapsed() * REST_FOR_EACH_LOOK)).await;
    }
}

/// A tenant's lane as it was seen last.
#[derive(Default)]
struct Seen {
    waiting: u64,
    in_flight: u64,
    /// When its oldest job was stored, in Unix milliseconds.
    oldest_at_ms: Option<u64>,
}

impl Seen {
    fn length(&self, now_ms: u64) -> Length {
        let oldest = self.oldest_at_ms.map_or(0, |stored_at_ms| now_ms.saturating_sub(stored_at_ms));
        Length { waiting: self.waiting, in_flight: self.in_flight, oldest: Duration::from_millis(oldest) }
    }
}

/// Sees every lane that can be seen; others stay as they were.
async fn look(seen: &mut BTreeMap<(Tenant, Lane), Seen>, shared: &Shared) {
    if let Some(seconds) = start::clock_offset(&shared.client).await {
        shared.metrics.broker.clock_offset(seconds);
    }
    for tenant in shared.config.tenants.names() {
        for lane in Lane::ALL {
            if let Some(now) = look_at(tenant, lane, shared).await {
                seen.insert((tenant.clone(), lane), now);
            }
        }
    }
}

/// The oldest job is read from the stream: one that deliveries have given up on is in no consumer's count.
async fn look_at(tenant: &Tenant, lane: Lane, shared: &Shared) -> Option<Seen> {
    let consumer = streams::lane_info(&shared.context, tenant, lane).await?;
    let subject = shared.config.prefix.lane(tenant, lane);
    let oldest = leader::first_on(&shared.client, &jobs_stream(tenant), &subject).await.ok()?;
    Some(Seen {
        waiting: consumer.num_pending,
        in_flight: u64::try_from(consumer.num_ack_pending).unwrap_or(u64::MAX),
        oldest_at_ms: oldest.map(|found| found.stored_at_ms),
    })
}

fn tell(seen: &BTreeMap<(Tenant, Lane), Seen>, shared: &Shared) {
    let now_ms = unix_now_ms();
    let together = |is_meant: &dyn Fn(&Tenant, Lane) -> bool| {
        let meant = seen.iter().filter(|((tenant, lane), _)| is_meant(tenant, *lane));
        meant.fold(Length::default(), |length, (_, seen)| length.and(seen.length(now_ms)))
    };
    for lane in Lane::ALL {
        shared.metrics.queues.lane(lane, together(&|_, of| of == lane));
    }
    for tenant in &shared.config.admin.tenants {
        shared.metrics.queues.tenant(tenant, together(&|of, _| of == tenant));
    }
}
