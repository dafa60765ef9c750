//! The service: the network side. It pulls one sealed job for each free slot, has the chamber prove it,
//! stores the one answer, and acknowledges. It holds no key and sees no witness.
//!
//! [`run`] is the table of contents; [`lifecycle`] is the path of one job.
//!
//! **Architecture Invariant:** nothing in this folder names a private key or a witness, or opens a seal.

// Before the first job: broker, streams, chamber.
mod line;
mod link;
mod start;
pub mod streams;

// The path of a job.
mod admission;
mod delivery;
mod intake;
mod leader;
mod lease;
mod lifecycle;
mod pull;
mod settle;

// Around it.
mod admin;
mod cancel;
mod desk;
mod live;
mod pace;
mod readiness;
mod room;
mod sweep;
mod unreadable;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::broker::ConnectError;
use crate::bundle::{Bundle, BundleError};
use crate::clock::unix_now_ms;
use crate::config::ServiceConfig;
use crate::job::CircuitId;
use crate::metrics::Metrics;
use link::Chamber;
use live::Live;
use pace::Pace;
use readiness::Readiness;
use room::Room;

pub use link::ChamberCommand;

/// How long jobs that are handed back may take to be handed back.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(10);

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
    pace: Pace,
    room: Arc<Room>,
    live: Live,
    time_limits: HashMap<CircuitId, Duration>,
    readiness: Arc<Readiness>,
    hand_back: watch::Receiver<bool>,
}

impl Shared {
    fn time_limit(&self, circuit: &CircuitId) -> Duration {
        // Cannot panic: admission refuses circuits that are not in the bundle, and start-up those that are
        // not in the build.
        *self.time_limits.get(circuit).expect("an admitted circuit has a limit")
    }

    /// Whether a proof that is started now can be there before `expires`, in Unix seconds.
    fn can_be_done(&self, circuit: &CircuitId, payload_bytes: usize, expires: u64) -> bool {
        let at_least = self.pace.at_least(circuit, payload_bytes).map_or(0, crate::clock::millis);
        unix_now_ms().saturating_add(at_least) < expires.saturating_mul(1000)
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
    let (signed, bundle) = start::read_bundle(&config).await?;
    let metrics = Arc::new(Metrics::new(bundle.circuits.iter().map(|circuit| circuit.id.clone()).collect()));
    metrics.slots(config.service.slots);
    let room = Arc::new(Room::default());
    let readiness = Arc::new(Readiness::new(config.tenants.len(), room.clone()));
    let address = config.admin.listen;
    let bound = admin::serve(address, metrics.clone(), readiness.clone()).await;
    let bound = bound.map_err(|source| ServiceError::Admin { address, source })?;
    info!(address = %bound, deployment = %bundle.deployment, serial = bundle.serial, "admin address open");

    let chamber = Chamber::start(chamber(&bundle), metrics.clone());
    let health = readiness.clone();
    chamber.follow(move |ready| health.chamber(ready));
    let stopping = Stopping::after(shutdown);
    let health = readiness.clone();
    let heard = move |event| health.heard(event);
    let started = async {
        let client = line::connect(&config, metrics.clone(), heard).await?;
        let context = start::wait_for_all(&client, &config, &bundle, &chamber, &readiness).await?;
        Ok::<_, ServiceError>((client, context))
    };
    let (client, context) = tokio::select! {
        started = started => started?,
        () = chamber.never_ready() => return Err(ServiceError::Chamber),
        () = stopping.wait() => { chamber.stop().await; return Ok(()) },
    };

    let (stop, hand_back) = watch::channel(false);
    let (pace, live) = (Pace::default(), Live::default());
    let shared = Arc::new(Shared {
        client,
        context,
        config,
        bundle,
        metrics,
        chamber,
        pace,
        room,
        live,
        time_limits,
        readiness: readiness.clone(),
        hand_back,
    });
    let mut background = beside_jobs(&shared, signed.to_json());
    let mut jobs = JoinSet::new();
    info!(slots = shared.config.service.slots, "ready");
    intake::take_jobs(&shared, &mut jobs, &stopping).await;
    readiness.stopping();
    drain(&shared, jobs, &stop).await;
    background.shutdown().await;
    let Some(shared) = Arc::into_inner(shared) else { return Ok(()) };
    shared.chamber.stop().await;
    let _ = shared.client.drain().await;
    info!("stopped");
    Ok(())
}

/// What a service does besides its jobs, until it has ended the last of them.
fn beside_jobs(shared: &Arc<Shared>, bundle: Vec<u8>) -> JoinSet<()> {
    let mut background = JoinSet::new();
    background.spawn(desk::serve(shared.clone(), bundle));
    background.spawn(room::watch(shared.clone()));
    background.spawn(sweep::serve(shared.clone()));
    background
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
