//! The bundle that is served: for how long clients have it, and a key in it to seal to.
//!
//! Times are Unix seconds, as Prometheus has them: how long it is until then is a matter of `time()`. Keys stand
//! here by their scheme and not by their id: there is always the same small number of schemes, and what an
//! operator must know is when the last key of one ends.

use prometheus::{GaugeVec, IntGauge};

use super::book::{Book, Label};
use crate::protocol::{Bundle, Scheme, UnixSeconds};

/// For how long can clients seal?
pub struct Bundles {
    serial: IntGauge,
    expires: IntGauge,
    seal_from: GaugeVec,
    seal_until: GaugeVec,
}

impl Bundles {
    pub(super) fn new(book: &Book) -> Self {
        let scheme = || Label::of("scheme", &Scheme::ALL, Scheme::as_str);
        Bundles {
            serial: book.gauge(("sealprove_bundle_serial", "Which bundle is served, by serial number?")),
            expires: book.gauge((
                "sealprove_bundle_expires_timestamp_seconds",
                "When does the served bundle expire? Clients refuse it from then on.",
            )),
            seal_from: book.gauges_f64(
                (
                    "sealprove_key_seal_from_timestamp_seconds",
                    "Since when do clients seal to the newest key of this scheme? 0 if there is none.",
                ),
                &[scheme()],
            ),
            seal_until: book.gauges_f64(
                (
                    "sealprove_key_seal_until_timestamp_seconds",
                    "When do clients stop sealing to the last key of this scheme in the served bundle? 0 if \
                     there is none.",
                ),
                &[scheme()],
            ),
        }
    }

    /// This bundle is served now.
    #[allow(clippy::cast_precision_loss)] // Seconds of this age of the world are far below 2^53.
    pub fn served(&self, bundle: &Bundle, now: UnixSeconds) {
        self.serial.set(i64::try_from(bundle.serial).unwrap_or(i64::MAX));
        self.expires.set(i64::try_from(bundle.expires_at.0).unwrap_or(i64::MAX));
        for scheme in Scheme::ALL {
            let keys = || bundle.keys.iter().filter(|key| key.scheme == scheme);
            let begun = keys().filter(|key| key.seal_from <= now);
            let latest = |times: Option<UnixSeconds>| times.unwrap_or_default().0 as f64;
            let of_scheme = [scheme.as_str()];
            self.seal_from.with_label_values(&of_scheme).set(latest(begun.map(|key| key.seal_from).max()));
            self.seal_until.with_label_values(&of_scheme).set(latest(keys().map(|key| key.seal_until).max()));
        }
    }
}
