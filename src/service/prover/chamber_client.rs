//! The service's end of one chamber: reads its events, and opens one connection for each job.
//!
//! Sealed bytes go in, sealed bytes come out. Closing a job's connection kills its process; the job is over when
//! the chamber reports that the process is dead.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::oneshot;
use tracing::info;

use super::memory_budget::Limits;
use crate::frame::{
    self, ChamberEvent, End, FrameError, JobHead, Locks, Order, PREFIX_BYTES, ReadyCircuit, ReadyKey,
    ReplyHead,
};
use crate::metrics::Metrics;
use crate::protocol::{CircuitId, Code, JobId, KeyId, Scheme};

/// Time in which a dropped job's process is reaped, or an order accepted.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);

/// The keys of a chamber, by their ids.
#[derive(Default)]
pub(crate) struct ChamberKeys {
    /// Keys that are loaded.
    pub(crate) ready: Vec<ReadyKey>,
    /// Keys that were there once and are destroyed.
    pub(crate) destroyed: Vec<KeyId>,
}

impl ChamberKeys {
    /// Returns the scheme of a loaded key.
    pub(crate) fn scheme(&self, id: &KeyId) -> Option<Scheme> {
        self.ready.iter().find(|key| key.id == *id).map(|key| key.scheme)
    }

    /// Returns the code that tells a client why a key is not loaded.
    pub(crate) fn missing_code(&self, id: &KeyId) -> Code {
        if self.destroyed.contains(id) { Code::KeyRetired } else { Code::KeyUnknown }
    }
}

/// A ready chamber.
pub(crate) struct ChamberClient {
    listen: PathBuf,
    pub(crate) keys: ChamberKeys,
    /// Circuits whose keys are built.
    pub(crate) circuits: Vec<ReadyCircuit>,
    pub(crate) locks: Locks,
    /// Memory that each job process is born with, in bytes.
    pub(crate) birth_bytes: u64,
    pending: PendingJobs,
}

/// The reply of a job process.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: ReplyHead,
    pub(crate) payload: Vec<u8>,
    /// Largest resident set of the process, in bytes, with what it was born with.
    pub(crate) peak_bytes: u64,
    /// Duration of the whole exchange, by this process's clock.
    pub(crate) took: Duration,
}

impl Reply {
    /// Returns the duration of a step as the process reports it, capped at the whole: a process that was taken over
    /// can report anything.
    pub(crate) fn capped(&self, step_ms: Option<u64>) -> Option<Duration> {
        step_ms.map(|ms| Duration::from_millis(ms).min(self.took))
    }
}

/// A job process sent no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoReply {
    /// The process ended in this way.
    #[error("job process ended: {}", .0.as_str())]
    Ended(End),
    /// The process exited as if it had replied, and had not.
    #[error("job process ended without a reply")]
    Silent,
    /// The chamber accepted no order, or is gone.
    #[error("the chamber is gone")]
    ChamberGone,
    /// The service dropped the job.
    #[error("dropped")]
    Dropped,
}

/// The processes of running jobs, in all chambers of a service.
#[derive(Debug, Default)]
pub(crate) struct JobProcesses(Mutex<HashMap<JobId, i32>>);

impl JobProcesses {
    /// Returns the process id of a running job.
    pub(crate) fn pid(&self, job: &JobId) -> Option<i32> {
        self.0.lock().get(job).copied()
    }
}

/// Jobs whose process has not ended yet, by ticket.
struct PendingJobs {
    processes: Arc<JobProcesses>,
    next: AtomicU64,
    jobs: Mutex<HashMap<u64, PendingJob>>,
}

struct PendingJob {
    job: JobId,
    circuit: CircuitId,
    end: oneshot::Sender<ProcessEnd>,
}

/// The end of a process, with its largest resident set in bytes.
struct ProcessEnd {
    end: End,
    peak_bytes: u64,
}

impl PendingJobs {
    fn new(processes: Arc<JobProcesses>) -> Self {
        PendingJobs { processes, next: AtomicU64::new(0), jobs: Mutex::default() }
    }

    fn issue(&self, head: &JobHead) -> (u64, oneshot::Receiver<ProcessEnd>) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (end, ended) = oneshot::channel();
        let pending = PendingJob { job: head.job.clone(), circuit: head.circuit.clone(), end };
        self.jobs.lock().insert(ticket, pending);
        (ticket, ended)
    }

    fn started(&self, ticket: u64, pid: i32) {
        if let Some(pending) = self.jobs.lock().get(&ticket) {
            self.processes.0.lock().insert(pending.job.clone(), pid);
            info!(job = %pending.job, pid, "job process started");
        }
    }

    fn ended(&self, ticket: u64, end: End, peak_bytes: u64, metrics: &Metrics) {
        if let Some(pending) = self.jobs.lock().remove(&ticket) {
            self.processes.0.lock().remove(&pending.job);
            metrics.processes.ended(&pending.circuit, end, peak_bytes);
            info!(job = %pending.job, end = end.as_str(), peak_bytes, "job process ended");
            let _ = pending.end.send(ProcessEnd { end, peak_bytes });
        }
    }

    fn chamber_gone(&self) {
        for (_, pending) in self.jobs.lock().drain() {
            self.processes.0.lock().remove(&pending.job);
        }
    }
}

impl ChamberClient {
    /// Reads a chamber's first event, in which it describes itself; returns `None` when it ends before.
    pub(crate) async fn announced(
        control: &mut OwnedReadHalf,
        processes: Arc<JobProcesses>,
        metrics: &Metrics,
    ) -> Option<Self> {
        let (event, _) = read_frame::<ChamberEvent>(control).await.ok()?;
        let ChamberEvent::Ready { keys, destroyed, circuits, listen, locks, birth_bytes } = event else {
            return None;
        };
        for circuit in &circuits {
            info!(circuit = %circuit.id, built_ms = circuit.built_ms, "keys built");
            metrics.chambers.built(&circuit.id, Duration::from_millis(circuit.built_ms));
        }
        let keys = ChamberKeys { ready: keys, destroyed };
        let pending = PendingJobs::new(processes);
        Some(ChamberClient { listen, keys, circuits, locks, birth_bytes, pending })
    }

    /// Reads the chamber's events until it ends.
    pub(crate) async fn read_events(&self, control: &mut OwnedReadHalf, metrics: &Metrics) {
        loop {
            match read_frame::<ChamberEvent>(control).await {
                Ok((ChamberEvent::Started { ticket, pid }, _)) => self.pending.started(ticket, pid),
                Ok((ChamberEvent::Ended { ticket, end, peak_bytes }, _)) => {
                    self.pending.ended(ticket, end, peak_bytes, metrics);
                }
                Ok((ChamberEvent::Ready { .. }, _)) | Err(_) => return self.pending.chamber_gone(),
            }
        }
    }

    /// Returns whether it has no job.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.jobs.lock().is_empty()
    }

    /// Returns a circuit whose keys are built.
    pub(super) fn circuit(&self, id: &CircuitId) -> Option<&ReadyCircuit> {
        self.circuits.iter().find(|circuit| circuit.id == *id)
    }

    /// Has a job proved in a process of its own. Returns once that process is dead; if `dropped` completes first,
    /// the process is killed.
    pub(crate) async fn prove(
        &self,
        limits: Limits,
        head: &JobHead,
        payload: &[u8],
        dropped: impl Future<Output = ()>,
    ) -> Result<Reply, NoReply> {
        let started = Instant::now();
        let mut connection = UnixStream::connect(&self.listen).await.map_err(|_| NoReply::ChamberGone)?;
        // The ticket names the job on the control connection, where the chamber reports events of processes: the
        // chamber reads no frame and does not know a job by its id.
        let (ticket, ended) = self.pending.issue(head);
        let exchanged = tokio::select! {
            reply = exchange(&mut connection, limits.order(ticket), head, payload) => Some(reply),
            () = dropped => None,
        };
        // Closing it is the order to kill a process that still runs. The death is waited for: only then is the memory
        // of the slot free.
        drop(connection);
        let ended = tokio::time::timeout(REAP_TIMEOUT, ended).await;
        match (exchanged, ended) {
            (None, _) => Err(NoReply::Dropped),
            (_, Err(_) | Ok(Err(_))) => Err(NoReply::ChamberGone),
            (Some(Ok((head, payload))), Ok(Ok(ProcessEnd { end: End::Answered, peak_bytes }))) => {
                Ok(Reply { head, payload, peak_bytes, took: started.elapsed() })
            }
            // It sent something that is not a reply. Dropping the connection killed it, unless it exited first.
            (Some(Err(_)), Ok(Ok(ProcessEnd { end: End::Answered | End::Dropped, .. }))) => {
                Err(NoReply::Silent)
            }
            (Some(_), Ok(Ok(ProcessEnd { end, .. }))) => Err(NoReply::Ended(end)),
        }
    }
}

async fn exchange(
    connection: &mut UnixStream,
    order: Order,
    head: &JobHead,
    payload: &[u8],
) -> Result<(ReplyHead, Vec<u8>), FrameError> {
    connection.write_all(&order.to_bytes()).await.map_err(cut_short)?;
    connection.write_all(&frame::encode(head, payload)).await.map_err(cut_short)?;
    let reply = read_frame::<ReplyHead>(connection).await?;
    // Bytes after the reply are a sign that the process does not follow the protocol, so its reply counts for nothing.
    match connection.read_u8().await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(reply),
        _ => Err(FrameError::TooLong),
    }
}

fn cut_short(_: std::io::Error) -> FrameError {
    FrameError::Head
}

async fn read_frame<T: DeserializeOwned>(
    connection: &mut (impl AsyncRead + Unpin),
) -> Result<(T, Vec<u8>), FrameError> {
    let mut prefix = [0; PREFIX_BYTES];
    connection.read_exact(&mut prefix).await.map_err(cut_short)?;
    // Refuses lengths above the limits before anything is allocated: a process that was taken over can send any number.
    let (head_bytes, body_bytes) = frame::lengths(prefix)?;
    let mut head = vec![0; head_bytes];
    connection.read_exact(&mut head).await.map_err(cut_short)?;
    let mut body = vec![0; body_bytes];
    connection.read_exact(&mut body).await.map_err(cut_short)?;
    Ok((frame::head(&head)?, body))
}
