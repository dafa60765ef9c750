//! How long proofs have been taking here, by circuit and by the size of the sealed witness: what a client
//! is told to expect, and what decides that a deadline cannot be met.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::envelope::Scheme;
use crate::job::CircuitId;

/// Times of proofs. Padding gives few sizes, and only proofs that were made are remembered, so this stays
/// small.
#[derive(Default)]
pub(super) struct Pace(Mutex<BTreeMap<(CircuitId, usize), Taken>>);

#[derive(Clone, Copy)]
struct Taken {
    usually: Duration,
    at_least: Duration,
}

impl Pace {
    /// A proof took so long. What holds for a witness under one scheme holds for it under every other.
    pub(super) fn learn(&self, circuit: &CircuitId, scheme: Scheme, payload_bytes: usize, took: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(plain_bytes) = payload_bytes.checked_sub(scheme.enc_bytes()) else { return };
        for sealed_bytes in Scheme::ALL.map(|scheme| plain_bytes + scheme.enc_bytes()) {
            let unknown = Taken { usually: took, at_least: took };
            let taken = known.entry((circuit.clone(), sealed_bytes)).or_insert(unknown);
            // A quarter of the way, so that one slow proof does not make a rule.
            taken.usually = (taken.usually * 3 + took) / 4;
            taken.at_least = taken.at_least.min(took);
        }
    }

    /// How long a proof usually takes: of this size, else of the nearest smaller one, else of any.
    pub(super) fn usually(&self, circuit: &CircuitId, payload_bytes: usize) -> Option<Duration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_circuit = |from, to| known.range((circuit.clone(), from)..=(circuit.clone(), to));
        let smaller = of_circuit(0, payload_bytes).next_back();
        smaller.or_else(|| of_circuit(payload_bytes, usize::MAX).next()).map(|(_, taken)| taken.usually)
    }

    /// The shortest that a proof of this size has taken: a job with less time left cannot be done.
    pub(super) fn at_least(&self, circuit: &CircuitId, payload_bytes: usize) -> Option<Duration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(circuit.clone(), payload_bytes)).map(|taken| taken.at_least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_what_its_nearest_neighbour_took_and_bound_by_its_own_alone() {
        let pace = Pace::default();
        let (circuit, other): (CircuitId, CircuitId) = ("a-v1".parse().unwrap(), "b-v1".parse().unwrap());
        let second = Duration::from_secs(1);
        assert_eq!(pace.usually(&circuit, 1000), None);
        pace.learn(&circuit, Scheme::X25519, 1000, 4 * second);
        pace.learn(&circuit, Scheme::X25519, 1000, 8 * second);
        pace.learn(&circuit, Scheme::X25519, 9000, 30 * second);

        assert_eq!(pace.usually(&circuit, 1000), Some(5 * second));
        assert_eq!(pace.usually(&circuit, 2000), Some(5 * second));
        assert_eq!(pace.usually(&circuit, 500), Some(5 * second));
        assert_eq!(pace.usually(&circuit, 9000), Some(30 * second));
        assert_eq!(pace.usually(&other, 1000), None);
        assert_eq!(pace.at_least(&circuit, 1000), Some(4 * second));
        assert_eq!(pace.at_least(&circuit, 2000), None);
        let under_xwing = 1000 - Scheme::X25519.enc_bytes() + Scheme::XWing.enc_bytes();
        assert_eq!(pace.at_least(&circuit, under_xwing), Some(4 * second));
    }
}
