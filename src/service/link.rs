//! The service's end of one chamber: hears its events, and opens one connection a job.
//!
//! Sealed bytes go in, sealed bytes come out. A job is dropped by closing its connection; it is over
//! when the chamber says that its process is dead.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::oneshot;
use tracing::info;

use super::admission::Keys;
use super::limits::Limits;
use crate::frame::{
    self, End, Event, FrameError, JobHead, Locks, Order, PREFIX_BYTES, ReadyCircuit, ReplyHead,
};
use crate::job::{CircuitId, JobId};
use crate::metrics::Metrics;

/// How long a dropped job's process may take to be reaped, or an order to be taken.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);

/// A chamber that is ready.
pub(super) struct Live {
    listen: PathBuf,
    /// The private keys that it has, and those that it would have, were they not destroyed.
    pub(super) keys: Keys,
    /// The circuits that it has built.
    pub(super) circuits: Vec<ReadyCircuit>,
    /// How it is locked.
    pub(super) locks: Locks,
    /// The memory that each of its jobs is born with, in bytes.
    pub(super) birth_bytes: u64,
    tickets: Tickets,
}

/// What a job process answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: ReplyHead,
    pub(super) payload: Vec<u8>,
    /// The most memory that its process had resident, in bytes, with what it was born with.
    pub(super) peak_bytes: u64,
    /// How long all of it took, by this process's clock.
    pub(super) took: Duration,
}

impl Reply {
    /// How long a step took, as its process says. It may have been taken over: more than all of it is not
    /// believed.
    pub(super) fn believed(&self, step_ms: Option<u64>) -> Option<Duration> {
        step_ms.map(|ms| Duration::from_millis(ms).min(self.took))
    }
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

/// Who waits for which process.
#[derive(Default)]
struct Tickets {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    job: JobId,
    circuit: CircuitId,
    end: oneshot::Sender<Ended>,
}

/// How a process ended, and its peak memory in bytes.
struct Ended(End, u64);

impl Tickets {
    fn issue(&self, head: &JobHead) -> (u64, oneshot::Receiver<Ended>) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (end, ended) = oneshot::channel();
        let waiting = Waiting { job: head.job.clone(), circuit: head.circuit.clone(), end };
        self.lock().insert(ticket, waiting);
        (ticket, ended)
    }

    fn started(&self, ticket: u64, pid: i32) {
        if let Some(waiting) = self.lock().get(&ticket) {
            info!(job = %waiting.job, pid, "job process started");
        }
    }

    fn ended(&self, ticket: u64, end: End, peak_bytes: u64, metrics: &Metrics) {
        if let Some(waiting) = self.lock().remove(&ticket) {
            metrics.processes.ended(&waiting.circuit, end, peak_bytes);
            info!(job = %waiting.job, end = end.as_str(), peak_bytes, "job process ended");
            let _ = waiting.end.send(Ended(end, peak_bytes));
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
    /// What a chamber says of itself first of all; `None` when it ends before.
    pub(super) async fn announced(control: &mut OwnedReadHalf, metrics: &Metrics) -> Option<Self> {
        let (event, _) = read_frame::<Event>(control).await.ok()?;
        let Event::Ready { keys, destroyed, circuits, listen, locks, birth_bytes } = event else {
            return None;
        };
        for circuit in &circuits {
            info!(circuit = %circuit.id, built_ms = circuit.built_ms, "keys built");
            metrics.chambers.built(&circuit.id, Duration::from_millis(circuit.built_ms));
        }
        let keys = Keys { ready: keys, destroyed };
        Some(Live { listen, keys, circuits, locks, birth_bytes, tickets: Tickets::default() })
    }

    /// Hears what becomes of jobs, until the chamber has ended.
    pub(super) async fn hear(&self, control: &mut OwnedReadHalf, metrics: &Metrics) {
        loop {
            match read_frame::<Event>(control).await {
                Ok((Event::Started { ticket, pid }, _)) => self.tickets.started(ticket, pid),
                Ok((Event::Ended { ticket, end, peak_bytes }, _)) => {
                    self.tickets.ended(ticket, end, peak_bytes, metrics);
                }
                Ok((Event::Ready { .. }, _)) | Err(_) => return self.tickets.chamber_gone(),
            }
        }
    }

    /// Whether no job is in there.
    pub(super) fn is_idle(&self) -> bool {
        self.tickets.lock().is_empty()
    }

    /// The circuit, if it is built.
    pub(super) fn circuit(&self, id: &CircuitId) -> Option<&ReadyCircuit> {
        self.circuits.iter().find(|circuit| circuit.id == *id)
    }

    /// Has a job proved in a process of its own. Returns once that process is dead; when `dropped`
    /// comes first, it is killed.
    pub(super) async fn prove(
        &self,
        limits: Limits,
        head: &JobHead,
        payload: &[u8],
        dropped: impl Future<Output = ()>,
    ) -> Result<Reply, NoReply> {
        let started = Instant::now();
        let mut connection = UnixStream::connect(&self.listen).await.map_err(|_| NoReply::ChamberGone)?;
        let (ticket, ended) = self.tickets.issue(head);
        let exchanged = tokio::select! {
            reply = exchange(&mut connection, limits.order(ticket), head, payload) => Some(reply),
            () = dropped => None,
        };
        drop(connection);
        let ended = tokio::time::timeout(REAP_TIMEOUT, ended).await;
        match (exchanged, ended) {
            (None, _) => Err(NoReply::Dropped),
            (_, Err(_) | Ok(Err(_))) => Err(NoReply::ChamberGone),
            (Some(Ok((head, payload))), Ok(Ok(Ended(End::Answered, peak_bytes)))) => {
                Ok(Reply { head, payload, peak_bytes, took: started.elapsed() })
            }
            // It said what is no reply: it was killed for that, unless it was quicker to end by itself.
            (Some(Err(_)), Ok(Ok(Ended(End::Answered | End::Dropped, _)))) => Err(NoReply::Silent),
            (Some(_), Ok(Ok(Ended(end, _)))) => Err(NoReply::Ended(end)),
        }
    }
}

async fn exchange(
    connection: &mut UnixStream,
    order: Order,
    head: &JobHead,
    payload: &[u8],
) -> Result<(ReplyHead, Vec<u8>), FrameError> {
    let gone = |_: std::io::Error| FrameError::Head;
    connection.write_all(&order.to_bytes()).await.map_err(gone)?;
    connection.write_all(&frame::encode(head, payload)).await.map_err(gone)?;
    let reply = read_frame::<ReplyHead>(connection).await?;
    // The end of the connection comes when the process is reaped: an answer is the last thing it says.
    match connection.read_u8().await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(reply),
        _ => Err(FrameError::TooLong),
    }
}

async fn read_frame<T: DeserializeOwned>(
    connection: &mut (impl AsyncRead + Unpin),
) -> Result<(T, Vec<u8>), FrameError> {
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
