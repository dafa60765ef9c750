//! Queue lengths, the ages of the oldest jobs, and the clock offset, for the metrics alone: no decision depends on
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::ServiceConfig;
use crate::jetstream::{Broker, Queue};
use crate::metrics::{Length, Metrics};
use crate::protocol::{Lane, UnixMillis};

/// Least interval between two measurements of all queues.
const INTERVAL: Duration = Duration::from_secs(5);
/// Rest after a measurement, in multiples of the time that it took: many tenants are measured less often.
const REST_FACTOR: u32 = 20;
/// Time limit of one measurement.
const TIMEOUT: Duration = Duration::from_secs(30);

type Seen = BTreeMap<Queue, SeenQueue>;

/// A queue as it was seen last.
#[derive(Default)]
struct SeenQueue {
    waiting: u64,
    in_flight: u64,
    /// Timestamp of its oldest job.
    oldest_at: Option<UnixMillis>,
}

impl SeenQueue {
    fn length(&self, now: UnixMillis) -> Length {
        let oldest = self.oldest_at.map_or(Duration::ZERO, |stored_at| now.since(stored_at));
        Length { waiting: self.waiting, in_flight: self.in_flight, oldest }
    }
}

/// Measures until the service ends.
pub(crate) async fn watch(broker: Broker, config: Arc<ServiceConfig>, metrics: Arc<Metrics>) {
    let mut seen = Seen::new();
    loop {
        let started = Instant::now();
        // If the broker is away, the last values stay and the ages grow.
        let _ = tokio::time::timeout(TIMEOUT, measure(&mut seen, &broker, &config, &metrics)).await;
        report(&seen, &config, &metrics);
        tokio::time::sleep(INTERVAL.max(started.elapsed() * REST_FACTOR)).await;
    }
}

/// Measures every queue that can be asked; the others stay as they were.
async fn measure(seen: &mut Seen, broker: &Broker, config: &ServiceConfig, metrics: &Metrics) {
    if let Some(seconds) = broker.clock_offset().await {
        metrics.broker.clock_offset(seconds);
    }
    for tenant in config.tenants.names() {
        for lane in Lane::ALL {
            let queue = Queue { tenant: tenant.clone(), lane };
            if let Some(now) = measure_queue(&queue, broker).await {
                seen.insert(queue, now);
            }
        }
    }
}

/// Measures one queue.
async fn measure_queue(queue: &Queue, broker: &Broker) -> Option<SeenQueue> {
    let state = broker.lane_state(&queue.tenant, queue.lane).await?;
    // From the stream and not from the consumer: a job that deliveries have given up on is in no consumer's count,
    // and is the one that an operator has to hear of.
    let oldest = broker.queued_in_lane_from(&queue.tenant, queue.lane, 0).await.ok()?;
    Some(SeenQueue {
        waiting: state.waiting,
        in_flight: state.in_flight,
        oldest_at: oldest.map(|message| message.stored_at),
    })
}

/// Reports the sums of each lane, and of each tenant that `admin.tenants` lists.
fn report(seen: &Seen, config: &ServiceConfig, metrics: &Metrics) {
    for lane in Lane::ALL {
        metrics.queues.lane(lane, total(seen, |queue| queue.lane == lane));
    }
    for tenant in &config.admin.tenants {
        metrics.queues.tenant(tenant, total(seen, |queue| queue.tenant == *tenant));
    }
}

fn total(seen: &Seen, counts: impl Fn(&Queue) -> bool) -> Length {
    let now = UnixMillis::now();
    let counted = seen.iter().filter(|(queue, _)| counts(queue));
    counted.fold(Length::default(), |length, (_, queue)| length.and(queue.length(now)))
}
