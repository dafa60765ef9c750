//! The sweeper: it answers the jobs that deliveries have given up on, and those that outlived their deadline in the
//! queue. Every service has one; compare-and-set keeps them from answering twice.
//!
//! It learns of a given-up job from the broker's MAX_DELIVERIES advisory. If that was lost, the job is found because it
//! lies behind everything that its consumer still has in flight. The sweeper takes no delivery and holds no lease.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{debug, error, warn};

use crate::config::Tenants;
use crate::jetstream::{LaneState, ReadError, StoredMessage};
use crate::protocol::{Code, H_EXPIRES, JOB_LIFETIME_MAX, JobSubject, Lane, Tenant, UnixSeconds};
use crate::service::job::{QueuedJob, Settler};

/// Rest between two sweeps.
const REST: Duration = Duration::from_secs(30);
/// Limit of advisories, and of queued jobs, that one sweep looks at.
const BATCH: usize = 2000;
/// Age of a job below which it is not looked at: most young jobs are taken soon.
const YOUNG: Duration = Duration::from_secs(60);
/// Time after its deadline for which a job is left to the service that has it in work.
const LATE: Duration = Duration::from_secs(30);
/// Limit of remembered jobs of a tenant.
const WAITING_MAX: usize = 200_000;
/// Limit of jobs of a lane, likely to miss their deadlines, that one sweep reads again.
const READS_MAX: usize = 200;
/// Time limit for fetching advisories.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Sweeps until the service ends.
pub(crate) async fn sweep(settler: Settler, tenants: Tenants) {
    let mut backlogs: BTreeMap<Tenant, Backlog> = BTreeMap::new();
    loop {
        answer_given_up(&settler, &tenants).await;
        for tenant in tenants.names() {
            backlogs.entry(tenant.clone()).or_default().sweep(tenant, &settler).await;
        }
        for lane in Lane::ALL {
            let at_risk =
                backlogs.values().map(|backlog| backlog.at_risk(lane, UnixSeconds::now()).count()).sum();
            settler.ledger.metrics.queues.at_risk(lane, at_risk);
        }
        tokio::time::sleep(REST).await;
    }
}

/// Answers the jobs that advisories name. An advisory whose job cannot be answered now comes again.
async fn answer_given_up(settler: &Settler, tenants: &Tenants) {
    let advisories = tokio::time::timeout(FETCH_TIMEOUT, settler.broker.advisories(BATCH)).await;
    for advisory in advisories.unwrap_or_default() {
        let is_done = match &advisory.given_up {
            Some((tenant, sequence)) if tenants.contains(tenant) => give_up(tenant, *sequence, settler).await,
            // It names no job stream, or that of a removed tenant, whose streams the operator deletes.
            _ => true,
        };
        if is_done && !advisory.ack().await {
            debug!("an advisory could not be acknowledged and comes again");
        }
    }
}

/// Answers a job that was delivered as often as it may be; returns whether the advisory can be acknowledged.
async fn give_up(tenant: &Tenant, sequence: u64, settler: &Settler) -> bool {
    match settler.broker.queued_at(tenant, sequence).await {
        // It is gone, so it has its answer: a slow service still had the last delivery.
        Ok(None) => true,
        Ok(Some(message)) => answer(tenant, &message, Code::AttemptsExhausted, settler).await,
        Err(cause) => {
            warn!(%cause, "a given-up job cannot be read yet");
            false
        }
    }
}

/// Answers a job in its queue; returns whether it is known to be answered.
async fn answer(tenant: &Tenant, message: &StoredMessage, code: Code, settler: &Settler) -> bool {
    let Some(subject) = job_subject(tenant, message, settler) else { return true };
    let job = subject.job.clone();
    match settler.answer_queued(&QueuedJob::new(subject, message), code).await {
        Ok(found) => {
            // Another service may have answered it meanwhile.
            if found == code {
                settler.ledger.metrics.jobs.swept(code);
                warn!(%job, %code, "swept");
            }
            true
        }
        Err(cause) => {
            error!(%job, %cause, "a given-up job has no answer yet");
            false
        }
    }
}

/// Returns the job that a message names. A message that names none cannot be answered, and is left to its delivery.
fn job_subject(tenant: &Tenant, message: &StoredMessage, settler: &Settler) -> Option<JobSubject> {
    let subject = settler.broker.subjects().parse_job(&message.subject).ok()?;
    // A stream of one tenant cannot hold another's subjects, unless an operator has changed it.
    (subject.tenant == *tenant).then_some(subject)
}

/// A tenant's queue as far as it is known: each waiting job is read once, and again when its deadline has passed.
#[derive(Default)]
struct Backlog {
    /// Sequence number before which everything has been read.
    read_to: u64,
    /// Waiting jobs, by sequence number.
    waiting: BTreeMap<u64, WaitingJob>,
}

struct WaitingJob {
    lane: Lane,
    stored_at: UnixSeconds,
    deadline: UnixSeconds,
}

impl WaitingJob {
    /// Returns whether less than a quarter of its life is left.
    fn is_at_risk(&self, now: UnixSeconds) -> bool {
        self.deadline.since(now) < self.deadline.since(self.stored_at) / 4
    }
}

impl Backlog {
    async fn sweep(&mut self, tenant: &Tenant, settler: &Settler) {
        // The consumers are asked before the queue is read. A job that is still in the queue afterwards, and lies
        // behind all that they had in flight, was given up. In the other order it could have been delivered in
        // between.
        let mut lanes = Vec::new();
        for lane in Lane::ALL {
            lanes.push((lane, settler.broker.lane_state(tenant, lane).await));
        }
        if let Err(cause) = self.read_on(tenant, settler).await {
            debug!(%cause, "the queue cannot be read");
        }
        for (sequence, code) in self.doomed(&lanes) {
            self.end(tenant, sequence, code, settler).await;
        }
        self.forget_answered(tenant, settler).await;
    }

    /// Returns the jobs that no service will answer any more, each with the code that is its answer.
    fn doomed(&self, lanes: &[(Lane, Option<LaneState>)]) -> Vec<(u64, Code)> {
        let mut doomed = Vec::new();
        for (sequence, job) in &self.waiting {
            let lane = lanes.iter().find(|(lane, _)| *lane == job.lane);
            // A consumer that could not be asked has given up nothing, as far as is known.
            let state = lane.and_then(|(_, state)| state.as_ref());
            if job.deadline + LATE < UnixSeconds::now() {
                doomed.push((*sequence, Code::Expired));
            } else if state.is_some_and(|state| state.has_given_up(*sequence)) {
                doomed.push((*sequence, Code::AttemptsExhausted));
            }
        }
        doomed
    }

    /// Returns the jobs of a lane that are likely to miss their deadlines.
    fn at_risk(&self, lane: Lane, now: UnixSeconds) -> impl Iterator<Item = u64> {
        let at_risk = self.waiting.iter().filter(move |(_, job)| job.lane == lane && job.is_at_risk(now));
        at_risk.map(|(sequence, _)| *sequence)
    }

    /// Forgets jobs that are gone from the middle of the queue, among the first of those at risk.
    async fn forget_answered(&mut self, tenant: &Tenant, settler: &Settler) {
        // Reading every waiting job again would cost the broker more than the jobs themselves. These are counted in a
        // metric that an alert depends on.
        let now = UnixSeconds::now();
        let read_again: Vec<u64> =
            Lane::ALL.iter().flat_map(|lane| self.at_risk(*lane, now).take(READS_MAX)).collect();
        for sequence in read_again {
            if matches!(settler.broker.queued_at(tenant, sequence).await, Ok(None)) {
                self.waiting.remove(&sequence);
            }
        }
    }

    /// Forgets the jobs that are gone from the queue's head, and reads those that came since, except young ones.
    async fn read_on(&mut self, tenant: &Tenant, settler: &Settler) -> Result<(), ReadError> {
        let head = settler.broker.queued_from(tenant, 0).await?.map_or(u64::MAX, |head| head.sequence);
        self.waiting = self.waiting.split_off(&head);
        for _ in 0..BATCH.min(WAITING_MAX - self.waiting.len()) {
            let Some(message) = settler.broker.queued_from(tenant, self.read_to).await? else { break };
            // The queue is in the order of arrival, so all that follow are younger.
            if message.stored_at.to_seconds() + YOUNG > UnixSeconds::now() {
                break;
            }
            self.read_to = message.sequence + 1;
            if let Some(subject) = job_subject(tenant, &message, settler) {
                let (stored_at, deadline) = (message.stored_at.to_seconds(), deadline(&message));
                self.waiting.insert(message.sequence, WaitingJob { lane: subject.lane, stored_at, deadline });
            }
        }
        Ok(())
    }

    /// Answers a job that is still there, and forgets it.
    async fn end(&mut self, tenant: &Tenant, sequence: u64, code: Code, settler: &Settler) {
        // Read again, since what is remembered of it may be old: a job that is gone has its answer.
        let is_over = match settler.broker.queued_at(tenant, sequence).await {
            Ok(None) => true,
            Ok(Some(message)) => answer(tenant, &message, code, settler).await,
            Err(_) => false,
        };
        if is_over {
            self.waiting.remove(&sequence);
        }
    }
}

/// Returns the deadline in a job's header, but at most a day after it was stored.
fn deadline(message: &StoredMessage) -> UnixSeconds {
    // The header may name any time, or none. Admission refuses such a job, but only when it is delivered.
    let latest = message.stored_at.to_seconds() + JOB_LIFETIME_MAX;
    let stated = message.header(H_EXPIRES).and_then(|expires| expires.parse().ok());
    stated.map_or(latest, |stated| UnixSeconds(stated).min(latest))
}
