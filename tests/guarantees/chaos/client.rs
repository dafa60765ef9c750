//! The part of a client: a test of this binary, in a process of its own that may be killed at any
//! moment. It submits jobs of every kind at a steady rate with the library's client, straight to the
//! brokers, and keeps a journal of what it did and was told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::HeaderMap;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sealprove::circuit::Circuits;
use sealprove::client::{Client, Collected, SealedJob, SubmitOptions};
use sealprove::config::ClientConfig;
use sealprove::protocol::{AnswerMode, JobId, Lane, Subjects};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::Trouble;
use super::deployment::client_config;
use super::journal::{Event, JobKind, Journal};
use crate::kit::{THRESHOLD, good_witness, own_test};

/// Lifetime of a job without hurry: longer than any fault.
const LIFETIME: Duration = Duration::from_secs(600);
/// Time to wait for a broker or a full queue.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time to wait for an answer; after that, the checker looks for it.
const WAIT: Duration = Duration::from_secs(120);
/// The most jobs that a client submits at once.
const SUBMITTING_MAX: u32 = 1000;
/// JetStream's message for a job that is queued already.
const ONE_A_SUBJECT: &str = "maximum messages per subject exceeded";
/// Variable of the environment with the orders of a client.
const ORDERS: &str = "CHAOS_CLIENT";

/// The orders of a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) folder: PathBuf,
    /// Name that its files and its random choices derive from.
    pub(crate) name: String,
    /// Jobs in a second.
    pub(crate) rate: f64,
    pub(crate) seed: u64,
}

/// Returns the folder of tickets.
pub(crate) fn tickets(folder: &Path) -> PathBuf {
    folder.join("tickets")
}

/// Returns the folder of journals.
pub(crate) fn journals(folder: &Path) -> PathBuf {
    folder.join("journals")
}

/// The process of a client.
pub(crate) fn command(orders: &Orders) -> Result<Command, Trouble> {
    let mut command = own_test(module_path!(), "client");
    command.env(ORDERS, serde_json::to_string(orders)?);
    Ok(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of the chaos run, which starts it"]
async fn client() {
    let orders = std::env::var(ORDERS).expect("the orders of a client");
    let orders = serde_json::from_str(&orders).expect("orders");
    run(orders).await.expect("a client that goes on until it is stopped");
}

/// Submits jobs until SIGTERM, then finishes what it is submitting.
async fn run(orders: Orders) -> Result<(), Trouble> {
    let submitter = Arc::new(Submitter::new(&orders).await?);
    let mut random = random(&orders);
    let mut stop = signal(SignalKind::terminate())?;
    let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / orders.rate));
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            _ = stop.recv() => break,
        }
        let choice = Choice::draw(&mut random);
        let submitter = submitter.clone();
        tokio::spawn(async move {
            let number = choice.number;
            if let Err(trouble) = submitter.see_through(choice).await {
                eprintln!("job {number}: {trouble}");
            }
        });
    }
    // What waits for an answer is given up; the checker has the tickets.
    let _all = submitter.submitting.acquire_many(SUBMITTING_MAX).await?;
    Ok(())
}

fn random(orders: &Orders) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&orders.seed.to_le_bytes());
    for (byte, of_name) in key[8..].iter_mut().zip(orders.name.bytes()) {
        *byte = of_name;
    }
    ChaCha8Rng::from_seed(key)
}

/// The random choices for one job.
struct Choice {
    number: u64,
    kind: JobKind,
    express: bool,
    open: bool,
    /// The client waits for its answer, or leaves it to the checker.
    waits: bool,
    pause: Duration,
}

impl Choice {
    fn draw(random: &mut ChaCha8Rng) -> Self {
        let mut below = |bound: u64| random.next_u64() % bound;
        let kind = match below(100) {
            0..60 => JobKind::Valid,
            60..70 => JobKind::Duplicate,
            70..80 => JobKind::Cancelled,
            80..88 => JobKind::Hurried,
            88..94 => JobKind::Invalid,
            _ => JobKind::Damaged,
        };
        Choice {
            number: below(1 << 32),
            kind,
            express: below(5) == 0,
            open: below(8) == 0,
            waits: below(3) > 0,
            pause: Duration::from_millis(below(1500)),
        }
    }

    fn options(&self) -> SubmitOptions {
        let hurry = Duration::from_secs(1 + self.number % 3);
        SubmitOptions {
            lane: if self.express { Lane::Express } else { Lane::Standard },
            answer: if self.open { AnswerMode::Open } else { AnswerMode::Sealed },
            lifetime: if self.kind == JobKind::Hurried { hurry } else { LIFETIME },
            patience: PATIENCE,
        }
    }

    /// A witness whose values are this job's own, so that no two jobs have the same answer.
    fn witness(&self) -> Vec<u8> {
        let mut witness: Value = serde_json::from_slice(&good_witness()).expect("the sample witness");
        let threshold = if self.kind == JobKind::Invalid { self.number + 1 } else { self.number / 2 };
        witness["value"] = json!(self.number.to_string());
        witness["threshold"] = json!(threshold.to_string());
        serde_json::to_vec(&witness).expect("a witness")
    }
}

struct Submitter {
    folder: PathBuf,
    /// Checks every witness before it submits it.
    careful: Client,
    /// Submits whatever it is given.
    blind: Client,
    /// For what neither of them would send.
    nats: async_nats::Client,
    journal: Mutex<Journal>,
    submitting: Semaphore,
}

impl Submitter {
    async fn new(orders: &Orders) -> Result<Self, Trouble> {
        let config = ClientConfig::read(&client_config(&orders.folder))?;
        let (careful, blind, nats) = loop {
            // A client that comes while the brokers are away waits for them.
            let careful = Client::connect(config.clone(), Circuits::built_in()).await;
            let blind = Client::connect(config.clone(), Circuits::new()).await;
            match (careful, blind, config.nats.connect("chaos").await) {
                (Ok(careful), Ok(blind), Ok(nats)) => break (careful, blind, nats),
                _ => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        };
        let journal = Journal::create(&journals(&orders.folder).join(&orders.name))?;
        Ok(Submitter {
            folder: orders.folder.clone(),
            careful,
            blind,
            nats,
            journal: Mutex::new(journal),
            submitting: Semaphore::new(SUBMITTING_MAX as usize),
        })
    }

    fn note(&self, job: &JobId, event: Event) -> Result<(), Trouble> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(journal.write(job.as_str(), event)?)
    }

    /// One job: submitted, and whatever its kind has to follow.
    async fn see_through(&self, choice: Choice) -> Result<(), Trouble> {
        let submitting = self.submitting.acquire().await?;
        let client = if choice.kind == JobKind::Invalid { &self.blind } else { &self.careful };
        let bundle = client.bundle().await?;
        let sealed = client.seal(&bundle, &THRESHOLD.parse()?, &choice.witness(), &choice.options())?;
        let job = sealed.ticket.job();
        sealed.ticket.write(&tickets(&self.folder).join(job.as_str()))?;
        self.note(job, Event::Submitting(choice.kind))?;
        let submitted = match choice.kind {
            JobKind::Damaged => self.publish_damaged(&sealed).await,
            _ => publish(client, &sealed).await,
        };
        if let Err(trouble) = submitted {
            return self.note(job, Event::GivenUp(trouble.to_string()));
        }
        self.note(job, Event::Accepted)?;
        drop(submitting);
        match choice.kind {
            JobKind::Cancelled => self.cancel(job, choice.pause).await?,
            JobKind::Duplicate => self.submit_again(&sealed, &choice).await?,
            _ => {}
        }
        if choice.waits { self.collect(&sealed).await } else { Ok(()) }
    }

    /// Publishes a message whose seal does not open, until the broker has it.
    async fn publish_damaged(&self, sealed: &SealedJob) -> Result<(), Trouble> {
        let mut payload = sealed.payload().to_vec();
        *payload.last_mut().ok_or("a sealed job is not empty")? ^= 1;
        let header = sealed.ticket.header();
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut headers = HeaderMap::new();
            for (name, value) in header.to_headers() {
                headers.insert(name, value);
            }
            let subject = Subjects::default().job(&header.subject);
            let reply = self.nats.request_with_headers(subject, headers, payload.clone().into()).await;
            let said = match reply {
                Ok(reply) => serde_json::from_slice::<Value>(&reply.payload).unwrap_or_default(),
                Err(error) => json!({ "error": { "description": error.to_string() } }),
            };
            // As the library has it: a job that is there already is accepted.
            if said["seq"].as_u64() > Some(0) || said["error"]["description"] == ONE_A_SUBJECT {
                return Ok(());
            }
            if tokio::time::Instant::now() > until {
                return Err(said.to_string().into());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn cancel(&self, job: &JobId, pause: Duration) -> Result<(), Trouble> {
        tokio::time::sleep(pause).await;
        let came = cancel(&self.careful, job).await;
        self.note(job, Event::Cancel(came))
    }

    /// Publishes the same message again, at once or after it was answered.
    async fn submit_again(&self, sealed: &SealedJob, choice: &Choice) -> Result<(), Trouble> {
        if choice.number.is_multiple_of(2) {
            self.collect(sealed).await?;
        }
        let _submitting = self.submitting.acquire().await?;
        let came = publish(&self.careful, sealed)
            .await
            .map_or_else(|trouble| trouble.to_string(), |()| "accepted".to_owned());
        self.note(sealed.ticket.job(), Event::Again(came))
    }

    async fn collect(&self, sealed: &SealedJob) -> Result<(), Trouble> {
        let waiting = self.careful.wait(&sealed.ticket, |_| {});
        let Ok(collected) = tokio::time::timeout(WAIT, waiting).await else { return Ok(()) };
        let (code, authentic) = match collected? {
            Collected::Answer(answer) => (answer.code().to_string(), true),
            Collected::Unauthenticated(Some(code)) => (code.to_string(), false),
            other => (format!("{other:?}"), false),
        };
        self.note(sealed.ticket.job(), Event::Collected { code, authentic })
    }
}

/// Publishes a sealed job until the broker has it.
async fn publish(client: &Client, sealed: &SealedJob) -> Result<(), Trouble> {
    Ok(client.publish(sealed, PATIENCE, |_, _| {}).await?)
}

/// Takes a job back, and says in words what came of it.
async fn cancel(client: &Client, job: &JobId) -> String {
    match client.cancel(job).await {
        Ok(came) => format!("{came:?}"),
        Err(error) => error.to_string(),
    }
}
