//! The service: the network side. It pulls one sealed job for each free slot, has the chamber prove it,
//! stores the one answer, and acknowledges. It holds no key and sees no witness, and before it meets anybody
//! it locks itself out of where the keys are.
//!
//! [`run`] is the table of contents; [`lifecycle`] is the path of one job.
//!
//! **Architecture Invariant:** nothing in this folder names a private key or a witness, or opens a seal.

// Before the first job: broker, streams, chamber.
mod chambers;
mod limits;
mod line;
mod link;
mod published;
mod selftest;
mod start;
pub mod streams;

// For the broker's operator.
pub mod accounts;

// The path of a job.
pub(crate) mod admission;
mod delivery;
mod intake;
mod leader;
mod lease;
mod lifecycle;
mod look;
mod pull;
mod settle;
mod share;

// Around it.
mod admin;
pub(crate) mod board;
mod cancel;
mod desk;
pub mod doctor;
mod live;
pub(crate) mod overview;
mod pace;
mod queues;
mod readiness;
mod record;
mod room;
mod sweep;
mod traces;
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

use crate::audit::log::{Audit, AuditError, Book};
use crate::audit::{self, Event};
use crate::broker::ConnectError;
use crate::bundle::{Bundle, BundleCircuit, BundleError, Identity};
use crate::clock::unix_now_ms;
use crate::config::ServiceConfig;
use crate::frame::Locks;
use crate::job::{CircuitId, Deployment, Tenant};
use crate::metrics::Metrics;
use crate::sandbox::LockError;
use board::{Board, Page};
use chambers::{Chambers, Start, Supervisor};
use limits::{Budget, Limits};
use live::Live;
use pace::Pace;
use published::Published;
use readiness::Readiness;
use room::Room;
use selftest::SelfTest;
use traces::Traces;

pub use start::Setup;

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
    /// The bundle is of another deployment.
    #[error("the bundle is of the deployment {0}; restart the service where that is meant")]
    OtherDeployment(Deployment),
    /// The bundle is somebody else's.
    #[error("the bundle is signed by another identity, {0}; restart the service where that is meant")]
    OtherIdentity(Identity),
    /// The bundle promises what the chamber does not have.
    #[error("the bundle lists {what}, which this service does not have: deploy first, publish second")]
    BundleAhead {
        /// A key or circuit.
        what: String,
    },
    /// This process cannot be locked.
    #[error("lock the service")]
    Lock(#[from] LockError),
    /// The audit log cannot be begun.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The process that starts chambers cannot be started, or is gone.
    #[error("start a chamber: the launcher is gone")]
    Launcher(#[source] std::io::Error),
    /// No chamber can be started.
    #[error("the chamber ended before it was ready; its error is above, on standard error")]
    Chamber,
    /// This machine is too small for so many slots.
    #[error(
        "{sum}, and there are {available}: lower service.slots or a circuit's memory_limit, or give it more \
         memory (service.memory, where the limit found is not the real one)"
    )]
    Memory {
        /// What is needed for what.
        sum: String,
        /// What there is.
        available: String,
    },
    /// A circuit does not prove its own sample here.
    #[error("the self-test of {circuit}: {reason}")]
    SelfTest {
        /// Which circuit.
        circuit: CircuitId,
        /// What happened.
        reason: String,
    },
    /// The admin address cannot be used.
    #[error("listen on the admin address {address}")]
    Admin {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A tenant is to use a circuit that is not there.
    #[error("tenants.{tenant}.circuits names {circuit}, which the bundle does not list")]
    TenantAhead {
        /// Whose table.
        tenant: Tenant,
        /// Which circuit.
        circuit: CircuitId,
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
    published: Arc<Published>,
    /// What the chamber has built.
    circuits: Vec<BundleCircuit>,
    metrics: Arc<Metrics>,
    chambers: Chambers,
    pace: Arc<Pace>,
    room: Arc<Room>,
    board: Arc<Board>,
    audit: Audit,
    traces: Traces,
    live: Live,
    limits: HashMap<CircuitId, Limits>,
    readiness: Arc<Readiness>,
    hand_back: watch::Receiver<bool>,
}

impl Shared {
    fn limits(&self, circuit: &CircuitId) -> Limits {
        // Cannot panic: admission refuses circuits that are not in the bundle, and start-up those that are
        // not in the build.
        *self.limits.get(circuit).expect("an admitted circuit has limits")
    }

    /// The earliest moment at which a proof that is started now can be there, in Unix milliseconds.
    fn done_at_ms(&self, circuit: &CircuitId, payload_bytes: usize) -> u64 {
        let at_least = self.pace.at_least(circuit, payload_bytes).map_or(0, crate::clock::millis);
        unix_now_ms().saturating_add(at_least)
    }

    /// Whether a proof that is started now can be there before `expires`, in Unix seconds.
    fn can_be_done(&self, circuit: &CircuitId, payload_bytes: usize, expires: u64) -> bool {
        admission::is_in_time(self.done_at_ms(circuit, payload_bytes), expires)
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
/// When it cannot start, or not go on. A broker that is away is waited for.
pub async fn run(
    setup: Setup,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServiceError> {
    let Setup { config, signed, circuits, limits, samples, launcher, available_bytes, locks, book } = setup;
    let metrics = Arc::new(Metrics::new(limits.keys().cloned(), &config.admin.tenants));
    tell_limits(config.service.slots, &limits, &metrics);
    let room = Arc::new(Room::default());
    let readiness = Arc::new(Readiness::new(config.tenants.len(), room.clone()));
    let audit = begin_audit(book, &config, &signed.bundle, &metrics);
    let Bundle { deployment, serial, .. } = &signed.bundle.clone();
    let traces = Traces::to(config.traces.collector(), deployment);
    let published = Arc::new(Published::new(signed, audit.clone()));
    let board = Arc::new(Board::new(config.service.slots));
    let top = Page { board: board.clone(), published: published.clone(), readiness: readiness.clone() };
    let bound = open_admin(config.admin.listen, &metrics, top).await?;
    info!(address = %bound, %deployment, serial, "admin address open");
    tell_locks("service", locks, &metrics);

    let pace = Arc::new(Pace::default());
    let budget = Budget::new(available_bytes, config.service.slots, limits.values().copied());
    let self_test =
        SelfTest { published: published.clone(), samples, pace: pace.clone(), metrics: metrics.clone() };
    let start = Start {
        launcher,
        budget,
        published: published.clone(),
        self_test,
        metrics: metrics.clone(),
        audit: audit.clone(),
    };
    let (chambers, mut supervisor) = Chambers::start(start);
    let health = readiness.clone();
    chambers.follow(move |ready| health.chamber(ready));
    let stopping = Stopping::after(shutdown);
    let health = readiness.clone();
    let started = async {
        let client = line::connect(&config, metrics.clone(), move |event| health.heard(event)).await?;
        let context = start::wait_for_all(&client, &config, &chambers, &readiness).await?;
        Ok::<_, ServiceError>((client, context))
    };
    let started = tokio::select! {
        started = started => started.map(Some),
        fault = supervisor.fault() => return Err(fault),
        () = stopping.wait() => Ok(None),
    };
    let (client, context) = match started {
        Ok(Some(started)) => started,
        ended => {
            supervisor.stop().await;
            audit.end().await;
            return ended.map(drop);
        }
    };

    let (stop, hand_back) = watch::channel(false);
    let shared = Arc::new(Shared {
        client,
        context,
        config,
        published,
        circuits,
        metrics,
        chambers,
        pace,
        room,
        board,
        audit,
        traces,
        live: Live::default(),
        limits,
        readiness,
        hand_back,
    });
    work(shared, supervisor, &stopping, &stop).await
}

/// Takes jobs until there is an order to stop, or a fault, and ends in good order.
async fn work(
    shared: Arc<Shared>,
    mut supervisor: Supervisor,
    stopping: &Stopping,
    stop: &watch::Sender<bool>,
) -> Result<(), ServiceError> {
    let mut background = beside_jobs(&shared);
    let mut jobs = JoinSet::new();
    info!(slots = shared.config.service.slots, "ready");
    let ended = tokio::select! {
        () = intake::take_jobs(&shared, &mut jobs, stopping) => Ok(()),
        fault = supervisor.fault() => Err(fault),
    };
    shared.readiness.stopping();
    drain(&shared, jobs, stop).await;
    background.shutdown().await;
    finish(shared, supervisor, ended).await
}

/// Begins the audit log with what started.
fn begin_audit(book: Option<Book>, config: &ServiceConfig, bundle: &Bundle, metrics: &Arc<Metrics>) -> Audit {
    let start = audit::Start {
        deployment: bundle.deployment.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        slots: config.service.slots,
        follows: book.as_ref().and_then(|book| book.follows),
    };
    let audit = Audit::begin(book, metrics);
    audit.note(|| Event::Start(start));
    audit
}

async fn open_admin(
    address: SocketAddr,
    metrics: &Arc<Metrics>,
    top: Page,
) -> Result<SocketAddr, ServiceError> {
    let bound = admin::serve(address, metrics.clone(), top).await;
    bound.map_err(|source| ServiceError::Admin { address, source })
}

fn tell_limits(slots: usize, limits: &HashMap<CircuitId, Limits>, metrics: &Metrics) {
    metrics.processes.slots(slots);
    for (circuit, limits) in limits {
        metrics.chambers.limited(circuit, limits.time, limits.memory_bytes);
    }
}

/// Says how a process is locked, and what of it this kernel lacks.
fn tell_locks(process: &'static str, locks: Locks, metrics: &Metrics) {
    metrics.chambers.locked(process, locks);
    match locks {
        Locks { calls: false, .. } => warn!(process, "runs without any lock, as the configuration says"),
        Locks { files, .. } if files < Locks::FILES_WHOLE => warn!(
            process,
            landlock = files,
            "locked, but for what this kernel's Landlock lacks; `sealprove doctor` says what that is"
        ),
        Locks { files, .. } => info!(process, landlock = files, "locked"),
    }
}

/// Ends what the jobs needed.
async fn finish(
    shared: Arc<Shared>,
    supervisor: Supervisor,
    ended: Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    if ended.is_ok() {
        supervisor.stop().await;
    }
    let _ = shared.client.drain().await;
    shared.audit.end().await;
    info!("stopped");
    ended
}

/// What a service does besides its jobs, until it has ended the last of them.
fn beside_jobs(shared: &Arc<Shared>) -> JoinSet<()> {
    let mut background = JoinSet::new();
    background.spawn(desk::serve(shared.clone()));
    background.spawn(published::watch(shared.clone()));
    background.spawn(room::watch(shared.clone()));
    background.spawn(queues::watch(shared.clone()));
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
