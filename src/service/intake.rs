//! Taking jobs from the broker: one message for each free slot, never more.
//!
//! Whose turn it is, [`share`](super::share) says; where there is a job, [`look`]. One that comes on another
//! queue when no slot is free goes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::delivery::Delivery;
use super::line::Line;
use super::look;
use super::pull::{self, PullError, Pulls, Queue};
use super::share::{Share, Turn};
use super::{Shared, Stopping, lease, lifecycle, streams, unreadable};
use crate::broker::Backoff;
use crate::job::{Lane, Tenant};
use crate::metrics::BrokerEvent;

/// The first and the longest wait after a pull that came to nothing.
const PULL_WAIT: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(2)];
/// How often a job is passed on at once by services that have no slot for it; after that, no request of theirs
/// waits any more by the time it comes again.
const PASSED_ON_MAX: u32 = 3;
/// How long looking after a missing consumer may take.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes one job for each free slot, until the service is to stop.
pub(super) async fn take_jobs(shared: &Arc<Shared>, jobs: &mut JoinSet<()>, stopping: &Stopping) {
    let mut intake = tokio::select! {
        line = Line::dial(shared) => Intake::new(line, shared.clone()),
        () = stopping.wait() => return,
    };
    let slots = Arc::new(Semaphore::new(shared.config.service.slots));
    while !stopping.has_come() {
        let taken = tokio::select! {
            taken = intake.take(&slots) => taken,
            () = stopping.wait() => break,
        };
        match taken {
            Ok((slot, of_tenant, delivery)) => {
                intake.waits = Backoff::new(PULL_WAIT);
                shared.readiness.pulls(true);
                shared.metrics.slot_taken();
                let shared = shared.clone();
                jobs.spawn(async move {
                    lifecycle::see_through(delivery, &shared).await;
                    shared.metrics.slot_freed();
                    drop((of_tenant, slot));
                });
            }
            Err(cause) => {
                shared.metrics.broker(BrokerEvent::RequestFailed);
                shared.readiness.pulls(false);
                warn!(%cause, "no jobs for the moment");
                tokio::select! {
                    () = intake.recover(&cause) => {}
                    () = stopping.wait() => break,
                }
            }
        }
        while jobs.try_join_next().is_some() {}
    }
    jobs.spawn(intake.end());
}

/// What jobs are taken with.
struct Intake {
    shared: Arc<Shared>,
    line: Line,
    pulls: Pulls,
    share: Arc<Mutex<Share>>,
    /// A tenant that had in flight what it may has room for one more.
    has_place: Arc<Notify>,
    waits: Backoff,
}

/// The slot time of a job, which is its tenant's until this is dropped.
struct SlotTime {
    share: Arc<Mutex<Share>>,
    has_place: Arc<Notify>,
    tenant: Tenant,
    turn: Turn,
}

impl Drop for SlotTime {
    fn drop(&mut self) {
        let mut share = locked(&self.share);
        let had_place = share.has_place(&self.tenant);
        share.ended(&self.tenant, self.turn, Instant::now());
        if !had_place {
            self.has_place.notify_one();
        }
    }
}

/// A share is whole after every call, whoever panicked.
fn locked(share: &Mutex<Share>) -> std::sync::MutexGuard<'_, Share> {
    share.lock().unwrap_or_else(PoisonError::into_inner)
}

type Taken = (OwnedSemaphorePermit, SlotTime, Delivery);

impl Intake {
    fn new(line: Line, shared: Arc<Shared>) -> Self {
        let share = Share::among(&shared.config.tenants, shared.config.service.standard_turn);
        Intake {
            pulls: Pulls::on(line.client.clone()),
            shared,
            line,
            share: Arc::new(Mutex::new(share)),
            has_place: Arc::default(),
            waits: Backoff::new(PULL_WAIT),
        }
    }

    /// The next job, with the slot that it gets; waits for both.
    async fn take(&mut self, slots: &Arc<Semaphore>) -> Result<Taken, PullError> {
        let slot = loop {
            tokio::select! {
                slot = free_slot(&self.shared, slots) => break slot,
                early = self.pulls.next_delivery() => give_back(&early, rest_of(&early), &self.shared).await,
            }
        };
        loop {
            let (Queue { tenant, .. }, delivery) = self.next().await?;
            if let Some(of_tenant) = self.begin(tenant) {
                return Ok((slot, of_tenant, delivery));
            }
            // Requests waited in both lanes of a tenant that may have one job more.
            give_back(&delivery, rest_of(&delivery), &self.shared).await;
        }
    }

    /// Begins the slot time of a job, where its tenant may have one more.
    fn begin(&self, tenant: Tenant) -> Option<SlotTime> {
        let mut share = locked(&self.share);
        let turn = share.has_place(&tenant).then(|| share.started(&tenant, Instant::now()))?;
        Some(SlotTime { share: self.share.clone(), has_place: self.has_place.clone(), tenant, turn })
    }

    /// The next job; waits until there is one.
    async fn next(&mut self) -> Result<(Queue, Delivery), PullError> {
        loop {
            let queues = self.queues();
            let found = tokio::select! {
                found = look::find(&mut self.pulls, &queues, &self.shared) => found?,
                // Nothing is lost by looking anew: what requests bring stays with them until it is taken.
                () = self.has_place.notified() => continue,
                () = self.line.broken() => return Err(PullError::Broken("interrupted".to_owned())),
            };
            self.shared.readiness.pulls(true);
            self.tell_idle(&queues);
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// Tenants in whose queues nothing was found save up nothing.
    fn tell_idle(&self, queues: &[Queue]) {
        let is_empty = |queue: &Queue| self.pulls.is_empty(queue, Duration::MAX);
        let mut share = locked(&self.share);
        for lanes in queues.chunks(Lane::ALL.len()).filter(|lanes| lanes.iter().all(is_empty)) {
            share.found_idle(&lanes[0].tenant, Instant::now());
        }
    }

    /// The queues of all tenants that may be served, two a tenant, in the order in which they are asked.
    fn queues(&self) -> Vec<Queue> {
        let mut share = locked(&self.share);
        let order = share.order(Instant::now(), |tenant| self.shared.room.has(tenant));
        let of_tenant = |tenant: Tenant| {
            let lanes = share.lanes(&tenant);
            lanes.map(|lane| Queue { tenant: tenant.clone(), lane })
        };
        order.into_iter().flat_map(of_tenant).collect()
    }

    /// After a pull that came to nothing. Where the connection broke, a job may have broken it.
    async fn recover(&mut self, cause: &PullError) {
        match cause {
            PullError::Broken(_) => {
                unreadable::answer_all(&self.shared).await;
                self.line = Line::dial(&self.shared).await;
                self.pulls = Pulls::on(self.line.client.clone());
            }
            PullError::Refused { queue, .. } => {
                self.waits.pause().await;
                restore(queue, &self.shared).await;
            }
        }
    }

    /// Gives back at once whatever the requests bring that still wait.
    async fn end(mut self) {
        while let Some(pulled) = self.pulls.next().await {
            if let Ok(Some((_, delivery))) = pulled {
                give_back(&delivery, Duration::ZERO, &self.shared).await;
            }
        }
    }
}

/// A slot, once there is a chamber for it.
async fn free_slot(shared: &Shared, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    shared.chambers.ready().await;
    // Cannot panic: the semaphore is never closed.
    slots.clone().acquire_owned().await.expect("slots are open")
}

/// How long a delivery rests that there is no slot for. It comes again at once, here for the next slot or to a
/// service that has one; but not so often that services which were idle a moment ago use up its deliveries.
fn rest_of(delivery: &Delivery) -> Duration {
    if delivery.delivered <= PASSED_ON_MAX { Duration::ZERO } else { pull::EXPIRES }
}

/// Hands a delivery back that there is no slot for.
async fn give_back(delivery: &Delivery, delay: Duration, shared: &Shared) {
    shared.metrics.handed_back();
    debug!("a delivery that there is no slot for goes back");
    if !lease::give_back(&shared.client, delivery.reply(), delay).await {
        warn!("a delivery could not be handed back; its lease will run out");
    }
}

/// Makes a queue's consumer again, if it has gone missing.
async fn restore(queue: &Queue, shared: &Shared) {
    let restored = streams::restore_consumer(&shared.context, &shared.config, &queue.tenant, queue.lane);
    match tokio::time::timeout(RESTORE_TIMEOUT, restored).await {
        Ok(Ok(true)) => {
            shared.metrics.broker(BrokerEvent::ConsumerRestored);
            warn!(%queue, "its consumer was gone and is made again");
        }
        // The broker is away or elects a leader: the next pull will tell.
        Ok(Ok(false)) | Err(_) => {}
        Ok(Err(cause)) => warn!(%queue, %cause, "its consumer cannot be looked after"),
    }
}
