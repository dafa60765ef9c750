//! The handle by which jobs and requests reach the prover.
//!
//! A job is proved by the chamber that is current when its attempt begins, and stays with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::chamber_client::{ChamberClient, NoReply, Reply};
use super::memory_budget::Limits;
use super::proving_times::ProvingTimes;
use super::served_bundle::ServedBundle;
use super::supervisor::CurrentChamber;
use crate::frame::JobHead;
use crate::protocol::{BundleCircuit, CircuitId, KeyId, Scheme, UnixMillis, VerifyingKeyDigest};

/// The chambers of this service, and what is known about proving in them.
#[derive(Clone)]
pub(crate) struct Prover {
    pub(crate) chamber: CurrentChamber,
    pub(crate) bundle: Arc<ServedBundle>,
    times: Arc<ProvingTimes>,
    built: Arc<Built>,
}

/// The circuits that every chamber of this service builds.
struct Built {
    circuits: Vec<BundleCircuit>,
    limits: HashMap<CircuitId, Limits>,
}

impl Prover {
    pub(crate) fn new(
        chamber: CurrentChamber,
        bundle: Arc<ServedBundle>,
        times: Arc<ProvingTimes>,
        circuits: Vec<BundleCircuit>,
        limits: HashMap<CircuitId, Limits>,
    ) -> Self {
        Prover { chamber, bundle, times, built: Arc::new(Built { circuits, limits }) }
    }

    /// Returns the circuits that are built, as a bundle lists them.
    pub(crate) fn circuits(&self) -> &[BundleCircuit] {
        &self.built.circuits
    }

    /// Has a job proved within `time`, or the circuit's own limit where that is shorter.
    pub(crate) async fn prove(
        &self,
        chamber: &ChamberClient,
        head: &JobHead,
        payload: &[u8],
        time: Duration,
        dropped: impl Future<Output = ()>,
    ) -> Result<Reply, NoReply> {
        let limits = self.limits(&head.circuit);
        // Past its deadline a proof is of no use, and its process would only occupy a slot.
        let within = Limits { time: limits.time.min(time), ..limits };
        chamber.prove(within, head, payload, dropped).await
    }

    /// Returns the time limit of one proof of a built circuit.
    pub(crate) fn time_limit(&self, circuit: &CircuitId) -> Duration {
        self.limits(circuit).time
    }

    fn limits(&self, circuit: &CircuitId) -> Limits {
        // Cannot panic: admission refuses circuits that are not built, and each built one has limits.
        *self.built.limits.get(circuit).expect("a built circuit has limits")
    }

    /// Records the time of one proof. Records nothing when the key is gone meanwhile.
    pub(crate) fn record_time(&self, circuit: &CircuitId, key: &KeyId, payload_bytes: usize, took: Duration) {
        if let Some(scheme) = self.chamber.get().and_then(|chamber| chamber.keys.scheme(key)) {
            self.times.record(circuit, scheme, payload_bytes, took);
        }
    }

    /// Returns the typical time of a proof of this size.
    pub(crate) fn typical_time(&self, circuit: &CircuitId, payload_bytes: usize) -> Option<Duration> {
        self.times.typical(circuit, payload_bytes)
    }

    /// Returns the earliest moment at which a proof that starts now can be finished.
    pub(crate) fn earliest_finish(&self, circuit: &CircuitId, payload_bytes: usize) -> UnixMillis {
        UnixMillis::now() + self.times.fastest(circuit, payload_bytes).unwrap_or_default()
    }

    /// Returns the scheme of a key that the chamber or the served bundle has.
    pub(crate) fn scheme(&self, key: &KeyId) -> Option<Scheme> {
        // The chamber may be away, and a key that it has may be in no bundle any more.
        let loaded = self.chamber.get().and_then(|chamber| chamber.keys.scheme(key));
        let served = self.bundle.current();
        loaded.or_else(|| served.bundle.keys.iter().find(|listed| listed.id == *key).map(|key| key.scheme))
    }

    /// Returns the verifying key that the served bundle lists for a circuit.
    pub(crate) fn verifying_key(&self, circuit: &CircuitId) -> Option<VerifyingKeyDigest> {
        self.bundle.current().bundle.circuit(circuit).map(|circuit| circuit.verifying_key)
    }
}
