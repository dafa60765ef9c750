//! What the service counts and measures, for whoever runs it. One group for each theme, one method for each
//! event; the help text of a metric is the question that it answers.
//!
//! Labels come from closed sets: enums, the circuits of the bundle, and the tenants that the operator has named for
//! it. Every value is there from the start, at zero. Never a label: a job, a subject, the text of an error, or
//! anything else that a stranger can choose. `docs/METRICS.md` has them all, and a test compares.

mod labels;
mod book;
mod audit;
mod broker;
mod bundle;
mod chambers;
mod health;
mod jobs;
mod processes;
mod queues;

use prometheus::{Encoder, Registry, TextEncoder};

use crate::protocol::{CircuitId, Tenant};
use book::Book;

pub use audit::Audit;
pub use broker::Broker;
pub use bundle::Bundles;
pub use chambers::Chambers;
pub use health::Health;
pub use jobs::Jobs;
pub use labels::{AuditLine, BrokerEvent, Missing, Phase, Winner};
pub use processes::Processes;
pub use queues::{Length, Queues};

/// The service's metrics.
pub struct Metrics {
    /// Is it well?
    pub health: Health,
    /// How did jobs end, and where did their time go?
    pub jobs: Jobs,
    /// What do slots and job processes do?
    pub processes: Processes,
    /// Who waits, and is there room for answers?
    pub queues: Queues,
    /// Who holds the keys, and how is it locked?
    pub chambers: Chambers,
    /// For how long can clients seal?
    pub bundle: Bundles,
    /// What does the broker do?
    pub broker: Broker,
    /// Is the audit log whole?
    pub audit: Audit,
    registry: Registry,
}

impl Metrics {
    /// All of them, at zero: for these circuits, and by name for these tenants.
    ///
    /// # Panics
    /// When a name or a label is not one that Prometheus takes: a test would have shown it.
    pub fn new(circuits: impl IntoIterator<Item = CircuitId>, tenants: &[Tenant]) -> Self {
        let book = Book::of(circuits);
        Metrics {
            health: Health::new(&book),
            jobs: Jobs::new(&book),
            processes: Processes::new(&book),
            queues: Queues::new(&book, tenants),
            chambers: Chambers::new(&book),
            bundle: Bundles::new(&book),
            broker: Broker::new(&book),
            audit: Audit::new(&book),
            registry: book.close(),
        }
    }

    /// The page that Prometheus scrapes.
    pub fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        // Cannot panic: writing to a vector, and every family has a name.
        TextEncoder::new().encode(&self.registry.gather(), &mut page).expect("metrics encode");
        page
    }
}
