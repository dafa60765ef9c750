//! The service's metrics, for its operator. One group for each theme, one method for each event. The help text of a
//! metric is the question that it answers.
//!
//! Labels come from closed sets: enums, the circuits of the bundle, and the tenants that the operator has configured.
//! Every value exists from the start, at zero. A label is never a job, a subject, the text of an error, or anything else
//! that a client can choose. `docs/METRICS.md` lists all metrics, and a test compares.

mod labels;
mod registry;

mod audit;
mod broker;
mod bundle;
mod chambers;
mod health;
mod jobs;
mod processes;
mod queues;

use prometheus::{Encoder, TextEncoder};

use crate::protocol::{CircuitId, Tenant};
use registry::Registry;

pub use audit::AuditMetrics;
pub use broker::BrokerMetrics;
pub use bundle::BundleMetrics;
pub use chambers::ChamberMetrics;
pub use health::HealthMetrics;
pub use jobs::JobMetrics;
pub use labels::{AuditLine, BrokerEvent, Missing, Phase, Winner};
pub use processes::ProcessMetrics;
pub use queues::{Length, QueueMetrics};

/// The service's metrics.
pub struct Metrics {
    /// Readiness.
    pub health: HealthMetrics,
    /// Outcomes of jobs, and their times.
    pub jobs: JobMetrics,
    /// Slots and job processes.
    pub processes: ProcessMetrics,
    /// Queues and answer streams.
    pub queues: QueueMetrics,
    /// Keys, limits and locks of the chamber.
    pub chambers: ChamberMetrics,
    /// The served bundle.
    pub bundle: BundleMetrics,
    /// Connections to the broker.
    pub broker: BrokerMetrics,
    /// Lines of the audit log.
    pub audit: AuditMetrics,
    registry: prometheus::Registry,
}

impl Metrics {
    /// Creates all metrics, at zero: for these circuits, and by name for these tenants.
    pub fn new(circuits: impl IntoIterator<Item = CircuitId>, tenants: &[Tenant]) -> Self {
        let registry = Registry::new(circuits);
        Metrics {
            health: HealthMetrics::new(&registry),
            jobs: JobMetrics::new(&registry),
            processes: ProcessMetrics::new(&registry),
            queues: QueueMetrics::new(&registry, tenants),
            chambers: ChamberMetrics::new(&registry),
            bundle: BundleMetrics::new(&registry),
            broker: BrokerMetrics::new(&registry),
            audit: AuditMetrics::new(&registry),
            registry: registry.into_inner(),
        }
    }

    /// Writes the page that Prometheus scrapes.
    pub fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        // Cannot panic: it writes to a vector, and every family has a name.
        TextEncoder::new().encode(&self.registry.gather(), &mut page).expect("metrics encode");
        page
    }
}
