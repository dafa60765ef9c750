//! The self-test of a chamber: it proves the smallest witness of every circuit before it gets jobs. The first chamber
//! of a service also proves the largest, which may take a minute, beside its first jobs.
//!
//! A sample goes the way of a job: sealed to the deployment's key, opened in a process of its own, under the real lock
//! and the real limits. So a ready service has made a proof on this machine a moment ago, and knows how long one takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::chamber_client::{ChamberClient, NoReply, Reply};
use super::memory_budget::Limits;
use super::proving_times::ProvingTimes;
use super::served_bundle::{ServableBundle, ServedBundle};
use crate::circuit::Circuits;
use crate::frame::{End, JobHead};
use crate::metrics::Metrics;
use crate::protocol::{
    AnswerMode, BundleKey, CircuitId, Code, Deployment, JobHeader, JobId, JobSubject, Lane, Scheme, Tenant,
    UnixSeconds, VerifyingKeyPin, millis, seal, sealed_bytes,
};

/// Lifetime of a sample's seal; the circuit's own limit ends it sooner.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A witness that a circuit offers. It is not secret.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub circuit: CircuitId,
    /// True for the largest witness that the circuit takes, false for the smallest.
    pub is_largest: bool,
    /// The witness, in the form that is sealed.
    pub bytes: Vec<u8>,
    pub limits: Limits,
}

impl Sample {
    /// Returns the smallest and the largest witness of every circuit; one that is both, once.
    pub(crate) fn of_all(circuits: &Circuits, limits: &HashMap<CircuitId, Limits>) -> Vec<Self> {
        let mut samples = Vec::new();
        for (id, circuit) in circuits.iter() {
            let (smallest, largest) = (circuit.sample_witness(), circuit.largest_witness());
            let smallest =
                Sample { circuit: id.clone(), is_largest: false, bytes: smallest, limits: limits[id] };
            if largest != smallest.bytes {
                samples.push(Sample { is_largest: true, bytes: largest, ..smallest.clone() });
            }
            samples.push(smallest);
        }
        samples
    }
}

/// A self-test of the first chamber.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SelfTestResult {
    pub(crate) circuit: CircuitId,
    /// Whether its witness is the largest that the circuit takes, or the smallest.
    pub(crate) largest: bool,
    /// Time of the last proof, in milliseconds; `None` until the test has passed.
    pub(crate) proved_ms: Option<u64>,
}

/// The results of all self-tests, for the operator.
#[derive(Debug, Default)]
pub(crate) struct SelfTestResults(Mutex<Vec<SelfTestResult>>);

impl SelfTestResults {
    /// Creates the results of tests that have not run.
    pub(crate) fn new(samples: &[Sample]) -> Self {
        let results = samples.iter().map(|sample| SelfTestResult {
            circuit: sample.circuit.clone(),
            largest: sample.is_largest,
            proved_ms: None,
        });
        SelfTestResults(Mutex::new(results.collect()))
    }

    /// Returns the results so far.
    pub(crate) fn get(&self) -> Vec<SelfTestResult> {
        self.0.lock().clone()
    }

    fn record(&self, sample: &Sample, proved_ms: u64) {
        let mut results = self.0.lock();
        let found = results
            .iter_mut()
            .find(|result| result.circuit == sample.circuit && result.largest == sample.is_largest);
        if let Some(result) = found {
            result.proved_ms = Some(proved_ms);
        }
    }
}

/// The self-test failed.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// The chamber ended meanwhile, which is not the circuit's fault.
    #[error("the chamber ended during its self-test")]
    ChamberGone,
    /// A circuit does not prove its own sample here.
    #[error("the self-test of {circuit}: {reason}")]
    Failed {
        /// The circuit that failed.
        circuit: CircuitId,
        /// The outcome, and the remedy if there is one.
        reason: String,
    },
}

/// The test that every chamber must pass.
pub(crate) struct SelfTest {
    pub(crate) bundle: Arc<ServedBundle>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) results: Arc<SelfTestResults>,
    pub(crate) times: Arc<ProvingTimes>,
    pub(crate) metrics: Arc<Metrics>,
}

impl SelfTest {
    /// Proves the smallest witness of every circuit, one after the other.
    pub(super) async fn prove_smallest(&self, chamber: &ChamberClient) -> Result<(), SelfTestError> {
        for sample in self.samples.iter().filter(|sample| !sample.is_largest) {
            self.prove(chamber, sample).await?;
        }
        Ok(())
    }

    /// Proves the largest witnesses. A chamber that ends meanwhile passes: the next one is tested again.
    pub(super) async fn prove_largest(&self, chamber: &ChamberClient) -> Result<(), SelfTestError> {
        for sample in self.samples.iter().filter(|sample| sample.is_largest) {
            match self.prove(chamber, sample).await {
                Err(SelfTestError::ChamberGone) => return Ok(()),
                proved => proved?,
            }
        }
        Ok(())
    }

    async fn prove(&self, chamber: &ChamberClient, sample: &Sample) -> Result<(), SelfTestError> {
        let reason = match self.send(chamber, sample).await {
            Some(Ok(reply)) if reply.head.code == Code::Ok => {
                self.record(sample, &reply);
                return Ok(());
            }
            Some(Ok(reply)) => format!("answered {}", reply.head.code),
            // The chamber was ended from outside, which says nothing about the circuit.
            Some(Err(NoReply::ChamberGone | NoReply::Ended(End::Killed))) => {
                return Err(SelfTestError::ChamberGone);
            }
            Some(Err(cause)) => with_remedy(&sample.circuit, cause),
            None => "the bundle has no key of this chamber to seal to".to_owned(),
        };
        Err(SelfTestError::Failed { circuit: sample.circuit.clone(), reason })
    }

    /// Has a sample proved as a job is; returns `None` where there is no key to seal it to.
    pub(crate) async fn send(
        &self,
        chamber: &ChamberClient,
        sample: &Sample,
    ) -> Option<Result<Reply, NoReply>> {
        let (served, key) = self.key(chamber)?;
        let (head, payload) = job(sample, &served.bundle.deployment, &key)?;
        Some(chamber.prove(sample.limits, &head, &payload, std::future::pending()).await)
    }

    /// Chooses a key that the chamber has, from the served bundle or the next one: the key that clients would seal
    /// to now, else any.
    fn key(&self, chamber: &ChamberClient) -> Option<(Arc<ServableBundle>, BundleKey)> {
        // A changed key and the bundle that lists it arrive in any order, so the next bundle is searched too. A key
        // outside of its sealing period tests the chamber as well as any.
        let is_loaded = |key: &&BundleKey| chamber.keys.scheme(&key.id).is_some();
        let now = UnixSeconds::now();
        self.bundle.current_and_next().into_iter().find_map(|served| {
            let chosen = served.bundle.key_for(&Scheme::STRONGEST_FIRST, now, now).filter(is_loaded);
            let key = chosen.or_else(|| served.bundle.keys.iter().find(is_loaded)).cloned()?;
            Some((served, key))
        })
    }

    fn record(&self, sample: &Sample, reply: &Reply) {
        let circuit = &sample.circuit;
        let took = reply.capped(reply.head.timings.proved).unwrap_or_default();
        // The size under one scheme stands for all: the record covers the sizes of this witness under each of them.
        let payload_bytes = sealed_bytes(Scheme::X25519, sample.bytes.len());
        self.times.record(circuit, Scheme::X25519, payload_bytes, took);
        self.metrics.chambers.self_tested(circuit, sample.is_largest, took);
        let (proved_ms, peak_bytes) = (millis(took), reply.peak_bytes);
        self.results.record(sample, proved_ms);
        info!(%circuit, largest = sample.is_largest, proved_ms, peak_bytes, "self-test passed");
        // Measured while few slots are busy, or none. With all of them busy a proof takes longer.
        if took * 2 > sample.limits.time {
            let limit = humantime::format_duration(sample.limits.time);
            warn!(%circuit, proved_ms, %limit, "a proof takes more than half of its time limit here");
        }
    }
}

/// Seals a sample as a job of no tenant.
fn job(sample: &Sample, deployment: &Deployment, key: &BundleKey) -> Option<(JobHead, Vec<u8>)> {
    let subject = JobSubject {
        tenant: Tenant::default(),
        lane: Lane::Standard,
        circuit: sample.circuit.clone(),
        job: JobId::random(),
    };
    let header = JobHeader {
        subject,
        key: key.id.clone(),
        expires: UnixSeconds::now() + LIFETIME,
        // The service has no secret to open a sealed answer with.
        answer: AnswerMode::Open,
        verifying_key: VerifyingKeyPin::Any,
    };
    let info = header.info(deployment);
    let sealed = seal(key.scheme, &key.public_key.0, &info, &sample.bytes).ok()?;
    Some((JobHead::new(header, 1, 0), sealed.payload))
}

fn with_remedy(circuit: &CircuitId, cause: NoReply) -> String {
    let key = match cause {
        NoReply::Ended(End::OutOfMemory) => "memory_limit",
        NoReply::Ended(End::TimedOut) => "time_limit",
        _ => return cause.to_string(),
    };
    format!("{cause}; raise {key} under [circuits.{circuit}]")
}
