//! Evidence at the end of a run: every stream, read from its leader; the clients' journals; the
//! services' logs; and what was seen on the wire. Nothing is judged here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use async_nats::HeaderMap;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::Trouble;
use super::admin::{ANSWERS, Admin, JOBS};
use super::broken::Broken;
use super::client::journals;
use super::deployment::service_log;
use super::journal::{Event, JobKind, Journal};
use super::wire::{Delivery, Wire};

/// Number of messages of a stream per request.
const READS_AT_ONCE: usize = 8;

/// A message in a stream.
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    /// The broker's timestamp, in Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
}

impl Stored {
    /// The job, which is the last token of every subject that names one.
    pub(crate) fn job(&self) -> &str {
        self.subject.rsplit('.').next().unwrap_or_default()
    }
}

/// A stream, whole.
pub(crate) struct Contents {
    pub(crate) messages: Vec<Stored>,
    /// Sequences below the last that hold no message.
    pub(crate) gaps: Vec<u64>,
}

/// A client's record of a job.
pub(crate) struct Submission {
    pub(crate) kind: JobKind,
    /// Time just before it was published, in Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) accepted: bool,
    /// The codes that the client was told, and whether they were authentic.
    pub(crate) collected: Vec<(String, bool)>,
    /// Results of publishing it again, and of cancelling it.
    pub(crate) again: Vec<String>,
    pub(crate) cancels: Vec<String>,
}

/// Everything.
pub(crate) struct Evidence {
    pub(crate) answers: Contents,
    pub(crate) jobs_left: Contents,
    pub(crate) statuses: Contents,
    pub(crate) advisories: Contents,
    pub(crate) submissions: BTreeMap<String, Submission>,
    /// The stream sequences under which each job's answers were announced.
    pub(crate) announced: HashMap<String, HashSet<u64>>,
    /// Number of answers that processes made for each job.
    pub(crate) made: HashMap<String, usize>,
    /// Errors that services have logged, and how often.
    pub(crate) errors: BTreeMap<String, usize>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) acknowledged: HashMap<String, u64>,
    pub(crate) seen_on_the_wire: Vec<Broken>,
}

impl Evidence {
    pub(crate) async fn read(
        folder: &Path,
        admin: &Admin,
        wire: &Wire,
        services: usize,
    ) -> Result<Self, Trouble> {
        let mut evidence = Evidence {
            answers: contents(admin, ANSWERS).await?,
            jobs_left: contents(admin, JOBS).await?,
            statuses: contents(admin, "PROVE_STATUS").await?,
            advisories: contents(admin, "PROVE_ADVISORIES").await?,
            submissions: submissions(&journals(folder))?,
            announced: admin.announced(),
            made: HashMap::new(),
            errors: BTreeMap::new(),
            deliveries: wire.deliveries(),
            acknowledged: wire.acknowledged(),
            seen_on_the_wire: wire.broken(),
        };
        for index in 0..services {
            evidence.read_log(&std::fs::read_to_string(service_log(folder, index))?);
        }
        evidence.keep_deliveries(&folder.join("deliveries.log"))?;
        Ok(evidence)
    }

    /// For the reader who has to find out what became of a job.
    fn keep_deliveries(&self, path: &Path) -> std::io::Result<()> {
        let lines = self.deliveries.iter().map(|Delivery { at, lane, service, job }| {
            format!("{at} {job} given to service {service} from {lane}\n")
        });
        std::fs::write(path, lines.collect::<String>())
    }

    fn read_log(&mut self, log: &str) {
        for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let message = event["message"].as_str().unwrap_or_default();
            if message == "job process ended" && event["end"] == "answered" {
                *self.made.entry(event["job"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
            if event["level"] == "ERROR" {
                *self.errors.entry(message.to_owned()).or_default() += 1;
            }
        }
    }
}

/// Every message of a stream, one by one, as its leader has it.
async fn contents(admin: &Admin, name: &str) -> Result<Contents, Trouble> {
    let state = admin.info(name).await?.state;
    let stream = admin.stream(name).await?;
    // In a stream that keeps everything, the first is 1; what is below the first is a gap there too.
    let first = if name == ANSWERS { 1 } else { state.first_sequence.max(1) };
    let reads = stream::iter(first..=state.last_sequence).map(|sequence| read(&stream, sequence));
    let read: Vec<(u64, Option<Stored>)> = reads.buffered(READS_AT_ONCE).try_collect().await?;
    let gaps = read.iter().filter(|(_, found)| found.is_none()).map(|(sequence, _)| *sequence).collect();
    Ok(Contents { messages: read.into_iter().filter_map(|(_, found)| found).collect(), gaps })
}

async fn read(
    stream: &async_nats::jetstream::stream::Stream<()>,
    sequence: u64,
) -> Result<(u64, Option<Stored>), Trouble> {
    use async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound;
    match stream.get_raw_message(sequence).await {
        Ok(message) => {
            let at = u64::try_from(message.time.unix_timestamp_nanos() / 1_000_000)?;
            let (subject, headers, payload) =
                (message.subject.to_string(), message.headers, message.payload.to_vec());
            Ok((sequence, Some(Stored { sequence, at, subject, headers, payload })))
        }
        Err(error) if matches!(error.kind(), NoMessageFound) => Ok((sequence, None)),
        Err(error) => Err(error.into()),
    }
}

fn submissions(journals: &Path) -> Result<BTreeMap<String, Submission>, Trouble> {
    let mut submissions: BTreeMap<String, Submission> = BTreeMap::new();
    for file in std::fs::read_dir(journals)? {
        for entry in Journal::read(&file?.path())? {
            if let Event::Submitting(kind) = entry.event {
                let (collected, again, cancels) = Default::default();
                let submission =
                    Submission { kind, at: entry.at, accepted: false, collected, again, cancels };
                submissions.insert(entry.job, submission);
                continue;
            }
            let Some(submission) = submissions.get_mut(&entry.job) else {
                return Err(format!("a journal tells of job {} before its submission", entry.job).into());
            };
            match entry.event {
                Event::Accepted => submission.accepted = true,
                Event::Collected { code, authentic } => submission.collected.push((code, authentic)),
                Event::Again(came) => submission.again.push(came),
                Event::Cancel(came) => submission.cancels.push(came),
                Event::Submitting(_) | Event::GivenUp(_) => {}
            }
        }
    }
    Ok(submissions)
}
