//! What must be there before the first job: the bundle, the broker, its streams, and a chamber that has
//! what the bundle promises. A broker that is away is waited for; what can never work is an error.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, jetstream};
use tracing::{error, warn};

use super::chambers::Chambers;
use super::limits::{self, Limits};
use super::published::Signed;
use super::readiness::Readiness;
use super::selftest::Sample;
use super::{ServiceError, streams};
use crate::audit::log::Book;
use crate::broker::{Backoff, STATUS_STREAM};
use crate::bundle::{Bundle, BundleCircuit};
use crate::circuit::{Circuit, Circuits, Descriptor};
use crate::config::{Sandbox, ServiceConfig};
use crate::frame::Locks;
use crate::job::CircuitId;
use crate::launcher::{Launcher, Watched};
use crate::sandbox::{self, Readable};

/// The first and the longest wait before the broker is tried again.
const BROKER_WAIT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// How far this clock and the broker's may be apart, in seconds.
const CLOCK_SECONDS: f64 = 60.0;

/// What a service is made of before it has met anybody.
#[derive(Debug)]
pub struct Setup {
    pub(super) config: ServiceConfig,
    pub(super) signed: Signed,
    /// What the chamber builds, as a bundle lists it.
    pub(super) circuits: Vec<BundleCircuit>,
    pub(super) limits: HashMap<CircuitId, Limits>,
    pub(super) samples: Vec<Sample>,
    pub(super) launcher: Launcher,
    pub(super) available_bytes: u64,
    pub(super) locks: Locks,
    pub(super) book: Option<Book>,
}

/// Connections of a chamber that wait for their order, beyond one for each slot.
const CONNECTIONS_SPARE: usize = 8;

impl Setup {
    /// Reads what is to be read, starts the launcher, and locks this process, which has one thread yet: from
    /// here on it can neither read a key nor start a program.
    ///
    /// # Errors
    /// When the bundle is no good, a process cannot be started, or a lock does not close.
    pub fn new(config: ServiceConfig, circuits: &Circuits) -> Result<Self, ServiceError> {
        let signed = read_bundle(&config)?;
        // One that the bundle lists no more may still have jobs in the queue.
        let is_served =
            |id: &CircuitId| signed.bundle.circuit(id).is_some() || config.circuits.contains_key(id);
        let circuits = circuits.clone().retain(is_served);
        if let Some((tenant, circuit)) = config.tenants.beyond(|id| circuits.get(id).is_some()) {
            return Err(ServiceError::TenantAhead { tenant: tenant.clone(), circuit: circuit.clone() });
        }
        let limits: HashMap<_, _> = circuits
            .iter()
            .map(|(id, circuit)| (id.clone(), limits_of(&circuit.descriptor(), &config)))
            .collect();
        let book = Book::begin(&config.audit)?;
        let watched = Watched { keys: config.keys.clone(), bundle: config.bundle.clone() };
        let launcher = Launcher::start(&watched, &chamber_arguments(&config, &signed.bundle, &limits));
        let launcher = launcher.map_err(ServiceError::Launcher)?;
        let filled = book.as_ref().and_then(Book::folder);
        let available_bytes = config.service.memory.map_or_else(limits::available, |memory| memory.as_u64());
        let locks = match config.service.sandbox {
            Sandbox::On => sandbox::lock_service(&readable(&config).and(&launcher.bundle()).filling(filled))?,
            Sandbox::Off => Locks::default(),
        };
        let samples = samples(&circuits, &limits);
        let circuits =
            circuits.iter().map(|(_, circuit)| BundleCircuit::from(&circuit.descriptor())).collect();
        Ok(Setup { config, signed, circuits, limits, samples, launcher, available_bytes, locks, book })
    }
}

/// The bundle that is served first.
fn read_bundle(config: &ServiceConfig) -> Result<Signed, ServiceError> {
    let path = config.bundle.clone();
    let bytes = std::fs::read(&path).map_err(|source| ServiceError::ReadBundle { path, source })?;
    Signed::read(&bytes)
}

/// What a job of this circuit may use: what the operator says, else what the circuit says.
pub(super) fn limits_of(circuit: &Descriptor, config: &ServiceConfig) -> Limits {
    let own = config.circuits.get(&circuit.id).cloned().unwrap_or_default();
    Limits {
        time: own.time_limit.unwrap_or(circuit.time_limit),
        memory_bytes: own.memory_limit.map_or(circuit.memory_bytes, |limit| limit.as_u64()),
        threads: config.service.threads,
    }
}

/// What is known of a chamber before there is one.
fn chamber_arguments(
    config: &ServiceConfig,
    bundle: &Bundle,
    circuits: &HashMap<CircuitId, Limits>,
) -> Vec<OsString> {
    let jobs_max = config.service.slots + CONNECTIONS_SPARE;
    let mut arguments: Vec<OsString> = vec!["--keys".into(), config.keys.clone().into()];
    arguments.extend(["--deployment".into(), bundle.deployment.as_str().into()]);
    arguments.extend(["--jobs-max".into(), jobs_max.to_string().into()]);
    arguments.extend(["--sandbox".into(), config.service.sandbox.as_str().into()]);
    arguments.extend(circuits.keys().flat_map(|id| ["--circuit".into(), id.as_str().into()]));
    arguments
}

/// The files of the configuration that a service reads again when it connects anew.
fn readable(config: &ServiceConfig) -> Readable {
    let tls = config.nats.tls.iter().flat_map(|tls| [&tls.ca, &tls.certificate, &tls.key]);
    let files = [&config.nats.credentials, &config.nats.nkey].into_iter().chain(tls).flatten();
    files.fold(Readable::without(&config.keys), |readable, file| readable.and(file))
}

/// The smallest and the largest witness of every circuit; where there is but one, it is both.
fn samples(circuits: &Circuits, limits: &HashMap<CircuitId, Limits>) -> Vec<Sample> {
    let of_circuit = |(id, circuit): (&CircuitId, &Arc<dyn Circuit>)| {
        let (smallest, largest) = (circuit.sample_witness(), circuit.largest_witness());
        let largest = (largest != smallest).then_some((true, largest));
        let both = [Some((false, smallest)), largest].into_iter().flatten();
        let (circuit, limits) = (id.clone(), limits[id]);
        let sample =
            move |(is_largest, bytes)| Sample { circuit: circuit.clone(), is_largest, bytes, limits };
        both.map(sample).collect::<Vec<_>>()
    };
    circuits.iter().flat_map(of_circuit).collect()
}

/// Until streams, consumers and chamber are there and agree with the bundle.
pub(super) async fn wait_for_all(
    client: &Client,
    config: &ServiceConfig,
    chambers: &Chambers,
    readiness: &Readiness,
) -> Result<jetstream::Context, ServiceError> {
    let context = jetstream::new(client.clone());
    wait_for_streams(&context, client, config).await;
    readiness.streams(true);
    chambers.ready().await;
    Ok(context)
}

/// Until streams and consumers are as they must be and the clocks agree; says what is missing, and what
/// to run.
async fn wait_for_streams(context: &jetstream::Context, client: &Client, config: &ServiceConfig) {
    let mut waits = Backoff::new(BROKER_WAIT);
    loop {
        match streams::check(context, config).await {
            Ok(differences) if differences.is_empty() => match clock_offset(client).await {
                Some(seconds) if seconds.abs() > CLOCK_SECONDS => {
                    error!(seconds, "this clock and the broker's differ; set them right");
                }
                _ => return,
            },
            Ok(differences) => {
                for difference in differences {
                    error!("{difference}; run `sealprove streams apply` with this configuration");
                }
            }
            Err(cause) => {
                let source = std::error::Error::source(&cause).map(ToString::to_string).unwrap_or_default();
                warn!(%cause, source, "the streams cannot be checked; trying again");
            }
        }
        waits.pause().await;
    }
}

/// How many seconds this clock is ahead of the broker's, which stands in its answers; `None` where it says none.
pub(super) async fn clock_offset(client: &Client) -> Option<f64> {
    #[derive(serde::Deserialize)]
    struct Clock {
        ts: String,
    }
    let subject = format!("$JS.API.STREAM.INFO.{}", STATUS_STREAM);
    let reply = client.request(subject, "".into()).await.ok()?;
    let clock: Clock = serde_json::from_slice(&reply.payload).ok()?;
    let theirs = humantime::parse_rfc3339(&clock.ts).ok()?;
    let ours = std::time::SystemTime::now();
    Some(
        ours.duration_since(theirs)
            .map_or_else(|error| -error.duration().as_secs_f64(), |ahead| ahead.as_secs_f64()),
    )
}
