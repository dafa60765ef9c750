//! The service: the network side. It pulls one sealed job for each free slot, has the chamber prove it, stores the one
//! answer, and acknowledges. It holds no key and sees no witness, and it locks itself out of the folder of keys before
//! it connects to anything.
//!
//! [`run`] starts everything and ends it. `docs/ARCHITECTURE.md` follows one job through the modules.
//!
//! **Architecture Invariant:** nothing in this folder names a private key or a witness, or opens a seal.

pub(crate) mod prover;

pub(crate) mod status;

pub(crate) mod setup;

mod connection;
mod stop;
mod streams;

pub(crate) mod job;

mod intake;
mod requests;
mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::audit::log::AuditLog;
use crate::audit::{self, Event, Sink};
use crate::config::ServiceConfig;
use crate::jetstream::{Broker, ConnectError};
use crate::metrics::Metrics;
use crate::protocol::Bundle;
use intake::Intake;
use job::{AnswerNotices, Settler, Worker};
use prover::{
    ChamberParts, JobProcesses, MemoryBudget, Prover, ProvingTimes, SelfTest, SelfTestResults, ServedBundle,
    Supervisor,
};
use requests::Requests;
use status::{Activity, ActivityPage, AnswerCapacity, Ledger, Readiness, Traces};
use stop::Stop;

pub use prover::{NoChamber, NotEnoughMemory, SelfTestError, ServeBundleError};
pub use setup::{Setup, SetupError};

/// Time limit for handing running jobs back.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(10);

/// A service cannot start, or cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The admin address cannot be used.
    #[error("listen on the admin address {address}")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The broker's address or credentials cannot be used at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no chamber, and none can be started.
    #[error(transparent)]
    Chamber(#[from] NoChamber),
}

/// Runs a service until `shutdown`, then lets running proofs finish within the grace period, and hands the rest back.
///
/// # Errors
/// When it cannot start, or cannot continue. A broker that is away is waited for.
pub async fn run(
    mut setup: Setup,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let stop = Stop::after(shutdown);
    let capacity = Arc::new(AnswerCapacity::default());
    let readiness = Arc::new(Readiness::new(setup.config.tenants.len(), capacity.clone()));
    let metrics = Arc::new(Metrics::new(setup.limits.keys().cloned(), &setup.config.admin.tenants));
    let audit_sink = setup.audit_sink.take();
    let ledger = open_ledger(&setup, audit_sink, &metrics);
    let config = Arc::new(setup.config);
    let bundle = Arc::new(ServedBundle::new(setup.bundle, ledger.audit.clone()));
    let self_tests = Arc::new(SelfTestResults::new(&setup.samples));
    let processes = Arc::new(JobProcesses::default());
    let page = ActivityPage {
        activity: ledger.activity.clone(),
        bundle: bundle.clone(),
        readiness: readiness.clone(),
        self_tests: self_tests.clone(),
        processes: processes.clone(),
    };
    // Before anything is waited for: an orchestrator must see that the service lives, and its operator what is missing.
    open_admin(&config, &metrics, page).await?;

    let times = Arc::new(ProvingTimes::default());
    // Beside the connection to the broker: building keys takes seconds to minutes, and a broker may be away for longer.
    let (mut supervisor, chamber) = Supervisor::start(ChamberParts {
        launcher: setup.launcher,
        budget: MemoryBudget::new(
            setup.available_bytes,
            config.service.slots,
            setup.limits.values().copied(),
        ),
        bundle: bundle.clone(),
        self_test: SelfTest {
            bundle: bundle.clone(),
            samples: setup.samples,
            results: self_tests,
            times: times.clone(),
            metrics: metrics.clone(),
        },
        processes,
        metrics: metrics.clone(),
        audit: ledger.audit.clone(),
    });
    let prover = Prover::new(chamber, bundle, times, setup.circuits, setup.limits);
    let ready = tokio::select! {
        ready = wait_for_all(&config, &metrics, &prover, &readiness) => ready.map(Some),
        fault = supervisor.fault() => return Err(fault.into()),
        () = stop.ordered() => Ok(None),
    };
    let broker = match ready {
        Ok(Some(broker)) => broker,
        ended => {
            // A chamber may still be building keys. It must not outlive this process.
            supervisor.stop().await;
            ledger.audit.record_stop().await;
            return ended.map(drop);
        }
    };
    let settler = Settler { broker, prover, ledger, capacity };
    Service { config, settler, readiness }.work(supervisor, &stop).await
}

/// A service that has everything it needs to take jobs.
struct Service {
    config: Arc<ServiceConfig>,
    settler: Settler,
    readiness: Arc<Readiness>,
}

impl Service {
    /// Takes jobs until the order to stop or a fault, then lets them end.
    async fn work(self, mut supervisor: Supervisor, stop: &Stop) -> Result<(), RunError> {
        let (order_hand_back, hand_back) = watch::channel(false);
        let notices = AnswerNotices::default();
        let worker = Arc::new(Worker {
            settler: self.settler.clone(),
            notices: notices.clone(),
            tenants: self.config.tenants.clone(),
            ack_wait: self.config.streams.ack_wait,
            hand_back,
        });
        let mut background = self.beside_jobs(notices);
        let mut jobs = JoinSet::new();
        info!(slots = self.config.service.slots, "ready");
        let ended = tokio::select! {
            () = self.take_jobs(worker, &mut jobs, stop) => Ok(()),
            fault = supervisor.fault() => Err(fault.into()),
        };
        self.readiness.set_stopping();
        drain(self.config.service.grace, jobs, &order_hand_back).await;
        // After the last job: until then a cancel request, or a notice of an answer, can end one of them.
        background.shutdown().await;
        // After a fault the supervisor has ended by itself.
        if ended.is_ok() {
            supervisor.stop().await;
        }
        let _ = self.settler.broker.client().drain().await;
        // After everything that writes lines: this one tells a reader that the chain is complete.
        self.settler.ledger.audit.record_stop().await;
        info!("stopped");
        ended
    }

    async fn take_jobs(&self, worker: Arc<Worker>, jobs: &mut JoinSet<()>, stop: &Stop) {
        tokio::select! {
            // The order to stop may come while the broker is away, and connecting waits for that.
            intake = Intake::connect(self.config.clone(), worker, self.readiness.clone()) => {
                intake.take_jobs(jobs, stop).await;
            }
            () = stop.ordered() => {}
        }
    }

    /// Starts the tasks that run beside the jobs: requests, the sweeper and measurements.
    fn beside_jobs(&self, notices: AnswerNotices) -> JoinSet<()> {
        let (settler, config) = (&self.settler, &self.config);
        let requests = Requests {
            config: config.clone(),
            settler: settler.clone(),
            notices,
            readiness: self.readiness.clone(),
        };
        let mut background = JoinSet::new();
        background.spawn(requests.serve());
        background.spawn(upkeep::watch_bundle_expiry(settler.prover.bundle.clone()));
        background.spawn(upkeep::watch_answer_capacity(settler.clone(), config.tenants.clone()));
        background.spawn(upkeep::watch_queues(
            settler.broker.clone(),
            config.clone(),
            settler.ledger.metrics.clone(),
        ));
        background.spawn(upkeep::sweep(settler.clone(), config.tenants.clone()));
        background
    }
}

/// Opens metrics, audit log, traces and activity, and records the start in them.
fn open_ledger(setup: &Setup, audit_sink: Option<Sink>, metrics: &Arc<Metrics>) -> Ledger {
    let (config, deployment) = (&setup.config, &setup.bundle.bundle.deployment);
    metrics.processes.slots(config.service.slots);
    for (circuit, limits) in &setup.limits {
        metrics.chambers.limited(circuit, limits.time, limits.memory_bytes);
    }
    prover::report_locks("service", setup.locks, metrics);
    let start = audit::Start {
        deployment: deployment.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        slots: config.service.slots,
        follows: audit_sink.as_ref().and_then(|sink| sink.follows),
    };
    let audit = AuditLog::start(audit_sink, metrics);
    audit.record(|| Event::Start(start));
    Ledger {
        metrics: metrics.clone(),
        audit,
        traces: Traces::start(config.traces.collector(), deployment),
        activity: Arc::new(Activity::new(config.service.slots)),
    }
}

async fn open_admin(
    config: &ServiceConfig,
    metrics: &Arc<Metrics>,
    page: ActivityPage,
) -> Result<(), RunError> {
    let Bundle { deployment, serial, .. } = page.bundle.current().bundle.clone();
    let address = config.admin.listen;
    let served = status::serve(address, metrics.clone(), page).await;
    let bound = served.map_err(|source| RunError::Admin { address, source })?;
    info!(address = %bound, %deployment, serial, "admin address open");
    Ok(())
}

/// Waits for the broker, its streams, and a chamber that has what the bundle lists.
async fn wait_for_all(
    config: &ServiceConfig,
    metrics: &Arc<Metrics>,
    prover: &Prover,
    readiness: &Arc<Readiness>,
) -> Result<Broker, RunError> {
    let chamber_readiness = readiness.clone();
    prover.chamber.follow(move |ready| chamber_readiness.set_chamber(ready));
    let broker_readiness = readiness.clone();
    let client = connection::connect(config, metrics.clone(), move |event| {
        broker_readiness.connection_event(event);
    })
    .await?;
    let broker = Broker::new(client, config.prefix.clone(), metrics.clone());
    streams::wait(&broker, config).await;
    readiness.set_streams(true);
    prover.chamber.ready().await;
    Ok(broker)
}

/// Lets running jobs finish within the grace period, then hands them back.
async fn drain(grace: Duration, mut jobs: JoinSet<()>, order_hand_back: &watch::Sender<bool>) {
    info!(grace = %humantime::format_duration(grace), "stopping: no new jobs");
    if tokio::time::timeout(grace, all_done(&mut jobs)).await.is_ok() {
        return;
    }
    // Handed back, a job is delivered to another service at once; otherwise only after `ack_wait`.
    let _ = order_hand_back.send(true);
    if tokio::time::timeout(HAND_BACK_TIMEOUT, all_done(&mut jobs)).await.is_err() {
        warn!("some jobs could not be handed back; they are delivered again when their leases run out");
    }
}

async fn all_done(jobs: &mut JoinSet<()>) {
    while jobs.join_next().await.is_some() {}
}
