//! Metrics of the service's readiness.

use prometheus::{IntGauge, IntGaugeVec};

use super::labels::Missing;
use super::registry::{Label, Registry};

/// Metrics of the service's readiness.
pub struct HealthMetrics {
    ready: IntGauge,
    unready: IntGaugeVec,
}

impl HealthMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let version = Label::new("version", [env!("CARGO_PKG_VERSION").to_owned()]);
        let build = registry.gauges(("sealprove_build_info", "Which build is this? Always 1."), &[version]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        HealthMetrics {
            ready: registry.gauge(("sealprove_ready", "Does the service take jobs? 1 if it does.")),
            unready: registry.gauges(
                ("sealprove_unready", "What keeps the service from taking jobs? 1 for each reason."),
                &[Label::new("reason", Missing::ALL)],
            ),
        }
    }

    /// Sets the reasons for which the service takes no jobs. With none of them it is ready.
    pub fn missing(&self, missing: &[Missing]) {
        self.ready.set(i64::from(missing.is_empty()));
        for reason in Missing::ALL {
            self.unready.with_label_values(&[reason.as_str()]).set(i64::from(missing.contains(&reason)));
        }
    }
}
