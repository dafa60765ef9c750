//! Metrics of the served bundle: how long clients accept it, and how long they have a key to seal to.
//!
//! Times are in Unix seconds, as is Prometheus' `time()`. Keys are counted by scheme and not by id: the number of schemes
//! is fixed, and an operator must know when the last key of one ends.

use prometheus::{GaugeVec, IntGauge};

use super::registry::{Label, Registry};
use crate::protocol::{Bundle, BundleKey, Scheme, UnixSeconds};

/// Metrics of the served bundle.
pub struct BundleMetrics {
    serial: IntGauge,
    expires: IntGauge,
    seal_from: GaugeVec,
    seal_until: GaugeVec,
}

impl BundleMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let scheme = || Label::new("scheme", Scheme::ALL);
        BundleMetrics {
            serial: registry.gauge(("sealprove_bundle_serial", "Which bundle is served, by serial number?")),
            expires: registry.gauge((
                "sealprove_bundle_expires_timestamp_seconds",
                "When does the served bundle expire? Clients refuse it from then on.",
            )),
            seal_from: registry.gauges_f64(
                (
                    "sealprove_key_seal_from_timestamp_seconds",
                    "Since when do clients seal to the newest key of this scheme? 0 if there is none.",
                ),
                &[scheme()],
            ),
            seal_until: registry.gauges_f64(
                (
                    "sealprove_key_seal_until_timestamp_seconds",
                    "When do clients stop sealing to the last key of this scheme in the served bundle? 0 if \
                     there is none.",
                ),
                &[scheme()],
            ),
        }
    }

    /// Sets the bundle that is served at `now`.
    #[allow(clippy::cast_precision_loss)] // Today's Unix seconds are far below 2^53.
    pub fn served(&self, bundle: &Bundle, now: UnixSeconds) {
        self.serial.set(i64::try_from(bundle.serial).unwrap_or(i64::MAX));
        self.expires.set(i64::try_from(bundle.expires_at.0).unwrap_or(i64::MAX));
        for scheme in Scheme::ALL {
            let keys: Vec<&BundleKey> = bundle.keys.iter().filter(|key| key.scheme == scheme).collect();
            let newest = keys.iter().map(|key| key.seal_from).filter(|seal_from| *seal_from <= now).max();
            let last_end = keys.iter().map(|key| key.seal_until).max();
            let labels = [scheme.as_str()];
            self.seal_from.with_label_values(&labels).set(newest.unwrap_or_default().0 as f64);
            self.seal_until.with_label_values(&labels).set(last_end.unwrap_or_default().0 as f64);
        }
    }
}
