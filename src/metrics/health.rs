//! Whether the service is well.

use prometheus::{IntGauge, IntGaugeVec};

use super::book::{Book, Label};
use super::labels::Missing;

/// Is it well?
pub struct Health {
    ready: IntGauge,
    unready: IntGaugeVec,
}

impl Health {
    pub(super) fn new(book: &Book) -> Self {
        let version = Label::named("version", [env!("CARGO_PKG_VERSION").to_owned()]);
        let build = book.gauges(("sealprove_build_info", "Which build is this? Always 1."), &[version]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Health {
            ready: book.gauge(("sealprove_ready", "Does the service take jobs? 1 if it does.")),
            unready: book.gauges(
                ("sealprove_unready", "What keeps the service from taking jobs? 1 for each reason."),
                &[Label::of("reason", Missing::ALL, Missing::as_str)],
            ),
        }
    }

    /// This keeps the service from taking jobs; nothing, when it takes them.
    pub fn missing(&self, missing: &[Missing]) {
        self.ready.set(i64::from(missing.is_empty()));
        for reason in Missing::ALL {
            self.unready.with_label_values(&[reason.as_str()]).set(i64::from(missing.contains(reason)));
        }
    }
}
