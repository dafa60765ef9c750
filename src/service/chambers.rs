//! The service's chambers, one after the other: each is started through the launcher, has to fit into memory
//! and to pass the self-test, and only then gets jobs. One that dies is followed by another; one in which a
//! job broke a rule is replaced, and so is one whose keys are not those on disk any more. What is replaced ends
//! with its last job.

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

use super::ServiceError;
use super::limits::Budget;
use super::link::Live;
use super::published::Published;
use super::selftest::SelfTest;
use crate::audit::log::Audit;
use crate::audit::{Cause, ChamberReady, Event, Key};
use crate::broker::Backoff;
use crate::envelope::Scheme;
use crate::job::KeyId;
use crate::launcher::{Launcher, Notice};
use crate::metrics::Metrics;

/// The first and the longest wait before a chamber that died is followed by another.
const RESTART_WAIT: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];
/// How long a chamber is at work, at the least, before it is replaced: building keys is dear.
const REPLACE_WAIT: Duration = Duration::from_secs(30);
/// How long a chamber without jobs may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The chamber of this service, whichever process it is at the moment.
pub(super) struct Chambers {
    live: watch::Receiver<Option<Arc<Live>>>,
    rule_broken: Arc<Notify>,
}

/// What sees to it that there is a chamber.
pub(super) struct Supervisor {
    task: JoinHandle<Result<(), ServiceError>>,
    stop: watch::Sender<bool>,
}

/// What every chamber is started with.
pub(super) struct Start {
    pub(super) launcher: Launcher,
    pub(super) budget: Budget,
    pub(super) published: Arc<Published>,
    pub(super) self_test: SelfTest,
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Audit,
}

impl Chambers {
    /// Starts a chamber, and another whenever one dies.
    pub(super) fn start(start: Start) -> (Self, Supervisor) {
        let (live_sender, live) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let rule_broken = Arc::new(Notify::new());
        let succession = Succession {
            start,
            live: live_sender,
            rule_broken: rule_broken.clone(),
            keys_changed: Arc::new(Notify::new()),
            stopped,
        };
        (Chambers { live, rule_broken }, Supervisor { task: tokio::spawn(succession.run()), stop })
    }

    /// The chamber, if it is ready.
    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }

    /// A job broke a rule in there: another chamber takes over.
    pub(super) fn replace(&self) {
        self.rule_broken.notify_one();
    }

    /// Says to `follow` whether a chamber is ready, now and at every change.
    pub(super) fn follow(&self, follow: impl Fn(bool) + Send + 'static) {
        let mut live = self.live.clone();
        tokio::spawn(async move {
            loop {
                follow(live.borrow_and_update().is_some());
                if live.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Waits until a chamber is ready.
    pub(super) async fn ready(&self) -> Arc<Live> {
        let mut live = self.live.clone();
        loop {
            let ready = live.borrow_and_update().clone();
            if let Some(live) = ready {
                return live;
            }
            if live.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Supervisor {
    /// Until it is certain that there will be no chamber any more: why.
    pub(super) async fn fault(&mut self) -> ServiceError {
        match (&mut self.task).await {
            Ok(Err(fault)) => fault,
            // It ends in no other way before it is stopped.
            Ok(Ok(())) | Err(_) => ServiceError::Chamber,
        }
    }

    /// Ends the chamber, whose last job has ended.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        // A fault has been told already.
        let _ = self.task.await;
    }
}

struct Succession {
    start: Start,
    live: watch::Sender<Option<Arc<Live>>>,
    rule_broken: Arc<Notify>,
    keys_changed: Arc<Notify>,
    stopped: watch::Receiver<bool>,
}

impl Succession {
    /// Until it is stopped, or there can be no chamber; then nothing that was started is left.
    async fn run(self) -> Result<(), ServiceError> {
        let ended = tokio::select! {
            ended = self.succeed() => ended,
            Err(gone) = self.heed() => Err(ServiceError::Launcher(gone)),
        };
        let launcher = self.start.launcher;
        // It does not panic, and were it to, the launcher would end with this process.
        let _ = tokio::task::spawn_blocking(move || launcher.finish()).await;
        ended
    }

    /// One chamber after the other. A first one that fails is a fault: another would fare no better.
    async fn succeed(&self) -> Result<(), ServiceError> {
        let mut waits = Backoff::new(RESTART_WAIT);
        let mut retired = JoinSet::new();
        let mut current: Option<Working> = None;
        let (mut is_first, mut reason) = (true, Cause::Start);
        let mut record = Record { audit: self.start.audit.clone(), chambers: 0, keys: BTreeMap::new() };
        while !*self.stopped.borrow() {
            let started = tokio::select! {
                started = self.next(reason) => started,
                () = self.stop() => break,
            };
            match started {
                Ok(next) => {
                    let was_first = std::mem::take(&mut is_first);
                    waits = Backoff::new(RESTART_WAIT);
                    self.live.send_replace(Some(next.live.clone()));
                    record.ready(&next.live, reason);
                    self.publish(&next.live);
                    if let Some(old) = current.replace(next) {
                        retired.spawn(old.retire());
                    }
                    reason = self.while_it_works(current.as_mut(), was_first).await?;
                }
                Err(fault) if is_first || matches!(fault, ServiceError::Launcher(_)) => return Err(fault),
                Err(cause) => {
                    reason = Cause::Ended;
                    error!(%cause, "no chamber takes over");
                }
            }
            self.pause(&mut waits).await;
        }
        retired.extend(current.map(Working::retire));
        retired.join_all().await;
        Ok(())
    }

    /// A chamber that could take jobs. It has everything that the bundle lists, but for keys that were destroyed.
    async fn next(&self, reason: Cause) -> Result<Working, ServiceError> {
        let Start { launcher, budget, published, self_test, metrics, .. } = &self.start;
        metrics.chambers.started(reason);
        let connection = UnixStream::connect(launcher.socket()).await.map_err(ServiceError::Launcher)?;
        let (mut control, order) = connection.into_split();
        let live = Live::announced(&mut control, metrics).await.ok_or(ServiceError::Chamber)?;
        let live = Arc::new(live);
        published.admits(&live)?;
        super::tell_locks("chamber", live.locks, metrics);
        metrics.chambers.keys(live.keys.ready.len(), live.keys.destroyed.len());
        let hearing = tokio::spawn(hear(live.clone(), control, self.live.clone(), metrics.clone()));
        let working = Working { live, hearing, _order: order };
        budget.holds(working.live.birth_bytes)?;
        self_test.smallest(&working.live).await?;
        Ok(working)
    }

    /// Until the chamber dies, is to be replaced, or all is to end; says why another is started. The first one
    /// proves the largest witnesses meanwhile; that it cannot is a fault.
    async fn while_it_works(
        &self,
        current: Option<&mut Working>,
        is_first: bool,
    ) -> Result<Cause, ServiceError> {
        let Some(Working { live, hearing, .. }) = current else { return Ok(Cause::Ended) };
        let largest = async {
            if is_first {
                self.start.self_test.largest(live).await?;
            }
            std::future::pending().await
        };
        let not_before = Instant::now() + REPLACE_WAIT;
        let rule_broken = async {
            self.rule_broken.notified().await;
            warn!("a job broke a rule: another chamber takes over");
            tokio::time::sleep_until(not_before).await;
        };
        tokio::select! {
            fault = largest => fault,
            () = rule_broken => Ok(Cause::RuleBroken),
            () = self.keys_changed.notified() => {
                info!("the keys have changed: another chamber takes over");
                Ok(Cause::KeysChanged)
            }
            _ = hearing => Ok(Cause::Ended),
            () = self.stop() => Ok(Cause::Ended),
        }
    }

    /// Serves a bundle that has waited for this chamber.
    fn publish(&self, live: &Live) {
        if let Err(cause) = self.start.published.advance(live) {
            warn!(%cause, "the new bundle is not served yet");
        }
    }

    /// Hears from the launcher what has changed on disk; ends when the launcher does.
    async fn heed(&self) -> std::io::Result<Infallible> {
        let notices = self.start.launcher.notices()?;
        notices.set_nonblocking(true)?;
        let mut notices = UnixStream::from_std(notices)?;
        loop {
            match Notice::from_byte(notices.read_u8().await?) {
                Some(Notice::Keys) => self.keys_changed.notify_one(),
                Some(Notice::Bundle) => self.take_bundle().await,
                None => {}
            }
        }
    }

    async fn take_bundle(&self) {
        let Start { launcher, published, .. } = &self.start;
        match tokio::fs::read(launcher.bundle()).await {
            Ok(bytes) => {
                let live = self.live.borrow().clone();
                published.offer(&bytes, live.as_deref());
            }
            Err(cause) => error!(%cause, "the changed bundle cannot be read"),
        }
    }

    /// Until all is to end.
    async fn stop(&self) {
        // Who would say so may be gone: then it is so.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    async fn pause(&self, waits: &mut Backoff) {
        tokio::select! {
            () = waits.pause() => {}
            () = self.stop() => {}
        }
    }
}

/// What the audit log is told of chambers and of their keys.
struct Record {
    audit: Audit,
    chambers: u32,
    keys: BTreeMap<KeyId, Scheme>,
}

impl Record {
    /// A chamber takes jobs.
    fn ready(&mut self, live: &Live, cause: Cause) {
        self.chambers += 1;
        let (chamber, locks) = (self.chambers, live.locks);
        let ready = ChamberReady { chamber, cause, seccomp: locks.calls, landlock: locks.files };
        self.audit.note(|| Event::ChamberReady(ready));
        let keys: BTreeMap<_, _> = live.keys.ready.iter().map(|key| (key.id.clone(), key.scheme)).collect();
        let of = |(key, scheme): (&KeyId, &Scheme)| {
            let destroyed = live.keys.destroyed.contains(key);
            Key { key: key.clone(), scheme: *scheme, destroyed }
        };
        for key in keys.iter().filter(|(id, _)| !self.keys.contains_key(id)).map(of) {
            self.audit.note(|| Event::KeyAppeared(key));
        }
        for key in self.keys.iter().filter(|(id, _)| !keys.contains_key(id)).map(of) {
            self.audit.note(|| Event::KeyGone(key));
        }
        self.keys = keys;
    }
}

/// A chamber at work.
struct Working {
    live: Arc<Live>,
    hearing: JoinHandle<()>,
    /// Closing it is the order to take no more jobs, and to end with the last.
    _order: OwnedWriteHalf,
}

impl Working {
    /// Lets it end with its last job, however long that takes.
    async fn retire(self) {
        let Working { live, mut hearing, _order: order } = self;
        drop(order);
        while !hearing.is_finished() {
            if tokio::time::timeout(STOP_TIMEOUT, &mut hearing).await.is_err() && live.is_idle() {
                // The launcher kills what outlives its connection.
                hearing.abort();
            }
        }
        info!("a chamber has ended, and the keys that it had in memory with it");
    }
}

/// Hears a chamber to its end; then it is nobody's chamber any more.
async fn hear(
    live: Arc<Live>,
    mut control: OwnedReadHalf,
    current: watch::Sender<Option<Arc<Live>>>,
    metrics: Arc<Metrics>,
) {
    live.hear(&mut control, &metrics).await;
    current.send_if_modified(|current| {
        let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &live));
        if is_current {
            *current = None;
        }
        is_current
    });
}
