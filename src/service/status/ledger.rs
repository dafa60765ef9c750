//! The ledger: metrics, audit log, traces and activity, in which the service records its work.

use std::sync::Arc;

use super::activity::Activity;
use super::traces::Traces;
use crate::audit::log::AuditLog;
use crate::metrics::Metrics;

/// Metrics, audit log, traces and activity of one service.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit: AuditLog,
    pub(crate) traces: Traces,
    pub(crate) activity: Arc<Activity>,
}
