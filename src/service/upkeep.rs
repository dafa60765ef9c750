//! Upkeep: the tasks that a service repeats at intervals beside its jobs, until it ends.

mod answer_capacity;
mod bundle_expiry;
mod queue_metrics;
mod sweeper;

pub(super) use answer_capacity::watch as watch_answer_capacity;
pub(super) use bundle_expiry::watch as watch_bundle_expiry;
pub(super) use queue_metrics::watch as watch_queues;
pub(super) use sweeper::sweep;
