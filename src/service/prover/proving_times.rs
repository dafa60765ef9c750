//! Proving times, by circuit and size of the sealed witness: a client is told what to expect, and a job whose deadline
//! cannot be met is answered `EXPIRED` without a proof.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::protocol::{CircuitId, Scheme};

/// The proving times seen here. Padding leaves few sizes, and only finished proofs are recorded, so this stays small.
#[derive(Default)]
pub(crate) struct ProvingTimes(Mutex<BTreeMap<(CircuitId, usize), Times>>);

#[derive(Clone, Copy)]
struct Times {
    typical: Duration,
    fastest: Duration,
}

impl ProvingTimes {
    /// Records the time of one proof, for the payload sizes of the same witness under every scheme.
    pub(crate) fn record(&self, circuit: &CircuitId, scheme: Scheme, payload_bytes: usize, took: Duration) {
        let mut known = self.0.lock();
        let Some(plain_bytes) = payload_bytes.checked_sub(scheme.enc_bytes()) else { return };
        for sealed_bytes in Scheme::STRONGEST_FIRST.map(|scheme| plain_bytes + scheme.enc_bytes()) {
            let times = known
                .entry((circuit.clone(), sealed_bytes))
                .or_insert(Times { typical: took, fastest: took });
            // A quarter of the way, so that one slow proof does not change the estimate much.
            times.typical = (times.typical * 3 + took) / 4;
            times.fastest = times.fastest.min(took);
        }
    }

    /// Returns the typical time of a proof of this size, else of the nearest smaller one, else of any.
    pub(crate) fn typical(&self, circuit: &CircuitId, payload_bytes: usize) -> Option<Duration> {
        let known = self.0.lock();
        let smaller = known.range((circuit.clone(), 0)..=(circuit.clone(), payload_bytes)).next_back();
        let nearest = smaller
            .or_else(|| known.range((circuit.clone(), payload_bytes)..=(circuit.clone(), usize::MAX)).next());
        nearest.map(|(_, times)| times.typical)
    }

    /// Returns the shortest time of a proof of this size: a job with less time left cannot be finished.
    pub(crate) fn fastest(&self, circuit: &CircuitId, payload_bytes: usize) -> Option<Duration> {
        // Of this very size alone: a bound by another size would refuse jobs that could be proved in time.
        self.0.lock().get(&(circuit.clone(), payload_bytes)).map(|times| times.fastest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_estimated_by_its_nearest_neighbour_and_bounded_by_itself_alone() {
        let times = ProvingTimes::default();
        let (circuit, other): (CircuitId, CircuitId) = ("a-v1".parse().unwrap(), "b-v1".parse().unwrap());
        let second = Duration::from_secs(1);
        assert_eq!(times.typical(&circuit, 1000), None);
        times.record(&circuit, Scheme::X25519, 1000, 4 * second);
        times.record(&circuit, Scheme::X25519, 1000, 8 * second);
        times.record(&circuit, Scheme::X25519, 9000, 30 * second);

        assert_eq!(times.typical(&circuit, 1000), Some(5 * second));
        assert_eq!(times.typical(&circuit, 2000), Some(5 * second));
        assert_eq!(times.typical(&circuit, 500), Some(5 * second));
        assert_eq!(times.typical(&circuit, 9000), Some(30 * second));
        assert_eq!(times.typical(&other, 1000), None);
        assert_eq!(times.fastest(&circuit, 1000), Some(4 * second));
        assert_eq!(times.fastest(&circuit, 2000), None);
        let under_xwing = 1000 - Scheme::X25519.enc_bytes() + Scheme::XWing.enc_bytes();
        assert_eq!(times.fastest(&circuit, under_xwing), Some(4 * second));
    }
}
