//! The sweeper: answers the jobs that deliveries have given up on, and those that outlived their deadline
//! in the queue. Every service has one; compare-and-set sees to it that they do not answer twice.
//!
//! It learns of a job that was given up from the broker's MAX_DELIVERIES advisory, which PROVE_ADVISORIES
//! keeps; where that was lost, from a job that lies behind everything that its consumer still has in
//! flight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{Info, pull};
use futures_util::StreamExt;
use serde::Deserialize;
use tracing::{debug, error, warn};

use super::Shared;
use super::leader::{self, Found, ReadError};
use super::settle::Queued;
use super::streams::{self, ADVISORIES_STREAM, SWEEPER, jobs_stream, tenant_of_jobs};
use crate::clock::unix_now;
use crate::job::{JobSubject, Lane, Tenant};
use crate::wire::{Code, H_EXPIRES, LIFETIME_SECONDS_MAX};

/// How long a sweeper rests.
const REST: Duration = Duration::from_secs(30);
/// How many advisories, and how many queued jobs, are looked at in one go.
const BATCH: usize = 2000;
/// Jobs that have waited for less are not looked at: most will be gone by themselves.
const YOUNG_SECONDS: u64 = 60;
/// How long after its deadline a job is left to whoever has it in work, who ends it at the deadline.
const LATE_SECONDS: u64 = 30;
/// How many jobs of a queue are remembered.
const WAITING_MAX: usize = 200_000;
/// How many jobs of a lane that seem to be at risk are looked at in one go.
const LOOKS_MAX: usize = 200;
/// How long asking for advisories may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Sweeps until the service ends.
pub(super) async fn serve(shared: Arc<Shared>) {
    let mut backlogs: BTreeMap<Tenant, Backlog> = BTreeMap::new();
    loop {
        heed_advisories(&shared).await;
        for tenant in shared.config.tenants.names() {
            let backlog = backlogs.entry(tenant.clone()).or_default();
            backlog.sweep(tenant, &shared).await;
        }
        for lane in Lane::ALL {
            let at_risk = backlogs.values().map(|backlog| backlog.at_risk(lane, unix_now()).count()).sum();
            shared.metrics.queues.at_risk(lane, at_risk);
        }
        tokio::time::sleep(REST).await;
    }
}

/// What the broker says when it gives a message up.
#[derive(Deserialize)]
struct MaxDeliveries {
    stream: String,
    stream_seq: u64,
}

/// Answers the jobs that advisories name. One that cannot be answered now comes again.
async fn heed_advisories(shared: &Shared) {
    let fetched = tokio::time::timeout(FETCH_TIMEOUT, advisories(shared)).await;
    for message in fetched.unwrap_or_default() {
        let done = match serde_json::from_slice::<MaxDeliveries>(&message.payload) {
            Ok(MaxDeliveries { stream, stream_seq }) => give_up(&stream, stream_seq, shared).await,
            Err(_) => true,
        };
        if done && message.ack().await.is_err() {
            debug!("an advisory could not be acknowledged and comes again");
        }
    }
}

/// Those that are there; none, where the broker cannot be asked.
async fn advisories(shared: &Shared) -> Vec<async_nats::jetstream::Message> {
    let Ok(stream) = shared.context.get_stream_no_info(ADVISORIES_STREAM).await else { return Vec::new() };
    let Ok(consumer) = stream.get_consumer::<pull::Config>(SWEEPER).await else { return Vec::new() };
    let Ok(batch) = consumer.fetch().max_messages(BATCH).messages().await else { return Vec::new() };
    batch.filter_map(|message| async { message.ok() }).collect().await
}

/// Answers a job that was delivered as often as it may be; says whether the advisory is dealt with.
async fn give_up(stream: &str, sequence: u64, shared: &Shared) -> bool {
    let Some(tenant) = tenant_of_jobs(stream).filter(|tenant| shared.config.tenants.contains(tenant)) else {
        return true;
    };
    match leader::at(&shared.client, stream, sequence).await {
        Ok(None) => true,
        Ok(Some(stored)) => answer(&tenant, &stored, Code::AttemptsExhausted, shared).await,
        Err(cause) => {
            warn!(%cause, "a job that was given up cannot be read yet");
            false
        }
    }
}

/// Answers a job in its queue; says whether it is known to be answered.
async fn answer(tenant: &Tenant, stored: &Found, code: Code, shared: &Shared) -> bool {
    let Some(subject) = job_of(tenant, stored, shared) else { return true };
    let job = subject.job.clone();
    let queued = Queued::of(subject, stored);
    match queued.answer(code, shared).await {
        Ok(found) => {
            // Somebody else may have answered it meanwhile.
            if found == code {
                shared.metrics.jobs.swept(code);
                warn!(%job, %code, "swept");
            }
            true
        }
        Err(cause) => {
            error!(%job, %cause, "a job that was given up has no answer yet");
            false
        }
    }
}

/// The job that a message names. One that names none cannot be answered, and is left to its delivery.
fn job_of(tenant: &Tenant, stored: &Found, shared: &Shared) -> Option<JobSubject> {
    let subject = shared.config.prefix.parse_job(&stored.subject).ok()?;
    (subject.tenant == *tenant).then_some(subject)
}

/// What is known of a tenant's queue: each job that waits is read once, and looked at again when its
/// deadline is over.
#[derive(Default)]
struct Backlog {
    /// Everything before this sequence number has been read.
    read_to: u64,
    /// Jobs that were there, by sequence number.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    lane: Lane,
    stored_at: u64,
    deadline: u64,
}

impl Waiting {
    /// Whether less than a quarter of its life is left.
    fn is_at_risk(&self, now: u64) -> bool {
        self.deadline.saturating_sub(now) < self.deadline.saturating_sub(self.stored_at) / 4
    }
}

impl Backlog {
    async fn sweep(&mut self, tenant: &Tenant, shared: &Shared) {
        // What the consumers had in flight is asked first: a job that is read afterwards, and lies behind
        // all that, was given up.
        let mut consumers = Vec::new();
        for lane in Lane::ALL {
            consumers.push((lane, streams::lane_info(&shared.context, tenant, lane).await));
        }
        if let Err(cause) = self.read_on(tenant, shared).await {
            debug!(%cause, "the queue cannot be read");
        }
        let gave_up = |lane, sequence| {
            let known = consumers.iter().find(|(of, _)| *of == lane);
            known.and_then(|(_, info)| info.as_ref()).is_some_and(|info| has_given_up(info, sequence))
        };
        let due = |waiting: &Waiting| waiting.deadline + LATE_SECONDS < unix_now();
        let doomed: Vec<(u64, Code)> = self
            .waiting
            .iter()
            .filter_map(|(sequence, waiting)| match waiting {
                waiting if due(waiting) => Some((*sequence, Code::Expired)),
                waiting if gave_up(waiting.lane, *sequence) => Some((*sequence, Code::AttemptsExhausted)),
                _ => None,
            })
            .collect();
        for (sequence, code) in doomed {
            self.end(tenant, sequence, code, shared).await;
        }
        self.forget_answered(tenant, shared).await;
    }

    /// The jobs of a lane that are likely to outlive themselves.
    fn at_risk(&self, lane: Lane, now: u64) -> impl Iterator<Item = u64> {
        let at_risk = self.waiting.iter().filter(move |(_, job)| job.lane == lane && job.is_at_risk(now));
        at_risk.map(|(sequence, _)| *sequence)
    }

    /// Forgets what is gone from the middle of the queue, of the first of those that seem to be at risk.
    async fn forget_answered(&mut self, tenant: &Tenant, shared: &Shared) {
        let (stream, now) = (jobs_stream(tenant), unix_now());
        let looked_at: Vec<u64> =
            Lane::ALL.iter().flat_map(|lane| self.at_risk(*lane, now).take(LOOKS_MAX)).collect();
        for sequence in looked_at {
            if matches!(leader::at(&shared.client, &stream, sequence).await, Ok(None)) {
                self.waiting.remove(&sequence);
            }
        }
    }

    /// Forgets the jobs that are gone from the queue's head, and reads those that came since, but for the
    /// young.
    async fn read_on(&mut self, tenant: &Tenant, shared: &Shared) -> Result<(), ReadError> {
        let stream = jobs_stream(tenant);
        let head =
            leader::first_from(&shared.client, &stream, ">", 0).await?.map_or(u64::MAX, |head| head.sequence);
        self.waiting = self.waiting.split_off(&head);
        for _ in 0..BATCH.min(WAITING_MAX - self.waiting.len()) {
            let Some(stored) = leader::first_from(&shared.client, &stream, ">", self.read_to).await? else {
                break;
            };
            if stored.stored_at_ms / 1000 + YOUNG_SECONDS > unix_now() {
                break;
            }
            self.read_to = stored.sequence + 1;
            if let Some(subject) = job_of(tenant, &stored, shared) {
                let (stored_at, deadline) = (stored.stored_at_ms / 1000, deadline(&stored));
                let waiting = Waiting { lane: subject.lane, stored_at, deadline };
                self.waiting.insert(stored.sequence, waiting);
            }
        }
        Ok(())
    }

    /// Answers a job that is still there, and forgets it.
    async fn end(&mut self, tenant: &Tenant, sequence: u64, code: Code, shared: &Shared) {
        let over = match leader::at(&shared.client, &jobs_stream(tenant), sequence).await {
            Ok(None) => true,
            Ok(Some(stored)) => answer(tenant, &stored, code, shared).await,
            Err(_) => false,
        };
        if over {
            self.waiting.remove(&sequence);
        }
    }
}

/// The deadline in a job's header; a day after it was stored, where that says nothing or later.
fn deadline(stored: &Found) -> u64 {
    let latest = stored.stored_at_ms / 1000 + LIFETIME_SECONDS_MAX;
    let said = stored.header(H_EXPIRES).and_then(|expires| expires.parse().ok());
    said.map_or(latest, |said: u64| said.min(latest))
}

/// Whether a message that is in the stream will never be delivered again: it lies behind everything that
/// the consumer has in flight.
fn has_given_up(consumer: &Info, sequence: u64) -> bool {
    let idle = consumer.num_ack_pending == 0 && sequence <= consumer.delivered.stream_sequence;
    idle || sequence <= consumer.ack_floor.stream_sequence
}
