//! The supervisor: it keeps one chamber ready for jobs.
//!
//! Each chamber is started through the launcher, has to fit into memory and to pass the self-test, and only then gets
//! jobs. One that dies is followed by another. One in which a job broke a rule is replaced, and so is one whose keys
//! differ from those on disk. A replaced chamber ends with its last job.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::chamber_client::{ChamberClient, JobProcesses};
use super::locks::report_locks;
use super::memory_budget::{MemoryBudget, NotEnoughMemory};
use super::self_test::{SelfTest, SelfTestError};
use super::served_bundle::{ServeBundleError, ServedBundle};
use crate::audit::log::AuditLog;
use crate::audit::{ChamberReady, Event, Key};
use crate::backoff::{Backoff, Waits};
use crate::frame::StartCause;
use crate::launcher::{Launcher, Notice};
use crate::metrics::Metrics;
use crate::protocol::{KeyId, Scheme};

/// Waits before a chamber that died is followed by another.
const RESTART_WAITS: Waits = Waits::between(Duration::from_millis(200), Duration::from_secs(30));
/// Least age of a chamber that is replaced: building keys is expensive, and a submitter can send a witness that
/// breaks a rule as often as it likes.
const REPLACE_WAIT: Duration = Duration::from_secs(30);
/// Time in which a chamber without jobs ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// There is no chamber, and none can be started.
#[derive(Debug, thiserror::Error)]
pub enum NoChamber {
    /// The launcher cannot be reached.
    #[error("start a chamber: the launcher is gone")]
    Launcher(#[source] std::io::Error),
    /// The chamber ended before it was ready.
    #[error("the chamber ended before it was ready; its error is above, on standard error")]
    NotReady,
    /// The chamber lacks what the bundle lists.
    #[error(transparent)]
    Bundle(#[from] ServeBundleError),
    /// The machine is too small for all slots.
    #[error(transparent)]
    Memory(#[from] NotEnoughMemory),
    /// The chamber did not pass its self-test.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
}

/// The chamber at work, whichever process it is at the moment.
#[derive(Clone)]
pub(crate) struct CurrentChamber {
    current: watch::Receiver<Option<Arc<ChamberClient>>>,
    rule_broken: Arc<Notify>,
}

impl CurrentChamber {
    /// Returns the chamber, if one is ready.
    pub(crate) fn get(&self) -> Option<Arc<ChamberClient>> {
        self.current.borrow().clone()
    }

    /// Waits until a chamber is ready.
    pub(crate) async fn ready(&self) -> Arc<ChamberClient> {
        let mut current = self.current.clone();
        loop {
            let ready = current.borrow_and_update().clone();
            if let Some(chamber) = ready {
                return chamber;
            }
            if current.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Has the chamber replaced, since a job broke a rule in it.
    pub(crate) fn replace(&self) {
        self.rule_broken.notify_one();
    }

    /// Tells `follow` whether a chamber is ready, now and at every change.
    pub(crate) fn follow(&self, follow: impl Fn(bool) + Send + 'static) {
        let mut current = self.current.clone();
        tokio::spawn(async move {
            loop {
                follow(current.borrow_and_update().is_some());
                if current.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The parts that every chamber is started with.
pub(crate) struct ChamberParts {
    pub(crate) launcher: Launcher,
    pub(crate) budget: MemoryBudget,
    pub(crate) bundle: Arc<ServedBundle>,
    pub(crate) self_test: SelfTest,
    pub(crate) processes: Arc<JobProcesses>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit: AuditLog,
}

/// The running supervisor.
pub(crate) struct Supervisor {
    task: JoinHandle<Result<(), NoChamber>>,
    stop: watch::Sender<bool>,
}

impl Supervisor {
    /// Starts a chamber, and another whenever one dies.
    pub(crate) fn start(parts: ChamberParts) -> (Self, CurrentChamber) {
        let (sender, current) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let rule_broken = Arc::new(Notify::new());
        let run = Run {
            parts,
            current: sender,
            rule_broken: rule_broken.clone(),
            keys_changed: Arc::new(Notify::new()),
            stopped,
        };
        (Supervisor { task: tokio::spawn(run.run()), stop }, CurrentChamber { current, rule_broken })
    }

    /// Waits until no further chamber can be started, and returns the reason.
    pub(crate) async fn fault(&mut self) -> NoChamber {
        match (&mut self.task).await {
            Ok(Err(fault)) => fault,
            // It ends in no other way before it is stopped.
            Ok(Ok(())) | Err(_) => NoChamber::NotReady,
        }
    }

    /// Ends the chamber, whose last job has ended.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        // A fault has been reported already.
        let _ = self.task.await;
    }
}

struct Run {
    parts: ChamberParts,
    current: watch::Sender<Option<Arc<ChamberClient>>>,
    rule_broken: Arc<Notify>,
    keys_changed: Arc<Notify>,
    stopped: watch::Receiver<bool>,
}

impl Run {
    /// Supervises until it is stopped, or there can be no chamber. Leaves nothing behind that was started.
    async fn run(self) -> Result<(), NoChamber> {
        let ended = tokio::select! {
            ended = self.supervise() => ended,
            Err(gone) = self.watch_launcher() => Err(NoChamber::Launcher(gone)),
        };
        let launcher = self.parts.launcher;
        // Waited for, so that no chamber is left when this process ends. If the task fails, the launcher ends with this
        // process, as after a crash.
        let _ = tokio::task::spawn_blocking(move || launcher.finish()).await;
        ended
    }

    /// Starts one chamber after the other. A failure of the first one is final: a second would fail in the same way.
    async fn supervise(&self) -> Result<(), NoChamber> {
        let mut waits = RESTART_WAITS.start();
        let mut retired = JoinSet::new();
        let mut current: Option<ActiveChamber> = None;
        let (mut is_first, mut cause) = (true, StartCause::Start);
        let mut record = AuditRecord { audit: self.parts.audit.clone(), chambers: 0, keys: BTreeMap::new() };
        while !*self.stopped.borrow() {
            let started = tokio::select! {
                started = self.start(cause) => started,
                () = self.stop() => break,
            };
            match started {
                Ok(next) => {
                    let was_first = std::mem::take(&mut is_first);
                    waits = RESTART_WAITS.start();
                    // New jobs go to the new chamber before the old one is told to take no more.
                    self.current.send_replace(Some(next.client.clone()));
                    record.ready(&next.client, cause);
                    self.promote_bundle(&next.client);
                    if let Some(old) = current.replace(next) {
                        retired.spawn(old.retire());
                    }
                    cause = self.until_next(current.as_mut(), was_first).await?;
                }
                // A locked process cannot start another launcher either.
                Err(fault) if is_first || matches!(fault, NoChamber::Launcher(_)) => return Err(fault),
                Err(fault) => {
                    cause = StartCause::Ended;
                    error!(cause = %fault, "the new chamber does not take over; starting another");
                }
            }
            self.pause(&mut waits).await;
        }
        retired.extend(current.map(ActiveChamber::retire));
        retired.join_all().await;
        Ok(())
    }

    /// Starts a chamber and returns it once it can take jobs.
    async fn start(&self, cause: StartCause) -> Result<ActiveChamber, NoChamber> {
        let ChamberParts { launcher, budget, bundle, self_test, processes, metrics, .. } = &self.parts;
        metrics.chambers.started(cause);
        let connection = UnixStream::connect(launcher.socket()).await.map_err(NoChamber::Launcher)?;
        let (mut control, order) = connection.into_split();
        let announced = ChamberClient::announced(&mut control, processes.clone(), metrics).await;
        let client = Arc::new(announced.ok_or(NoChamber::NotReady)?);
        bundle.accepts_chamber(&client)?;
        report_locks("chamber", client.locks, metrics);
        metrics.chambers.keys(client.keys.ready.len(), client.keys.destroyed.len());
        // Events are read from here on: the self-test below learns from them how its processes end.
        let events =
            tokio::spawn(read_events(client.clone(), control, self.current.clone(), metrics.clone()));
        let active = ActiveChamber { client, events, _order: order };
        // Measured by the chamber itself: keys and circuits decide how much memory each of its forks is born with.
        budget.check(active.client.birth_bytes)?;
        self_test.prove_smallest(&active.client).await?;
        Ok(active)
    }

    /// Waits until the chamber dies, is to be replaced, or the service stops; returns the cause of the next start.
    /// The first chamber proves the largest witnesses meanwhile; if it cannot, that is final.
    async fn until_next(
        &self,
        current: Option<&mut ActiveChamber>,
        is_first: bool,
    ) -> Result<StartCause, NoChamber> {
        let Some(ActiveChamber { client, events, .. }) = current else { return Ok(StartCause::Ended) };
        let not_before = Instant::now() + REPLACE_WAIT;
        tokio::select! {
            Err(fault) = self.test_largest(client, is_first) => Err(fault.into()),
            // The chamber goes on taking jobs until then: each has a process of its own.
            () = self.rule_broken(not_before) => Ok(StartCause::RuleBroken),
            () = self.keys_changed.notified() => {
                info!("the keys have changed: starting another chamber");
                Ok(StartCause::KeysChanged)
            }
            _ = events => Ok(StartCause::Ended),
            () = self.stop() => Ok(StartCause::Ended),
        }
    }

    /// Proves the largest witnesses in the first chamber. Ends only with an error.
    async fn test_largest(
        &self,
        client: &ChamberClient,
        is_first: bool,
    ) -> Result<Infallible, SelfTestError> {
        if is_first {
            self.parts.self_test.prove_largest(client).await?;
        }
        std::future::pending().await
    }

    /// Waits until a job has broken a rule and the chamber may be replaced.
    async fn rule_broken(&self, not_before: Instant) {
        self.rule_broken.notified().await;
        warn!("a job broke a rule of its sandbox: starting another chamber");
        tokio::time::sleep_until(not_before).await;
    }

    /// Serves a bundle that has waited for this chamber.
    fn promote_bundle(&self, client: &ChamberClient) {
        if let Err(cause) = self.parts.bundle.promote(client) {
            warn!(%cause, "the new bundle is not served yet");
        }
    }

    /// Reads from the launcher what has changed on disk; ends when the launcher does.
    async fn watch_launcher(&self) -> std::io::Result<Infallible> {
        let notices = self.parts.launcher.notices()?;
        notices.set_nonblocking(true)?;
        let mut notices = UnixStream::from_std(notices)?;
        loop {
            match Notice::from_byte(notices.read_u8().await?) {
                Some(Notice::Keys) => self.keys_changed.notify_one(),
                Some(Notice::Bundle) => self.offer_bundle().await,
                None => {}
            }
        }
    }

    async fn offer_bundle(&self) {
        let ChamberParts { launcher, bundle, .. } = &self.parts;
        match tokio::fs::read(launcher.bundle()).await {
            Ok(bytes) => {
                let client = self.current.borrow().clone();
                bundle.offer(&bytes, client.as_deref());
            }
            Err(cause) => error!(%cause, "the changed bundle cannot be read"),
        }
    }

    /// Waits until the service stops.
    async fn stop(&self) {
        // A dropped sender also means stop.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    async fn pause(&self, waits: &mut Backoff) {
        tokio::select! {
            () = waits.pause() => {}
            () = self.stop() => {}
        }
    }
}

/// Writes chambers and their keys to the audit log.
struct AuditRecord {
    audit: AuditLog,
    chambers: u32,
    keys: BTreeMap<KeyId, Scheme>,
}

impl AuditRecord {
    /// Records that a chamber takes jobs, and the keys that came and went with it.
    fn ready(&mut self, client: &ChamberClient, cause: StartCause) {
        self.chambers += 1;
        let (chamber, locks) = (self.chambers, client.locks);
        let ready = ChamberReady { chamber, cause, seccomp: locks.calls, landlock: locks.files };
        self.audit.record(|| Event::ChamberReady(ready));
        let keys: BTreeMap<_, _> = client.keys.ready.iter().map(|key| (key.id.clone(), key.scheme)).collect();
        // Compared with the chamber before: what matters is when a key came into memory and when it left.
        for key in added(&keys, &self.keys, client) {
            self.audit.record(|| Event::KeyAppeared(key));
        }
        for key in added(&self.keys, &keys, client) {
            self.audit.record(|| Event::KeyGone(key));
        }
        self.keys = keys;
    }
}

/// Returns the keys of `new` that `old` has not.
fn added(new: &BTreeMap<KeyId, Scheme>, old: &BTreeMap<KeyId, Scheme>, client: &ChamberClient) -> Vec<Key> {
    let added = new.iter().filter(|(id, _)| !old.contains_key(id));
    added
        .map(|(id, scheme)| {
            let destroyed = client.keys.destroyed.contains(id);
            Key { key: id.clone(), scheme: *scheme, destroyed }
        })
        .collect()
}

/// A chamber at work.
struct ActiveChamber {
    client: Arc<ChamberClient>,
    events: JoinHandle<()>,
    /// Closing it is the order to take no more jobs, and to end with the last.
    _order: OwnedWriteHalf,
}

impl ActiveChamber {
    /// Lets it end with its last job, however long that takes.
    async fn retire(self) {
        let ActiveChamber { client, mut events, _order: order } = self;
        drop(order);
        while !events.is_finished() {
            if tokio::time::timeout(STOP_TIMEOUT, &mut events).await.is_err() && client.is_idle() {
                // The launcher kills a chamber that outlives its connection.
                events.abort();
            }
        }
        info!("a chamber has ended, and the keys in its memory are gone");
    }
}

/// Reads a chamber's events to its end; then it is no longer the current one.
async fn read_events(
    client: Arc<ChamberClient>,
    mut control: OwnedReadHalf,
    current: watch::Sender<Option<Arc<ChamberClient>>>,
    metrics: Arc<Metrics>,
) {
    client.read_events(&mut control, &metrics).await;
    current.send_if_modified(|current| {
        let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &client));
        if is_current {
            *current = None;
        }
        is_current
    });
}
