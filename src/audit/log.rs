//! Writing the audit log. A line is handed to a task of its own, which chains it, writes it and has it on disk.
//! A log that cannot be written makes no answer late: its lines wait in memory, within a bound; beyond that they
//! are counted, and the next line that is written says how many are missing.
//!
//! A service that has locked itself can make new files in one folder alone, which is of this start, and
//! touch no log of any other.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info};

use super::{Chain, Event, JobEnd};
use crate::config::{AuditConfig, AuditTo};
use crate::metrics::{AuditLine, Metrics};
use crate::protocol::random::random_hex;
use crate::protocol::{Sha256Digest, UnixMillis, UnixSeconds};

/// How many lines may wait to be written.
const WAITING_MAX: usize = 10_000;
/// How many are written before they are synced to disk.
const BATCH: usize = 256;
/// How long the end of a job waits for its line to be on disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the last line may take.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// The wait before a write that failed is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// How often the ordinary log says where the chain stands, while it grows.
const CHECKPOINT: Duration = Duration::from_secs(600);

/// The audit log cannot be begun.
#[derive(Debug, thiserror::Error)]
#[error("begin an audit log in {folder} ([audit] in the configuration): it must be writable for the service")]
pub struct AuditError {
    folder: PathBuf,
    source: io::Error,
}

/// Where lines go, made before the service locks itself.
#[derive(Debug)]
pub struct Book {
    sink: Sink,
    chain: Chain,
    /// The last line of the start before.
    pub(crate) follows: Option<Sha256Digest>,
}

#[derive(Debug)]
enum Sink {
    Output,
    Files(Files),
}

impl Book {
    /// Begins one, where the configuration wants it.
    ///
    /// # Errors
    /// When there can be none.
    pub fn begin(config: &AuditConfig) -> Result<Option<Self>, AuditError> {
        let instance = random_hex::<16>();
        let (sink, follows) = match (config.to, &config.folder) {
            (AuditTo::Off, _) => return Ok(None),
            (AuditTo::Folder, Some(folder)) => {
                let failed = |source| AuditError { folder: folder.clone(), source };
                let follows = last_line(folder).map_err(failed)?;
                let bytes_max = config.file_bytes_max.as_u64();
                (Sink::Files(Files::begin(folder, &instance, bytes_max).map_err(failed)?), follows)
            }
            // Without a folder, the configuration is refused.
            (AuditTo::Stdout, _) | (AuditTo::Folder, None) => (Sink::Output, None),
        };
        Ok(Some(Book { sink, chain: Chain::new(instance), follows }))
    }

    /// The folder in which it makes files.
    pub fn folder(&self) -> Option<&Path> {
        match &self.sink {
            Sink::Output => None,
            Sink::Files(files) => Some(&files.folder),
        }
    }

    /// Writes some of these bytes, whole or not; says how many.
    fn write(&mut self, bytes: &[u8], begins_line: bool) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Output => io::stdout().lock().write(bytes),
            Sink::Files(files) => files.write(bytes, begins_line),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Output => io::stdout().lock().flush(),
            Sink::Files(files) => files.file.sync_data(),
        }
    }
}

/// The files of one start: `<folder>/<time>-<instance>/000001.jsonl` and so on. Each goes on where the one
/// before ended.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    file: File,
    number: u32,
    bytes: u64,
    bytes_max: u64,
}

impl Files {
    fn begin(folder: &Path, instance: &str, bytes_max: u64) -> io::Result<Self> {
        let now = UnixSeconds::now().to_rfc3339().replace(['-', ':'], "");
        let own = folder.join(format!("{now}-{}", &instance[..8]));
        DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
        let file = create(&own, 1)?;
        Ok(Files { folder: own, file, number: 1, bytes: 0, bytes_max })
    }

    fn write(&mut self, bytes: &[u8], begins_line: bool) -> io::Result<usize> {
        if begins_line && self.bytes >= self.bytes_max {
            self.file.sync_data()?;
            self.file = create(&self.folder, self.number + 1)?;
            (self.number, self.bytes) = (self.number + 1, 0);
        }
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }
}

fn create(folder: &Path, number: u32) -> io::Result<File> {
    let path = folder.join(format!("{number:06}.jsonl"));
    File::options().append(true).create_new(true).mode(0o600).open(path)
}

/// The last line of the newest start that has one.
fn last_line(folder: &Path) -> io::Result<Option<Sha256Digest>> {
    for start in newest_first(folder)? {
        for file in newest_first(&start)? {
            let bytes = std::fs::read(file)?;
            // What follows the last newline was never written whole.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map(|end| &bytes[..end]);
            if let Some(last) = whole.and_then(|whole| whole.rsplit(|byte| *byte == b'\n').next()) {
                return Ok(Some(Sha256Digest::hash(last)));
            }
        }
    }
    Ok(None)
}

/// What is in a folder, by name; nothing, where there is no such folder.
fn newest_first(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut entries =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    entries.reverse();
    Ok(entries)
}

/// The audit log as the service knows it. One that is off takes everything and keeps nothing.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Writing>>);

struct Writing {
    lines: SyncSender<Request>,
    /// Lines that did not fit, since the last one that did.
    lost: Arc<AtomicU64>,
    /// Nobody waits for a log that has made somebody wait in vain, until it writes again.
    is_stuck: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

struct Request {
    at: UnixMillis,
    event: Event,
    written: Option<oneshot::Sender<()>>,
}

impl Audit {
    /// Writes into this book from now on, from a task of its own.
    pub fn begin(book: Option<Book>, metrics: &Arc<Metrics>) -> Self {
        let Some(book) = book else { return Audit(None) };
        let (lines, requests) = sync_channel(WAITING_MAX);
        let (lost, is_stuck) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let writer =
            Writer { book, lost: lost.clone(), is_stuck: is_stuck.clone(), metrics: metrics.clone() };
        // It lives as long as somebody may write.
        tokio::task::spawn_blocking(move || writer.run(&requests));
        Audit(Some(Arc::new(Writing { lines, lost, is_stuck, metrics: metrics.clone() })))
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Hands a line over.
    pub fn note(&self, event: impl FnOnce() -> Event) {
        if let Some(writing) = &self.0 {
            writing.hand_over(event(), None);
        }
    }

    /// A job has its answer. Waits, for a moment at the most, until its line is on disk.
    pub async fn job(&self, end: impl FnOnce() -> JobEnd) {
        let Some(writing) = &self.0 else { return };
        writing.wait(Event::Job(Box::new(end())), PATIENCE).await;
    }

    /// Writes the last line.
    pub async fn end(&self) {
        let Some(writing) = &self.0 else { return };
        if !writing.wait(Event::Stop, LAST_PATIENCE).await {
            error!("the audit log has not taken its last line");
        }
    }
}

impl Writing {
    fn hand_over(&self, event: Event, written: Option<oneshot::Sender<()>>) {
        let request = Request { at: UnixMillis::now(), event, written };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(request) {
            self.metrics.audit.line(AuditLine::Lost);
            if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                error!("the audit log takes no more lines, and some are lost: see to its disk or its reader");
            }
        }
    }

    async fn wait(&self, event: Event, patience: Duration) -> bool {
        if self.is_stuck.load(Ordering::Relaxed) {
            self.hand_over(event, None);
            return false;
        }
        let (sender, written) = oneshot::channel();
        self.hand_over(event, Some(sender));
        match tokio::time::timeout(patience, written).await {
            Ok(written) => written.is_ok(),
            Err(_) => {
                self.is_stuck.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

struct Writer {
    book: Book,
    lost: Arc<AtomicU64>,
    is_stuck: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut said_at: Option<Instant> = None;
        while let Ok(first) = requests.recv() {
            let mut batch = vec![first];
            batch.extend(requests.try_iter().take(BATCH - 1));
            let is_end = batch.iter().any(|request| matches!(request.event, Event::Stop));
            let written: Vec<_> = batch.into_iter().filter_map(|request| self.write(request)).collect();
            self.until_done(|writer| writer.book.sync());
            self.is_stuck.store(false, Ordering::Relaxed);
            for waiting in written {
                let _ = waiting.send(());
            }
            if is_end || said_at.is_none_or(|said_at| said_at.elapsed() >= CHECKPOINT) {
                said_at = Some(Instant::now());
                self.say_where_it_stands();
            }
        }
    }

    /// Somebody who keeps this log elsewhere can tell later whether the chain was written anew.
    fn say_where_it_stands(&self) {
        let (lines, hash) = self.book.chain.head();
        info!(lines, last = %hash, "audit log");
    }

    /// Writes a line, however long that takes; gives back who waits for it.
    fn write(&mut self, request: Request) -> Option<oneshot::Sender<()>> {
        let Request { at, event, written } = request;
        let line = self.book.chain.next(at, self.lost.swap(0, Ordering::Relaxed), event);
        let mut done = 0;
        while done < line.len() {
            self.until_done(|writer| {
                done += writer.book.write(&line[done..], done == 0)?;
                Ok(())
            });
        }
        self.metrics.audit.line(AuditLine::Written);
        written
    }

    /// Tries again until it works: a line that was begun is always ended.
    fn until_done(&mut self, mut write: impl FnMut(&mut Self) -> io::Result<()>) {
        let mut is_said = false;
        while let Err(cause) = write(self) {
            if cause.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            self.metrics.audit.line(AuditLine::Retried);
            if !std::mem::replace(&mut is_said, true) {
                error!(%cause, "the audit log cannot be written; its lines wait in memory");
            }
            // Nobody has a stake in this thread but the log.
            std::thread::sleep(RETRY_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::super::verify::{self, verify};
    use super::super::{Start, VERSION};
    use super::*;

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
        let book = Book::begin(&config).unwrap().unwrap();
        let follows = book.follows;
        let audit = Audit::begin(Some(book), &Arc::new(Metrics::new([], &[])));
        for _ in 0..lines {
            audit.0.as_ref().unwrap().wait(start(follows), PATIENCE).await;
        }
        audit.end().await;
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
    fn a_log_that_cannot_be_written_holds_nobody_up_and_says_what_it_lacks() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(hold_nobody_up());
        // The task still tries.
        runtime.shutdown_background();
    }

    async fn hold_nobody_up() {
        let metrics = Arc::new(Metrics::new([], &[]));
        let full = File::options().write(true).open("/dev/full").unwrap();
        let files = Files { folder: "/nowhere".into(), file: full, number: 1, bytes: 0, bytes_max: u64::MAX };
        let book = Book { sink: Sink::Files(files), chain: Chain::new("0".repeat(32)), follows: None };
        let audit = Audit::begin(Some(book), &metrics);
        let began = Instant::now();
        for _ in 0..WAITING_MAX + 100 {
            audit.0.as_ref().unwrap().wait(Event::Stop, PATIENCE).await;
        }
        assert!(began.elapsed() < PATIENCE * 5, "{:?}", began.elapsed());
        let page = String::from_utf8(metrics.page()).unwrap();
        assert!(!page.contains("sealprove_audit_lines_total{result=\"retried\"} 0"), "{page}");
        assert!(!page.contains("sealprove_audit_lines_total{result=\"lost\"} 0"), "{page}");
    }
}
