//! Who waits, and whether there is room for answers. All services of a deployment see the same queues and say the
//! same of them.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec};

use super::book::{Book, Label};
use crate::protocol::{Lane, Tenant};

const WAITING: &str = "waiting";
const IN_FLIGHT: &str = "in_flight";

/// Who waits, and is there room for answers?
pub struct Queues {
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

/// A queue, or several together, as they were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Length {
    /// Jobs that wait for a delivery.
    pub waiting: u64,
    /// Jobs that a service has.
    pub in_flight: u64,
    /// How long the oldest job has been without an answer.
    pub oldest: Duration,
}

impl Length {
    /// Of both together.
    #[must_use]
    pub fn and(self, other: Length) -> Self {
        Length {
            waiting: self.waiting.saturating_add(other.waiting),
            in_flight: self.in_flight.saturating_add(other.in_flight),
            oldest: self.oldest.max(other.oldest),
        }
    }
}

impl Queues {
    pub(super) fn new(book: &Book, tenants: &[Tenant]) -> Self {
        let lane = || Label::of("lane", &Lane::ALL, Lane::as_str);
        let state = || Label::of("state", &[WAITING, IN_FLIGHT], |state| state);
        let tenant = || Label::named("tenant", tenants.iter().map(ToString::to_string));
        Queues {
            jobs: book.gauges(
                ("sealprove_queue_jobs", "How many jobs are waiting, and how many are in flight?"),
                &[lane(), state()],
            ),
            oldest: book.gauges_f64(
                ("sealprove_queue_oldest_seconds", "How old is the oldest unanswered job?"),
                &[lane()],
            ),
            at_risk: book.gauges(
                (
                    "sealprove_queue_at_risk_jobs",
                    "How many unanswered jobs have less than a quarter of their lifetime left?",
                ),
                &[lane()],
            ),
            filled: book.gauge_f64((
                "sealprove_answer_stream_filled_ratio",
                "How full is the fullest answer stream? Above 0.9 its tenant's intake stops.",
            )),
            without_room: book.gauge((
                "sealprove_tenants_without_room",
                "How many tenants have intake stopped because their answer stream is full?",
            )),
            tenants: tenants.to_vec(),
            tenant_jobs: book.gauges(
                (
                    "sealprove_tenant_queue_jobs",
                    "How many jobs of this tenant are waiting, and how many are in flight?",
                ),
                &[tenant(), state()],
            ),
            tenant_oldest: book.gauges_f64(
                ("sealprove_tenant_queue_oldest_seconds", "How old is this tenant's oldest unanswered job?"),
                &[tenant()],
            ),
            tenant_filled: book.gauges_f64(
                ("sealprove_tenant_answer_stream_filled_ratio", "How full is this tenant's answer stream?"),
                &[tenant()],
            ),
        }
    }

    /// A lane of all tenants is so long.
    pub fn lane(&self, lane: Lane, length: Length) {
        let jobs = |state| self.jobs.with_label_values(&[lane.as_str(), state]);
        jobs(WAITING).set(whole(length.waiting));
        jobs(IN_FLIGHT).set(whole(length.in_flight));
        self.oldest.with_label_values(&[lane.as_str()]).set(length.oldest.as_secs_f64());
    }

    /// The lanes of a tenant are so long, both together. Told of those alone who are to be shown.
    pub fn tenant(&self, tenant: &Tenant, length: Length) {
        if !self.tenants.contains(tenant) {
            return;
        }
        let jobs = |state| self.tenant_jobs.with_label_values(&[tenant.as_str(), state]);
        jobs(WAITING).set(whole(length.waiting));
        jobs(IN_FLIGHT).set(whole(length.in_flight));
        self.tenant_oldest.with_label_values(&[tenant.as_str()]).set(length.oldest.as_secs_f64());
    }

    /// So many jobs of a lane are likely to outlive themselves.
    pub fn at_risk(&self, lane: Lane, jobs: usize) {
        self.at_risk.with_label_values(&[lane.as_str()]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    /// The fullest answer stream is so full, and so many tenants get no job taken.
    pub fn answer_streams(&self, filled: f64, tenants_without_room: usize) {
        self.filled.set(filled);
        self.without_room.set(i64::try_from(tenants_without_room).unwrap_or(i64::MAX));
    }

    /// A tenant's answer stream is so full. Told of those alone who are to be shown.
    pub fn answer_stream(&self, tenant: &Tenant, filled: f64) {
        if self.tenants.contains(tenant) {
            self.tenant_filled.with_label_values(&[tenant.as_str()]).set(filled);
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
