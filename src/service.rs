//! The service: the network side. It pulls one sealed job for each free slot, has the chamber prove it,
//! stores the one answer, and acknowledges. It holds no key and sees no witness.
//!
//! [`run`] is the table of contents; [`lifecycle`] is the path of one job.
//!
//! **Architecture Invariant:** nothing in this folder names a private key or a witness, or opens a seal.

mod admin;
mod admission;
mod delivery;
mod intake;
mod lease;
mod lifecycle;
mod link;
mod readiness;
mod settle;
pub mod streams;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, Event};
use futures_util::StreamExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::broker::{Backoff, ConnectError};
use crate::bundle::{Bundle, BundleError, SignedBundle};
use crate::clock::unix_now;
use crate::config::ServiceConfig;
use crate::job::{CircuitId, Lane};
use crate::metrics::{BrokerEvent, Metrics};
use intake::{PullError, Queue};
use link::{Chamber, Live};
use readiness::Readiness;

pub use link::ChamberCommand;

/// The first and the longest wait before the broker is tried again.
const BROKER_WAIT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// How long jobs that are handed back may take to be handed back.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How far this clock and the broker's may be apart, in seconds.
const CLOCK_SECONDS: u64 = 60;

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The bundle cannot be read.
    #[error("read the bundle {path}; make one with `sealprove bundle sign`")]
    ReadBundle {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bundle is malformed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle has run out.
    #[error("the bundle expired at {0} (Unix seconds); sign a new one with `sealprove bundle sign`")]
    BundleExpired(u64),
    /// The bundle promises what the chamber does not have.
    #[error("the bundle lists {what}, which this service does not have: deploy first, publish second")]
    BundleAhead {
        /// A key or circuit.
        what: String,
    },
    /// No chamber can be started.
    #[error("the chamber ended before it was ready; its error is above, on standard error")]
    Chamber,
    /// The admin address cannot be used.
    #[error("listen on the admin address {address}")]
    Admin {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The broker's address or credentials cannot be used at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// What every job of this service needs.
struct Shared {
    client: Client,
    context: jetstream::Context,
    config: ServiceConfig,
    bundle: Bundle,
    metrics: Arc<Metrics>,
    chamber: Chamber,
    /// How long proofs of each circuit have been taking here.
    expected: Mutex<HashMap<CircuitId, Duration>>,
    time_limits: HashMap<CircuitId, Duration>,
    hand_back: watch::Receiver<bool>,
}

impl Shared {
    fn time_limit(&self, circuit: &CircuitId) -> Duration {
        // Cannot panic: admission refuses circuits that are not in the bundle, and start-up those that are
        // not in the build.
        *self.time_limits.get(circuit).expect("an admitted circuit has a limit")
    }

    /// How long a proof takes here, once one has been made.
    fn expected(&self, circuit: &CircuitId) -> Option<Duration> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).get(circuit).copied()
    }

    /// Moves the expectation a quarter of the way to what a proof took.
    fn learn(&self, circuit: &CircuitId, took: Duration) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.entry(circuit.clone()).and_modify(|known| *known = (*known * 3 + took) / 4).or_insert(took);
    }

    /// Until running jobs are to be handed back.
    async fn stopping(&self) {
        let mut hand_back = self.hand_back.clone();
        if hand_back.wait_for(|hand_back| *hand_back).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Runs a service until `shutdown`, then lets running proofs finish within the grace period, and hands the
/// rest back at once.
///
/// # Errors
/// When it cannot start. A broker that is away is waited for.
pub async fn run(
    config: ServiceConfig,
    time_limits: HashMap<CircuitId, Duration>,
    chamber: impl FnOnce(&Bundle) -> ChamberCommand,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServiceError> {
    let signed = read_bundle(&config).await?;
    let bundle = signed.read_unverified()?;
    if bundle.expires_at <= unix_now() {
        return Err(ServiceError::BundleExpired(bundle.expires_at));
    }
    let metrics = Arc::new(Metrics::new(bundle.circuits.iter().map(|circuit| circuit.id.clone()).collect()));
    metrics.slots(config.service.slots);
    let readiness = Arc::new(Readiness::default());
    let address = config.admin.listen;
    let bound = admin::serve(address, metrics.clone(), readiness.clone()).await;
    let bound = bound.map_err(|source| ServiceError::Admin { address, source })?;
    info!(address = %bound, deployment = %bundle.deployment, serial = bundle.serial, "admin address open");

    let chamber = Chamber::start(chamber(&bundle), metrics.clone());
    let health = readiness.clone();
    chamber.follow(move |ready| health.chamber(ready));
    let stopping = Stopping::after(shutdown);
    let (client, context) = tokio::select! {
        started = start(&config, &bundle, &chamber, &metrics, &readiness) => started?,
        () = chamber.never_ready() => return Err(ServiceError::Chamber),
        () = stopping.wait() => { chamber.stop().await; return Ok(()) },
    };
    tokio::spawn(serve_bundle(client.clone(), config.prefix.bundle(), signed.to_json()));

    let (stop, hand_back) = watch::channel(false);
    let expected = Mutex::default();
    let shared =
        Shared { client, context, config, bundle, metrics, chamber, expected, time_limits, hand_back };
    let shared = Arc::new(shared);
    let mut jobs = JoinSet::new();
    let slots = Arc::new(Semaphore::new(shared.config.service.slots));
    info!(slots = shared.config.service.slots, "ready");
    take_jobs(&shared, &slots, &mut jobs, &stopping).await;
    readiness.stopping();
    drain(&shared, jobs, &stop).await;
    let Some(shared) = Arc::into_inner(shared) else { return Ok(()) };
    shared.chamber.stop().await;
    let _ = shared.client.drain().await;
    info!("stopped");
    Ok(())
}

/// Until broker, streams and chamber are there and agree with the bundle.
async fn start(
    config: &ServiceConfig,
    bundle: &Bundle,
    chamber: &Chamber,
    metrics: &Arc<Metrics>,
    readiness: &Arc<Readiness>,
) -> Result<(Client, jetstream::Context), ServiceError> {
    let client = connect(config, metrics, readiness).await?;
    let context = jetstream::new(client.clone());
    wait_for_streams(&context, &client, config).await;
    readiness.streams(true);
    agree(bundle, &*chamber.ready().await)?;
    Ok((client, context))
}

/// The order to take no more jobs.
struct Stopping(watch::Receiver<bool>);

impl Stopping {
    fn after(shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(async move {
            shutdown.await;
            let _ = stop.send(true);
        });
        Stopping(stopping)
    }

    fn has_come(&self) -> bool {
        *self.0.borrow()
    }

    /// Until it comes.
    async fn wait(&self) {
        if self.0.clone().wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn read_bundle(config: &ServiceConfig) -> Result<SignedBundle, ServiceError> {
    let path = config.bundle.clone();
    let bytes = tokio::fs::read(&path).await.map_err(|source| ServiceError::ReadBundle { path, source })?;
    Ok(SignedBundle::from_json(&bytes)?)
}

/// Connects, however long it takes; only a configuration that can never work is an error.
async fn connect(
    config: &ServiceConfig,
    metrics: &Arc<Metrics>,
    readiness: &Arc<Readiness>,
) -> Result<Client, ServiceError> {
    let mut waits = Backoff::new(BROKER_WAIT);
    loop {
        let (metrics, readiness) = (metrics.clone(), readiness.clone());
        let options = config.nats.options("sealprove").await?.event_callback(move |event| {
            hear(&event, &metrics, &readiness);
            async {}
        });
        match options.connect(config.nats.addresses()).await {
            Ok(client) => return Ok(client),
            Err(cause) => warn!(
                url = config.nats.url, %cause,
                "the broker cannot be reached; is nats-server running there? trying again"
            ),
        }
        waits.pause().await;
    }
}

fn hear(event: &Event, metrics: &Metrics, readiness: &Readiness) {
    let counted = match event {
        Event::Connected => BrokerEvent::Connected,
        Event::Disconnected | Event::Closed => BrokerEvent::Disconnected,
        Event::LameDuckMode => BrokerEvent::LameDuck,
        _ => BrokerEvent::Error,
    };
    metrics.broker(counted);
    match counted {
        BrokerEvent::Connected => readiness.broker(true),
        BrokerEvent::Disconnected => readiness.broker(false),
        _ => {}
    }
    info!(event = %event, "broker");
}

/// Until streams and consumers are as they must be and the clocks agree; says what is missing, and what
/// to run.
async fn wait_for_streams(context: &jetstream::Context, client: &Client, config: &ServiceConfig) {
    let mut waits = Backoff::new(BROKER_WAIT);
    loop {
        match streams::check(context, config).await {
            Ok(differences) if differences.is_empty() => match clock_difference(client).await {
                Some(seconds) if seconds > CLOCK_SECONDS => {
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

/// Seconds between this clock and the broker's, which stands in its answers; `None` where it says none.
async fn clock_difference(client: &Client) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Clock {
        ts: String,
    }
    let subject = format!("$JS.API.STREAM.INFO.{}", crate::broker::STATUS_STREAM);
    let reply = client.request(subject, "".into()).await.ok()?;
    let clock: Clock = serde_json::from_slice(&reply.payload).ok()?;
    let theirs = humantime::parse_rfc3339(&clock.ts).ok()?;
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(theirs.abs_diff(unix_now()))
}

/// The bundle may promise nothing that the chamber does not have.
fn agree(bundle: &Bundle, chamber: &Live) -> Result<(), ServiceError> {
    for key in &bundle.keys {
        if !chamber.keys.contains(&key.id) {
            return Err(ServiceError::BundleAhead { what: format!("the key {}", key.id) });
        }
    }
    for circuit in &bundle.circuits {
        let built = chamber.circuit(&circuit.id).map(|built| built.verifying_key);
        if built != Some(circuit.verifying_key) {
            let what = format!("the circuit {} under {}", circuit.id, circuit.verifying_key);
            return Err(ServiceError::BundleAhead { what });
        }
    }
    Ok(())
}

/// Answers everybody who asks for the bundle with the same bytes.
async fn serve_bundle(client: Client, subject: String, bytes: Vec<u8>) {
    let Ok(mut requests) = client.queue_subscribe(subject, "sealprove".to_owned()).await else {
        return error!("the bundle cannot be served: no permission to subscribe");
    };
    while let Some(request) = requests.next().await {
        if let Some(reply) = request.reply {
            let _ = client.publish(reply, bytes.clone().into()).await;
        }
    }
}

/// Takes one job for each free slot, until the service is to stop.
async fn take_jobs(
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    jobs: &mut JoinSet<()>,
    stopping: &Stopping,
) {
    let tenants = &shared.config.tenants;
    let of_lane = |lane| tenants.iter().map(move |tenant| Queue { tenant: tenant.clone(), lane });
    let queues: Vec<Queue> = Lane::ALL.into_iter().flat_map(of_lane).collect();
    let mut waits = Backoff::new(BROKER_WAIT);
    while !stopping.has_come() {
        let slot = async {
            shared.chamber.ready().await;
            // Cannot panic: the semaphore is never closed.
            slots.clone().acquire_owned().await.expect("slots are open")
        };
        let slot = tokio::select! {
            slot = slot => slot,
            () = stopping.wait() => return,
        };
        match intake::next(&shared.client, &queues, stopping).await {
            Ok(None) => return,
            Ok(Some(delivery)) => {
                let shared = shared.clone();
                shared.metrics.slot_taken();
                jobs.spawn(async move {
                    lifecycle::see_through(delivery, &shared).await;
                    shared.metrics.slot_freed();
                    drop(slot);
                });
            }
            Err(cause) => {
                waits.pause().await;
                recover(shared, &queues, &cause).await;
            }
        }
        while jobs.try_join_next().is_some() {}
    }
}

/// After a pull that came to nothing: makes a consumer again that has gone missing.
async fn recover(shared: &Shared, queues: &[Queue], cause: &PullError) {
    shared.metrics.broker(BrokerEvent::RequestFailed);
    warn!(%cause, "no jobs for the moment");
    let Ok(differences) = streams::check(&shared.context, &shared.config).await else { return };
    if !differences.iter().any(|difference| matches!(difference, streams::Difference::Missing { .. })) {
        return;
    }
    for queue in queues {
        match streams::make_consumer(&shared.context, &shared.config, &queue.tenant, queue.lane).await {
            Ok(()) => shared.metrics.broker(BrokerEvent::ConsumerRestored),
            Err(cause) => error!(%cause, "a consumer is missing and cannot be made again"),
        }
    }
}

/// Lets running jobs finish within the grace period, then hands them back.
async fn drain(shared: &Shared, mut jobs: JoinSet<()>, stop: &watch::Sender<bool>) {
    let finish = async { while jobs.join_next().await.is_some() {} };
    info!(grace = %humantime::format_duration(shared.config.service.grace), "stopping: no new jobs");
    if tokio::time::timeout(shared.config.service.grace, finish).await.is_ok() {
        return;
    }
    let _ = stop.send(true);
    let handed_back = async { while jobs.join_next().await.is_some() {} };
    if tokio::time::timeout(HAND_BACK_TIMEOUT, handed_back).await.is_err() {
        warn!("some jobs could not be handed back; their leases will run out");
    }
}
