//! Metrics of the queues, and of the answer streams. All services of a deployment measure the same queues, so their values
//! agree.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec};

use super::registry::{Label, Registry};
use crate::protocol::{Lane, Tenant};

const WAITING: &str = "waiting";
const IN_FLIGHT: &str = "in_flight";

/// Metrics of the queues and answer streams.
pub struct QueueMetrics {
    jobs: IntGaugeVec,
    oldest: GaugeVec,
    at_risk: IntGaugeVec,
    filled: Gauge,
    without_room: IntGauge,
    tenants: Vec<Tenant>,
    tenant_jobs: IntGaugeVec,
    tenant_oldest: GaugeVec,
    tenant_filled: GaugeVec,
}

/// The measured length of a queue, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Length {
    /// Jobs that wait for a delivery.
    pub waiting: u64,
    /// Jobs that a service holds.
    pub in_flight: u64,
    /// Age of the oldest unanswered job.
    pub oldest: Duration,
}

impl Length {
    /// Adds the length of another queue. The oldest job is the older of both.
    #[must_use]
    pub fn and(self, other: Length) -> Self {
        Length {
            waiting: self.waiting.saturating_add(other.waiting),
            in_flight: self.in_flight.saturating_add(other.in_flight),
            oldest: self.oldest.max(other.oldest),
        }
    }
}

impl QueueMetrics {
    pub(super) fn new(registry: &Registry, tenants: &[Tenant]) -> Self {
        let lane = || Label::new("lane", Lane::ALL);
        let state = || Label::new("state", [WAITING, IN_FLIGHT]);
        let tenant = || Label::new("tenant", tenants);
        QueueMetrics {
            jobs: registry.gauges(
                ("sealprove_queue_jobs", "How many jobs are waiting, and how many are in flight?"),
                &[lane(), state()],
            ),
            oldest: registry.gauges_f64(
                ("sealprove_queue_oldest_seconds", "How old is the oldest unanswered job?"),
                &[lane()],
            ),
            at_risk: registry.gauges(
                (
                    "sealprove_queue_at_risk_jobs",
                    "How many unanswered jobs have less than a quarter of their lifetime left?",
                ),
                &[lane()],
            ),
            filled: registry.gauge_f64((
                "sealprove_answer_stream_filled_ratio",
                "How full is the fullest answer stream? Above 0.9 its tenant's intake stops.",
            )),
            without_room: registry.gauge((
                "sealprove_tenants_without_room",
                "How many tenants have intake stopped because their answer stream is full?",
            )),
            tenants: tenants.to_vec(),
            tenant_jobs: registry.gauges(
                (
                    "sealprove_tenant_queue_jobs",
                    "How many jobs of this tenant are waiting, and how many are in flight?",
                ),
                &[tenant(), state()],
            ),
            tenant_oldest: registry.gauges_f64(
                ("sealprove_tenant_queue_oldest_seconds", "How old is this tenant's oldest unanswered job?"),
                &[tenant()],
            ),
            tenant_filled: registry.gauges_f64(
                ("sealprove_tenant_answer_stream_filled_ratio", "How full is this tenant's answer stream?"),
                &[tenant()],
            ),
        }
    }

    /// Sets the length of a lane, over all tenants.
    pub fn lane(&self, lane: Lane, length: Length) {
        let jobs = |state| self.jobs.with_label_values(&[lane.as_str(), state]);
        jobs(WAITING).set(whole(length.waiting));
        jobs(IN_FLIGHT).set(whole(length.in_flight));
        self.oldest.with_label_values(&[lane.as_str()]).set(length.oldest.as_secs_f64());
    }

    /// Sets the length of a tenant's lanes together. Recorded only for tenants listed in `admin.tenants`.
    pub fn tenant(&self, tenant: &Tenant, length: Length) {
        // The number of tenants has no bound, so only those that the operator lists have series.
        if !self.tenants.contains(tenant) {
            return;
        }
        let jobs = |state| self.tenant_jobs.with_label_values(&[tenant.as_str(), state]);
        jobs(WAITING).set(whole(length.waiting));
        jobs(IN_FLIGHT).set(whole(length.in_flight));
        self.tenant_oldest.with_label_values(&[tenant.as_str()]).set(length.oldest.as_secs_f64());
    }

    /// Sets the number of jobs of a lane that are likely to miss their deadlines.
    pub fn at_risk(&self, lane: Lane, jobs: usize) {
        self.at_risk.with_label_values(&[lane.as_str()]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    /// Sets how full the fullest answer stream is, from 0 to 1, and the number of tenants whose intake is stopped.
    pub fn answer_streams(&self, filled: f64, tenants_without_room: usize) {
        self.filled.set(filled);
        self.without_room.set(i64::try_from(tenants_without_room).unwrap_or(i64::MAX));
    }

    /// Sets how full a tenant's answer stream is, from 0 to 1. Recorded only for tenants listed in `admin.tenants`.
    pub fn answer_stream(&self, tenant: &Tenant, filled: f64) {
        if self.tenants.contains(tenant) {
            self.tenant_filled.with_label_values(&[tenant.as_str()]).set(filled);
        }
    }
}

fn whole(count: u64) -> i64 {
    // Prometheus' gauges are signed.
    i64::try_from(count).unwrap_or(i64::MAX)
}
