//! Handle the audit log, from a thread of its own that chains each line, writes it and has it on disk.
//!
//! A log that cannot be written delays no answer. Its lines wait in memory, up to a limit. Lines beyond it are counted, and
//! the next line that is written states how many are missing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info};

use super::line::{Event, JobEnd};
use super::sink::Sink;
use crate::metrics::{AuditLine, Metrics};
use crate::protocol::UnixMillis;

/// Limit of lines that wait to be written.
const WAITING_MAX: usize = 10_000;
/// Limit of lines that are written before they are synced to disk.
const BATCH: usize = 256;
/// Time that the end of a job waits for its line to be on disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time that the last line may take.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// Wait before a failed write is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// Interval at which the ordinary log states the end of the chain, while it grows.
const CHECKPOINT: Duration = Duration::from_secs(600);

/// The audit log of a service. A log that is off accepts every event and keeps none.
#[derive(Clone, Default)]
pub struct AuditLog(Option<Arc<Handle>>);

/// The handle to the writer.
struct Handle {
    lines: SyncSender<Request>,
    /// Number of lines lost since the last one that was queued.
    lost: Arc<AtomicU64>,
    /// True from a wait that ran out until the next sync. Meanwhile no job waits: one late answer is enough.
    is_stuck: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

struct Request {
    at: UnixMillis,
    event: Event,
    written: Option<oneshot::Sender<()>>,
}

impl AuditLog {
    /// Starts the writer into this sink.
    pub fn start(sink: Option<Sink>, metrics: &Arc<Metrics>) -> Self {
        let Some(sink) = sink else { return AuditLog(None) };
        let (lines, requests) = sync_channel(WAITING_MAX);
        let (lost, is_stuck) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let writer =
            Writer { sink, lost: lost.clone(), is_stuck: is_stuck.clone(), metrics: metrics.clone() };
        // It ends with the last handle.
        tokio::task::spawn_blocking(move || writer.run(&requests));
        AuditLog(Some(Arc::new(Handle { lines, lost, is_stuck, metrics: metrics.clone() })))
    }

    /// Records an event, without waiting for the disk.
    pub fn record(&self, event: impl FnOnce() -> Event) {
        if let Some(handle) = &self.0 {
            handle.queue(event(), None);
        }
    }

    /// Records the end of a job. Waits until its line is on disk, for a second at most.
    pub async fn record_job(&self, end: impl FnOnce() -> JobEnd) {
        let Some(handle) = &self.0 else { return };
        handle.queue_and_wait(Event::Job(Box::new(end())), PATIENCE).await;
    }

    /// Records the stop of the service, as the last line.
    pub async fn record_stop(&self) {
        let Some(handle) = &self.0 else { return };
        if !handle.queue_and_wait(Event::Stop, LAST_PATIENCE).await {
            error!("the last line of the audit log is not on disk; check its disk or its reader");
        }
    }
}

impl Handle {
    fn queue(&self, event: Event, written: Option<oneshot::Sender<()>>) {
        let request = Request { at: UnixMillis::now(), event, written };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(request) {
            self.metrics.audit.line(AuditLine::Lost);
            if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                error!("the audit log is full and loses lines; check its disk or its reader");
            }
        }
    }

    /// Queues an event. Returns whether its line was on disk in time.
    async fn queue_and_wait(&self, event: Event, patience: Duration) -> bool {
        if self.is_stuck.load(Ordering::Relaxed) {
            self.queue(event, None);
            return false;
        }
        let (sender, written) = oneshot::channel();
        self.queue(event, Some(sender));
        match tokio::time::timeout(patience, written).await {
            Ok(written) => written.is_ok(),
            Err(_) => {
                self.is_stuck.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// The writer, which owns the sink.
struct Writer {
    sink: Sink,
    lost: Arc<AtomicU64>,
    is_stuck: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut checkpoint_at: Option<Instant> = None;
        while let Ok(first) = requests.recv() {
            let mut batch = vec![first];
            batch.extend(requests.try_iter().take(BATCH - 1));
            let is_last = batch.iter().any(|request| matches!(request.event, Event::Stop));
            let written: Vec<_> = batch.into_iter().filter_map(|request| self.write(request)).collect();
            // One sync for the whole batch: each takes the disk some milliseconds.
            self.retry(|writer| writer.sink.sync());
            self.is_stuck.store(false, Ordering::Relaxed);
            for waiting in written {
                // Fails if the job has stopped waiting.
                let _ = waiting.send(());
            }
            if is_last || checkpoint_at.is_none_or(|at| at.elapsed() >= CHECKPOINT) {
                checkpoint_at = Some(Instant::now());
                self.log_checkpoint();
            }
        }
    }

    /// Logs the end of the chain. An operator who keeps the ordinary log elsewhere can tell from it later whether the chain
    /// was written again.
    fn log_checkpoint(&self) {
        let (lines, hash) = self.sink.chain.head();
        info!(lines, last = %hash, "audit log");
    }

    /// Writes a line, however long that takes. Returns the channel of the job that waits for it.
    fn write(&mut self, request: Request) -> Option<oneshot::Sender<()>> {
        let Request { at, event, written } = request;
        let line = self.sink.chain.next(at, self.lost.swap(0, Ordering::Relaxed), event);
        let mut done = 0;
        while done < line.len() {
            self.retry(|writer| {
                done += writer.sink.write(&line[done..], done == 0)?;
                Ok(())
            });
        }
        self.metrics.audit.line(AuditLine::Written);
        written
    }

    /// Tries until it succeeds, so that a line that was begun is always finished.
    fn retry(&mut self, mut write: impl FnMut(&mut Self) -> io::Result<()>) {
        let mut is_logged = false;
        while let Err(cause) = write(self) {
            if cause.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            self.metrics.audit.line(AuditLine::Retried);
            if !std::mem::replace(&mut is_logged, true) {
                error!(%cause, "the audit log cannot be written and its lines wait in memory; check its disk");
            }
            // Only the audit writer runs on this thread, so it may block.
            std::thread::sleep(RETRY_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use std::path::{Path, PathBuf};

    use super::super::line::{Start, VERSION};
    use super::super::sink::newest_first;
    use super::super::verify::{self, verify};
    use super::*;
    use crate::config::{AuditConfig, AuditTo};
    use crate::protocol::Sha256Digest;

    fn start(follows: Option<Sha256Digest>) -> Event {
        let (deployment, host) = ("lab".parse().unwrap(), String::new());
        Event::Start(Start { deployment, program: VERSION.to_owned(), host, slots: 1, follows })
    }

    async fn write_some(folder: &Path, lines: usize) {
        let config = AuditConfig {
            to: AuditTo::Folder,
            folder: Some(folder.to_owned()),
            file_bytes_max: ByteSize(2000),
        };
        let sink = Sink::create(&config).unwrap().unwrap();
        let follows = sink.follows;
        let audit = AuditLog::start(Some(sink), &Arc::new(Metrics::new([], &[])));
        for _ in 0..lines {
            audit.0.as_ref().unwrap().queue_and_wait(start(follows), PATIENCE).await;
        }
        audit.record_stop().await;
    }

    #[tokio::test]
    async fn files_follow_each_other_by_size_and_starts_by_hash() {
        let folder = tempfile::tempdir().unwrap();
        write_some(folder.path(), 20).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        write_some(folder.path(), 1).await;

        let starts = newest_first(folder.path()).unwrap();
        assert_eq!(starts.len(), 2);
        let files: Vec<PathBuf> = starts.iter().flat_map(|start| newest_first(start).unwrap()).collect();
        assert!(files.len() > 3, "{files:?}");
        let bytes: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        let files: Vec<verify::File<'_>> =
            bytes.iter().map(|bytes| verify::File { name: "f", bytes }).collect();
        let report = verify(&files, &[]);
        assert_eq!(report.faults, vec![]);
        assert_eq!(report.chains.iter().map(|chain| chain.lines).collect::<Vec<_>>(), [21, 2]);
        assert!(report.chains.iter().all(|chain| chain.is_ended && chain.follows_unseen.is_none()));
    }

    #[test]
    fn a_log_that_cannot_be_written_delays_no_job_and_counts_lost_lines() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(write_to_a_full_disk());
        // The writer still tries.
        runtime.shutdown_background();
    }

    async fn write_to_a_full_disk() {
        let metrics = Arc::new(Metrics::new([], &[]));
        let audit = AuditLog::start(Some(Sink::full()), &metrics);
        let began = Instant::now();
        for _ in 0..WAITING_MAX + 100 {
            audit.0.as_ref().unwrap().queue_and_wait(Event::Stop, PATIENCE).await;
        }
        assert!(began.elapsed() < PATIENCE * 5, "{:?}", began.elapsed());
        let page = String::from_utf8(metrics.page()).unwrap();
        assert!(!page.contains("sealprove_audit_lines_total{result=\"retried\"} 0"), "{page}");
        assert!(!page.contains("sealprove_audit_lines_total{result=\"lost\"} 0"), "{page}");
    }
}
