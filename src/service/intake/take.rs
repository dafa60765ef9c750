//! Taking jobs: a free slot, the next delivery, and a task that sees it through.
//!
//! The slot comes before the delivery, whose lease runs from the moment at which the broker sends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::fair_queue::{FairQueue, Ticket};
use super::poison;
use super::poll::Poll;
use crate::backoff::{Backoff, Waits};
use crate::config::ServiceConfig;
use crate::jetstream::{Delivery, PULL_EXPIRES, PullError, Pulls, Queue};
use crate::metrics::BrokerEvent;
use crate::protocol::{Lane, Tenant};
use crate::service::connection::Connection;
use crate::service::job::Worker;
use crate::service::status::Readiness;
use crate::service::stop::Stop;

/// Waits after a pull that failed.
const PULL_WAITS: Waits = Waits::between(Duration::from_millis(250), Duration::from_secs(2));
/// Deliveries of a job that are passed on at once, by services that have no slot for it.
const PASSED_ON_MAX: u32 = 3;
/// Time limit for restoring a missing consumer.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes jobs for the free slots of a service.
pub(crate) struct Intake {
    config: Arc<ServiceConfig>,
    worker: Arc<Worker>,
    readiness: Arc<Readiness>,
    slots: Arc<Semaphore>,
    connection: Connection,
    pulls: Pulls,
    fair_queue: Arc<Mutex<FairQueue>>,
    /// Notified when a tenant that was at its in-flight limit has room for one more.
    has_room: Arc<Notify>,
    waits: Backoff,
}

/// A slot taken by a tenant's job. Dropping it frees the slot and charges its time to the tenant.
struct TakenSlot {
    _permit: OwnedSemaphorePermit,
    fair_queue: Arc<Mutex<FairQueue>>,
    has_room: Arc<Notify>,
    tenant: Tenant,
    ticket: Ticket,
}

impl Drop for TakenSlot {
    fn drop(&mut self) {
        let mut fair_queue = self.fair_queue.lock();
        let had_room = fair_queue.has_room(&self.tenant);
        fair_queue.ended(&self.tenant, self.ticket, Instant::now());
        // Intake may be waiting at the other queues for seconds. Only a tenant at its limit was left out there.
        if !had_room {
            self.has_room.notify_one();
        }
    }
}

impl Intake {
    /// Connects, however long it takes.
    pub(crate) async fn connect(
        config: Arc<ServiceConfig>,
        worker: Arc<Worker>,
        readiness: Arc<Readiness>,
    ) -> Self {
        let connection = Connection::connect(&config, &worker.settler.ledger.metrics).await;
        let fair_queue = FairQueue::new(&config.tenants, config.service.standard_turn);
        Intake {
            slots: Arc::new(Semaphore::new(config.service.slots)),
            pulls: Pulls::new(connection.client.clone(), worker.settler.broker.clone()),
            fair_queue: Arc::new(Mutex::new(fair_queue)),
            has_room: Arc::default(),
            waits: PULL_WAITS.start(),
            config,
            worker,
            readiness,
            connection,
        }
    }

    /// Takes one job for each free slot until the service is to stop.
    pub(crate) async fn take_jobs(mut self, jobs: &mut JoinSet<()>, stop: &Stop) {
        while !stop.is_ordered() {
            let taken = tokio::select! {
                taken = self.take() => taken,
                () = stop.ordered() => break,
            };
            match taken {
                Ok((slot, delivery)) => {
                    self.waits = PULL_WAITS.start();
                    self.readiness.set_pulls(true);
                    jobs.spawn(see_through(self.worker.clone(), slot, delivery));
                }
                Err(cause) => {
                    self.worker.settler.ledger.metrics.broker.event(BrokerEvent::RequestFailed);
                    self.readiness.set_pulls(false);
                    warn!(%cause, "no jobs can be pulled at the moment");
                    tokio::select! {
                        () = self.recover(&cause) => {}
                        () = stop.ordered() => break,
                    }
                }
            }
            // The set keeps a task that has ended until it is joined.
            while jobs.try_join_next().is_some() {}
        }
        // With the jobs, so that stopping waits for it: requests that wait at the broker may still bring some.
        jobs.spawn(self.end());
    }

    /// Returns the next job with the slot that it gets; waits for both.
    async fn take(&mut self) -> Result<(TakenSlot, Delivery), PullError> {
        let mut permit = loop {
            tokio::select! {
                permit = free_slot(&self.worker, &self.slots) => break permit,
                // Requests that were sent while a slot was free. Left alone, what they bring would wait for `ack_wait`.
                early = self.pulls.next_delivery() => self.pass_on(early).await,
            }
        };
        loop {
            let (Queue { tenant, .. }, delivery) = self.next().await?;
            match self.begin(tenant, permit) {
                Ok(slot) => return Ok((slot, delivery)),
                // Requests waited in both lanes of a tenant that may have one more job.
                Err(unused) => permit = unused,
            }
            self.pass_on(delivery).await;
        }
    }

    /// Begins the slot time of a tenant's job, or returns the permit where it may have no more jobs.
    fn begin(&self, tenant: Tenant, permit: OwnedSemaphorePermit) -> Result<TakenSlot, OwnedSemaphorePermit> {
        // Asked and taken under one lock: a slot may be freed, and another be taken, at any moment.
        let mut fair_queue = self.fair_queue.lock();
        if !fair_queue.has_room(&tenant) {
            return Err(permit);
        }
        let ticket = fair_queue.started(&tenant, Instant::now());
        Ok(TakenSlot {
            _permit: permit,
            fair_queue: self.fair_queue.clone(),
            has_room: self.has_room.clone(),
            tenant,
            ticket,
        })
    }

    /// Returns the next job; waits until there is one.
    async fn next(&mut self) -> Result<(Queue, Delivery), PullError> {
        loop {
            let queues = self.queues();
            let mut poll = Poll {
                pulls: &mut self.pulls,
                broker: &self.worker.settler.broker,
                tenants: &self.config.tenants,
            };
            let found = tokio::select! {
                found = poll.next_delivery(&queues) => found?,
                // Nothing is lost by polling again: what requests bring stays with them until it is taken.
                () = self.has_room.notified() => continue,
                () = self.connection.closed() => return Err(PullError::Closed("interrupted".to_owned())),
            };
            self.readiness.set_pulls(true);
            self.mark_idle(&queues);
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// Marks tenants as idle whose queues are empty: they accrue no credit.
    fn mark_idle(&self, queues: &[Queue]) {
        let mut fair_queue = self.fair_queue.lock();
        for lanes in queues.chunks(Lane::ALL.len()) {
            if lanes.iter().all(|queue| self.pulls.is_empty(queue, Duration::MAX)) {
                fair_queue.mark_idle(&lanes[0].tenant, Instant::now());
            }
        }
    }

    /// Returns the queues of all tenants that may be served, two for each tenant, in the order of polling.
    fn queues(&self) -> Vec<Queue> {
        let mut fair_queue = self.fair_queue.lock();
        let capacity = &self.worker.settler.capacity;
        let mut queues = Vec::new();
        for tenant in fair_queue.order(Instant::now(), |tenant| capacity.accepts(tenant)) {
            let lanes = fair_queue.lanes(&tenant);
            queues.extend(lanes.map(|lane| Queue { tenant: tenant.clone(), lane }));
        }
        queues
    }

    /// Recovers after a pull that failed. A job may have broken the connection.
    async fn recover(&mut self, cause: &PullError) {
        match cause {
            PullError::Closed(_) => {
                // Before the next pull, which would receive the same message and lose its connection as well.
                poison::answer_all(&self.worker.settler, &self.config.tenants).await;
                self.connection =
                    Connection::connect(&self.config, &self.worker.settler.ledger.metrics).await;
                self.pulls = Pulls::new(self.connection.client.clone(), self.worker.settler.broker.clone());
            }
            PullError::Refused { queue, .. } => {
                // An election ends by itself. A consumer that is missing has to be created again.
                self.waits.pause().await;
                self.restore_consumer(queue).await;
            }
        }
    }

    /// Hands back at once whatever the waiting requests still bring.
    async fn end(mut self) {
        while let Some(pulled) = self.pulls.next().await {
            if let Ok(Some((_, delivery))) = pulled {
                hand_back(delivery, Duration::ZERO, &self.worker).await;
            }
        }
    }

    /// Passes on a delivery that there is no slot for.
    async fn pass_on(&self, delivery: Delivery) {
        // At once, so that a service with a slot gets it; but several services that were idle a moment ago would pass
        // it to each other and use up its deliveries. After the delay, none of their requests waits any more.
        let delay = if delivery.delivered() <= PASSED_ON_MAX { Duration::ZERO } else { PULL_EXPIRES };
        hand_back(delivery, delay, &self.worker).await;
    }

    /// Creates a queue's consumer again, if it is missing.
    async fn restore_consumer(&self, queue: &Queue) {
        let restored = self.worker.settler.broker.restore_consumer(&self.config, queue);
        match tokio::time::timeout(RESTORE_TIMEOUT, restored).await {
            Ok(Ok(true)) => {
                self.worker.settler.ledger.metrics.broker.event(BrokerEvent::ConsumerRestored);
                warn!(%queue, "the consumer was missing and is created again");
            }
            // The broker is away or elects a leader: the next pull will tell.
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(cause)) => warn!(%queue, %cause, "the consumer cannot be checked"),
        }
    }
}

async fn see_through(worker: Arc<Worker>, slot: TakenSlot, delivery: Delivery) {
    worker.settler.ledger.metrics.processes.slot_taken();
    worker.see_through(delivery).await;
    worker.settler.ledger.metrics.processes.slot_freed();
    drop(slot);
}

/// Waits for a free slot and a chamber that can use it.
async fn free_slot(worker: &Worker, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    // A job that is taken without a chamber can only be handed back, which costs one of its deliveries.
    worker.settler.prover.chamber.ready().await;
    // Cannot panic: the semaphore is never closed.
    slots.clone().acquire_owned().await.expect("slots are open")
}

/// Hands back a delivery that there is no slot for.
async fn hand_back(delivery: Delivery, delay: Duration, worker: &Worker) {
    worker.settler.ledger.metrics.jobs.handed_back();
    debug!("a delivery without a slot is handed back");
    if !delivery.nak(delay).await {
        warn!("a delivery could not be handed back; it is delivered again when its lease runs out");
    }
}
