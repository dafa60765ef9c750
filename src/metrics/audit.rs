//! The audit log, as whoever has to trust it sees it.

use prometheus::IntCounterVec;

use super::book::{Book, Label};
use super::labels::AuditLine;

/// Is the audit log whole?
pub struct Audit {
    lines: IntCounterVec,
}

impl Audit {
    pub(super) fn new(book: &Book) -> Self {
        Audit {
            lines: book.counters(
                (
                    "sealprove_audit_lines_total",
                    "Is the audit log complete? Lines written, writes retried, and lines lost.",
                ),
                &[Label::of("result", AuditLine::ALL, AuditLine::as_str)],
            ),
        }
    }

    /// Something became of a line.
    pub fn line(&self, line: AuditLine) {
        self.lines.with_label_values(&[line.as_str()]).inc();
    }
}
