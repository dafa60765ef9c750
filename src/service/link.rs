//! The service's end of the chamber: starts it, hears its events, and opens one connection a job.
//!
//! Sealed bytes go in, sealed bytes come out. A job is dropped by closing its connection; it is over
//! when the chamber says that its process is dead.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use crate::broker::Backoff;
use crate::frame::{self, End, Event, FrameError, JobHead, Order, PREFIX_BYTES, ReadyCircuit, ReplyHead};
use crate::job::{CircuitId, Deployment, JobId, KeyId};
use crate::metrics::Metrics;

/// How long a dropped job's process may take to be reaped, or an order to be taken.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);
/// The first and the longest wait before a chamber that died is started again.
const RESTART_WAIT: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];
/// How long a chamber may take to end once it is told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How a chamber is started.
#[derive(Debug, Clone)]
pub struct ChamberCommand {
    /// This program.
    pub program: PathBuf,
    /// The deployment that every seal is bound to.
    pub deployment: Deployment,
    /// The folder of private keys.
    pub keys: PathBuf,
    /// The circuits that it builds.
    pub circuits: Vec<CircuitId>,
    /// How many job processes there may be at once.
    pub jobs_max: usize,
}

/// The chamber of this service, whichever process it is at the moment.
pub(super) struct Chamber {
    live: watch::Receiver<Option<Arc<Live>>>,
    stop: watch::Sender<bool>,
    supervisor: tokio::task::JoinHandle<()>,
    /// The first chamber ended before it was ready, or never started: another would fare no better.
    hopeless: watch::Receiver<bool>,
}

/// A chamber that is ready.
pub(super) struct Live {
    listen: PathBuf,
    /// The private keys that it has.
    pub(super) keys: Vec<KeyId>,
    /// The circuits that it has built.
    pub(super) circuits: Vec<ReadyCircuit>,
    tickets: Arc<Tickets>,
}

/// What a job process answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: ReplyHead,
    pub(super) payload: Vec<u8>,
}

/// A job process gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoReply {
    /// It ended so.
    #[error("job process ended: {}", .0.as_str())]
    Ended(End),
    /// It ended as if it had answered, and had not.
    #[error("job process ended without an answer")]
    Silent,
    /// The chamber took no order, or is gone.
    #[error("the chamber is gone")]
    ChamberGone,
    /// We dropped the job.
    #[error("dropped")]
    Dropped,
}

impl Chamber {
    /// Starts a chamber, and starts it again whenever it dies.
    pub(super) fn start(command: ChamberCommand, metrics: Arc<Metrics>) -> Self {
        let (live_sender, live) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let (hope, hopeless) = watch::channel(false);
        let supervisor = tokio::spawn(supervise(command, metrics, live_sender, stopped, hope));
        Chamber { live, stop, supervisor, hopeless }
    }

    /// The chamber, if it is ready.
    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }

    /// Until it is certain that no chamber will be ready.
    pub(super) async fn never_ready(&self) {
        if self.hopeless.clone().wait_for(|hopeless| *hopeless).await.is_err() {
            std::future::pending::<()>().await;
        }
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

    /// Ends the chamber, whose last job has ended.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.supervisor.await;
    }
}

async fn supervise(
    command: ChamberCommand,
    metrics: Arc<Metrics>,
    live: watch::Sender<Option<Arc<Live>>>,
    mut stopped: watch::Receiver<bool>,
    hopeless: watch::Sender<bool>,
) {
    let mut waits = Backoff::new(RESTART_WAIT);
    let mut ever_ready = false;
    while !*stopped.borrow() {
        metrics.chamber_started();
        match Running::spawn(&command) {
            Ok(mut running) => {
                let was_ready = running.serve(&live, &metrics, &mut stopped).await;
                live.send_replace(None);
                let expected = *stopped.borrow();
                running.end(expected).await;
                if was_ready {
                    (ever_ready, waits) = (true, Backoff::new(RESTART_WAIT));
                }
            }
            Err(cause) => {
                error!(%cause, "the chamber cannot be started");
            }
        }
        if !ever_ready {
            let _ = hopeless.send(true);
            return;
        }
        tokio::select! {
            () = waits.pause() => {}
            _ = stopped.changed() => {}
        }
    }
}

/// A chamber process, with the folder that its socket is in.
struct Running {
    child: Child,
    control: UnixStream,
    folder: TempDir,
    tickets: Arc<Tickets>,
}

impl Running {
    fn spawn(command: &ChamberCommand) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sealprove-").tempdir()?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut child = Command::new(&command.program);
        // The program may be a link whose name says nothing to whoever reads `ps`.
        child.arg0("sealprove").arg("chamber").arg("--listen").arg(folder.path().join("chamber.sock"));
        child.arg("--keys").arg(&command.keys);
        child.arg("--deployment").arg(command.deployment.as_str());
        child.arg("--jobs-max").arg(command.jobs_max.to_string());
        for circuit in &command.circuits {
            child.arg("--circuit").arg(circuit.as_str());
        }
        let theirs: std::os::fd::OwnedFd = theirs.into();
        let child = child.env_clear().stdin(theirs).stdout(Stdio::null()).spawn()?;
        Ok(Running { child, control: UnixStream::from_std(ours)?, folder, tickets: Arc::default() })
    }

    /// Hears events until the chamber or the service ends; says whether it was ever ready.
    async fn serve(
        &mut self,
        live: &watch::Sender<Option<Arc<Live>>>,
        metrics: &Metrics,
        stopped: &mut watch::Receiver<bool>,
    ) -> bool {
        let mut was_ready = false;
        loop {
            let event = tokio::select! {
                event = read_frame::<Event>(&mut self.control) => event,
                _ = stopped.changed() => return was_ready,
            };
            match event {
                Ok((Event::Ready { keys, circuits }, _)) => {
                    was_ready = true;
                    live.send_replace(Some(self.live(keys, circuits, metrics)));
                }
                Ok((Event::Started { ticket, pid }, _)) => self.tickets.started(ticket, pid),
                Ok((Event::Ended { ticket, end }, _)) => {
                    metrics.process_ended(end);
                    self.tickets.ended(ticket, end);
                }
                Err(_) => return was_ready,
            }
        }
    }

    fn live(&self, keys: Vec<KeyId>, circuits: Vec<ReadyCircuit>, metrics: &Metrics) -> Arc<Live> {
        for circuit in &circuits {
            info!(circuit = %circuit.id, built_ms = circuit.built_ms, "keys built");
            metrics.built(&circuit.id, Duration::from_millis(circuit.built_ms));
        }
        let listen = self.folder.path().join("chamber.sock");
        Arc::new(Live { listen, keys, circuits, tickets: self.tickets.clone() })
    }

    /// Closes the control connection, which is the order to end, and reaps.
    async fn end(mut self, expected: bool) {
        drop(self.control);
        self.tickets.chamber_gone();
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(Ok(_)) if expected => {}
            Ok(Ok(status)) => error!(%status, "the chamber ended by itself"),
            _ => {
                warn!("the chamber does not end by itself");
                let _ = self.child.kill().await;
            }
        }
    }
}

/// Who waits for which process.
#[derive(Default)]
struct Tickets {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    job: JobId,
    end: oneshot::Sender<End>,
}

impl Tickets {
    fn issue(&self, job: JobId) -> (u64, oneshot::Receiver<End>) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (end, ended) = oneshot::channel();
        self.lock().insert(ticket, Waiting { job, end });
        (ticket, ended)
    }

    fn started(&self, ticket: u64, pid: i32) {
        if let Some(waiting) = self.lock().get(&ticket) {
            info!(job = %waiting.job, pid, "job process started");
        }
    }

    fn ended(&self, ticket: u64, end: End) {
        if let Some(waiting) = self.lock().remove(&ticket) {
            info!(job = %waiting.job, end = end.as_str(), "job process ended");
            let _ = waiting.end.send(end);
        }
    }

    fn chamber_gone(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Waiting>> {
        // A map is whole after every call, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// The circuit, if it is built.
    pub(super) fn circuit(&self, id: &CircuitId) -> Option<&ReadyCircuit> {
        self.circuits.iter().find(|circuit| circuit.id == *id)
    }

    /// Has a job proved in a process of its own. Returns once that process is dead; when `dropped`
    /// comes first, it is killed.
    pub(super) async fn prove(
        &self,
        limit: Duration,
        threads: u32,
        head: &JobHead,
        payload: &[u8],
        dropped: impl Future<Output = ()>,
    ) -> Result<Reply, NoReply> {
        let mut connection = UnixStream::connect(&self.listen).await.map_err(|_| NoReply::ChamberGone)?;
        let (ticket, ended) = self.tickets.issue(head.job.clone());
        let order = Order { ticket, limit_ms: crate::clock::millis(limit), threads };
        let exchanged = tokio::select! {
            reply = exchange(&mut connection, order, head, payload) => Some(reply),
            () = dropped => None,
        };
        drop(connection);
        let end = tokio::time::timeout(REAP_TIMEOUT, ended).await;
        match (exchanged, end) {
            (None, _) => Err(NoReply::Dropped),
            (_, Err(_) | Ok(Err(_))) => Err(NoReply::ChamberGone),
            (Some(Ok(reply)), Ok(Ok(End::Answered))) => Ok(reply),
            // It said what is no reply: it was killed for that, unless it was quicker to end by itself.
            (Some(Err(_)), Ok(Ok(End::Answered | End::Dropped))) => Err(NoReply::Silent),
            (Some(_), Ok(Ok(end))) => Err(NoReply::Ended(end)),
        }
    }
}

async fn exchange(
    connection: &mut UnixStream,
    order: Order,
    head: &JobHead,
    payload: &[u8],
) -> Result<Reply, FrameError> {
    let gone = |_: std::io::Error| FrameError::Head;
    connection.write_all(&order.to_bytes()).await.map_err(gone)?;
    connection.write_all(&frame::encode(head, payload)).await.map_err(gone)?;
    let (head, payload) = read_frame::<ReplyHead>(connection).await?;
    // The end of the connection comes when the process is reaped: an answer is the last thing it says.
    match connection.read_u8().await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Reply { head, payload }),
        _ => Err(FrameError::TooLong),
    }
}

async fn read_frame<T: DeserializeOwned>(connection: &mut UnixStream) -> Result<(T, Vec<u8>), FrameError> {
    let gone = |_: std::io::Error| FrameError::Head;
    let mut prefix = [0; PREFIX_BYTES];
    connection.read_exact(&mut prefix).await.map_err(gone)?;
    let (head_bytes, body_bytes) = frame::lengths(prefix)?;
    let mut head = vec![0; head_bytes];
    connection.read_exact(&mut head).await.map_err(gone)?;
    let mut body = vec![0; body_bytes];
    connection.read_exact(&mut body).await.map_err(gone)?;
    Ok((frame::head(&head)?, body))
}
