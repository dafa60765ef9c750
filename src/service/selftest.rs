//! The self-test: before a chamber gets jobs it proves what every circuit offers as its smallest witness; the
//! first one of a service proves the largest as well, which may take a minute, beside its first jobs. They go
//! the way of a job: sealed to the deployment's key, opened in a process of their own, under the real lock and
//! the real limits.
//!
//! So a service that is ready has made a proof on this machine a moment ago, and knows how long one takes.

use std::sync::Arc;

use tracing::{info, warn};

use super::ServiceError;
use super::limits::Limits;
use super::link::{Live, NoReply, Reply};
use super::pace::Pace;
use super::published::{Published, Signed};
use crate::bundle::BundleKey;
use crate::clock::unix_now;
use crate::envelope::{Scheme, seal, sealed_bytes};
use crate::frame::{End, JobHead};
use crate::job::{AnswerMode, CircuitId, Deployment, JobId, JobSubject, Lane, Tenant};
use crate::metrics::Metrics;
use crate::wire::{Code, JobHeader, VerifyingKeyPin};

/// How long a sample's seal is good for, in seconds; the circuit's own limit ends it sooner.
const LIFETIME_SECONDS: u64 = 60 * 60;

/// A witness that a circuit offers, in the form that is sealed. It is no secret.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// What it is proved under.
    pub circuit: CircuitId,
    /// Whether it is the largest that the circuit takes, or the smallest.
    pub is_largest: bool,
    /// What the job process gets.
    pub bytes: Vec<u8>,
    /// How its proof is limited.
    pub limits: Limits,
}

/// What every chamber must pass.
pub(super) struct SelfTest {
    pub(super) published: Arc<Published>,
    pub(super) samples: Vec<Sample>,
    pub(super) pace: Arc<Pace>,
    pub(super) metrics: Arc<Metrics>,
}

impl SelfTest {
    /// Proves the smallest witness of every circuit, one after the other.
    pub(super) async fn smallest(&self, chamber: &Live) -> Result<(), ServiceError> {
        for sample in self.samples.iter().filter(|sample| !sample.is_largest) {
            self.prove(chamber, sample).await?;
        }
        Ok(())
    }

    /// Proves the largest ones. A chamber that is gone meanwhile is no fault of theirs.
    pub(super) async fn largest(&self, chamber: &Live) -> Result<(), ServiceError> {
        for sample in self.samples.iter().filter(|sample| sample.is_largest) {
            match self.prove(chamber, sample).await {
                Err(ServiceError::Chamber) => return Ok(()),
                proved => proved?,
            }
        }
        Ok(())
    }

    async fn prove(&self, chamber: &Live, sample: &Sample) -> Result<(), ServiceError> {
        let failed = |reason: String| ServiceError::SelfTest { circuit: sample.circuit.clone(), reason };
        match self.send(chamber, sample).await {
            Some(Ok(reply)) if reply.head.code == Code::Ok => self.learn(sample, &reply),
            Some(Ok(reply)) => return Err(failed(format!("answered {}", reply.head.code.as_str()))),
            Some(Err(NoReply::ChamberGone | NoReply::Ended(End::Killed))) => {
                return Err(ServiceError::Chamber);
            }
            Some(Err(cause)) => return Err(failed(with_remedy(&sample.circuit, cause))),
            None => return Err(failed("the bundle has no key of this chamber to seal to".to_owned())),
        }
        Ok(())
    }

    /// Has a sample proved as a job is; `None` where there is no key to seal it to.
    pub(super) async fn send(&self, chamber: &Live, sample: &Sample) -> Option<Result<Reply, NoReply>> {
        let (signed, key) = self.key(chamber)?;
        let (head, payload) = job(sample, &signed.bundle.deployment, &key)?;
        Some(chamber.prove(sample.limits, &head, &payload, std::future::pending()).await)
    }

    /// A key that the chamber has, of the bundle that is served or of the one that waits: the one that clients
    /// would seal to now, else any.
    fn key(&self, chamber: &Live) -> Option<(Arc<Signed>, BundleKey)> {
        let is_there = |key: &&BundleKey| chamber.keys.scheme_of(&key.id).is_some();
        let now = unix_now();
        self.published.all().into_iter().find_map(|signed| {
            let chosen = signed.bundle.key_for(&Scheme::ALL, now, now).filter(is_there);
            let key = chosen.or_else(|| signed.bundle.keys.iter().find(is_there)).cloned()?;
            Some((signed, key))
        })
    }

    fn learn(&self, sample: &Sample, reply: &Reply) {
        let circuit = &sample.circuit;
        let took = reply.believed(reply.head.timings.proved).unwrap_or_default();
        let payload_bytes = sealed_bytes(Scheme::X25519, sample.bytes.len());
        self.pace.learn(circuit, Scheme::X25519, payload_bytes, took);
        self.metrics.chambers.self_tested(circuit, sample.is_largest, took);
        let (proved_ms, peak_bytes) = (crate::clock::millis(took), reply.peak_bytes);
        info!(%circuit, largest = sample.is_largest, proved_ms, peak_bytes, "self-test passed");
        if took * 2 > sample.limits.time {
            let limit = humantime::format_duration(sample.limits.time);
            warn!(%circuit, proved_ms, %limit, "a proof here takes more than half of its time limit");
        }
    }
}

/// A job like any other, whose answer is for nobody.
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
        expires: unix_now() + LIFETIME_SECONDS,
        answer: AnswerMode::Open,
        verifying_key: VerifyingKeyPin::Any,
    };
    let info = header.info(deployment);
    let sealed = seal(key.scheme, &key.public_key.0, &info, &sample.bytes).ok()?;
    Some((JobHead::of(header, 1, 0), sealed.payload))
}

fn with_remedy(circuit: &CircuitId, cause: NoReply) -> String {
    let remedy = match cause {
        NoReply::Ended(End::OutOfMemory) => "memory_limit",
        NoReply::Ended(End::TimedOut) => "time_limit",
        _ => return cause.to_string(),
    };
    format!("{cause}; raise {remedy} under [circuits.{circuit}]")
}
