//! Metrics of the audit log: whether it can be trusted to be complete.

use prometheus::IntCounterVec;

use super::labels::AuditLine;
use super::registry::{Label, Registry};

/// Metrics of the audit log.
pub struct AuditMetrics {
    lines: IntCounterVec,
}

impl AuditMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        AuditMetrics {
            lines: registry.counters(
                (
                    "sealprove_audit_lines_total",
                    "Is the audit log complete? Lines written, writes retried, and lines lost.",
                ),
                &[Label::new("result", AuditLine::ALL)],
            ),
        }
    }

    /// Counts a line by its fate.
    pub fn line(&self, line: AuditLine) {
        self.lines.with_label_values(&[line.as_str()]).inc();
    }
}
