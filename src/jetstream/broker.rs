//! The service's own connection: it reads from leaders, stores answers and states, and removes what is answered.
//!
//! Only the broker sends on it, never a publisher: no message of a submitter can interrupt the leases that are kept
//! here.

use std::sync::Arc;
use std::time::SystemTime;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap};
use serde::Deserialize;
use tracing::warn;

use super::advisories::{self, Advisory};
use super::answers::{self, Offer, Settled};
use super::lanes::{LaneState, Queue, lane_state};
use super::leader;
use super::message::{ReadError, StoredMessage};
use super::names::{STATUS_STREAM, answers_stream, jobs_stream};
use super::publish::{PublishError, publish};
use super::topology::{self, StreamsError};
use crate::config::ServiceConfig;
use crate::metrics::Metrics;
use crate::protocol::{JobId, JobSubject, Lane, Status, Subjects, Tenant, TraceParent};

/// A handle to the broker, for everything that is decided by its state.
#[derive(Clone)]
pub(crate) struct Broker {
    client: Client,
    context: Context,
    subjects: Subjects,
    metrics: Arc<Metrics>,
}

impl Broker {
    pub(crate) fn new(client: Client, subjects: Subjects, metrics: Arc<Metrics>) -> Self {
        Broker { context: jetstream::new(client.clone()), client, subjects, metrics }
    }

    /// Returns the connection.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the subjects of the deployment.
    pub(crate) fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Returns the metrics in which failed requests are counted.
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Finds a job's answer.
    pub(crate) async fn find_answer(
        &self,
        tenant: &Tenant,
        job: &JobId,
    ) -> Result<Option<Settled>, ReadError> {
        answers::find(&self.client, &self.subjects, tenant, job).await
    }

    /// Stores a job's answer where it has none, else returns the one that it has.
    pub(crate) async fn store_answer(
        &self,
        job: &JobSubject,
        offer: &Offer,
        trace: Option<&TraceParent>,
    ) -> Result<Settled, PublishError> {
        answers::store(&self.client, &self.subjects, job, offer, trace).await
    }

    /// Reads the last known state of a job; `None` where there is none of this protocol.
    pub(crate) async fn status(&self, tenant: &Tenant, job: &JobId) -> Result<Option<Status>, ReadError> {
        let stored = leader::last_on(&self.client, STATUS_STREAM, &self.subjects.status(tenant, job)).await?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.payload).ok()))
    }

    /// Stores the state of a job.
    pub(crate) async fn publish_status(&self, status: &Status) -> Result<(), PublishError> {
        // Cannot panic: a struct of numbers and strings.
        let payload = serde_json::to_vec(status).expect("a status serialises");
        let subject = self.subjects.status(&status.tenant, &status.job);
        // Without compare-and-set: of two services the last writer wins. At worst a crash is not counted, and the job
        // is tried once more.
        publish(&self.client, subject, HeaderMap::new(), payload).await
    }

    /// Reads a job from its queue, whichever its lane and circuit.
    pub(crate) async fn queued_job(
        &self,
        tenant: &Tenant,
        job: &JobId,
    ) -> Result<Option<StoredMessage>, ReadError> {
        let subject = self.subjects.job_anywhere(tenant, job);
        leader::last_on(&self.client, &jobs_stream(tenant), &subject).await
    }

    /// Reads the queued message with this sequence number.
    pub(crate) async fn queued_at(
        &self,
        tenant: &Tenant,
        sequence: u64,
    ) -> Result<Option<StoredMessage>, ReadError> {
        leader::at(&self.client, &jobs_stream(tenant), sequence).await
    }

    /// Reads the first queued message at or after this sequence number, in whichever lane.
    pub(crate) async fn queued_from(
        &self,
        tenant: &Tenant,
        sequence: u64,
    ) -> Result<Option<StoredMessage>, ReadError> {
        leader::first_from(&self.client, &jobs_stream(tenant), ">", sequence).await
    }

    /// Reads the first queued message of a lane at or after this sequence number.
    pub(crate) async fn queued_in_lane_from(
        &self,
        tenant: &Tenant,
        lane: Lane,
        sequence: u64,
    ) -> Result<Option<StoredMessage>, ReadError> {
        let subject = self.subjects.lane(tenant, lane);
        leader::first_from(&self.client, &jobs_stream(tenant), &subject, sequence).await
    }

    /// Overwrites an answered job in the broker's store, which also removes it. Where that fails, a delivery finds
    /// the answer and acknowledges.
    ///
    /// # Panics
    /// When `settled` is the evidence of another job.
    pub(crate) async fn erase(&self, job: &JobSubject, sequence: u64, settled: &Settled) {
        assert!(settled.is_of(job), "evidence of another job's answer");
        self.erase_message(&job.tenant, sequence).await;
    }

    /// Overwrites a queued message that names no job, so that no one can be answered.
    pub(crate) async fn erase_unnamed(&self, tenant: &Tenant, sequence: u64) {
        self.erase_message(tenant, sequence).await;
    }

    async fn erase_message(&self, tenant: &Tenant, sequence: u64) {
        let stream = self.context.get_stream_no_info(jobs_stream(tenant)).await;
        // Deleting overwrites the bytes on disk. An acknowledgement would remove the message and leave them there.
        if let Ok(stream) = stream
            && stream.delete_message(sequence).await.is_err()
        {
            warn!(%tenant, sequence, "a message could not be erased from its queue");
        }
    }

    /// Asks for the state of a lane; returns `None` where the broker cannot be asked.
    pub(crate) async fn lane_state(&self, tenant: &Tenant, lane: Lane) -> Option<LaneState> {
        lane_state(&self.context, tenant, lane).await
    }

    /// Creates a queue's consumer again where the broker says that it is gone; returns whether it did.
    pub(crate) async fn restore_consumer(
        &self,
        config: &ServiceConfig,
        queue: &Queue,
    ) -> Result<bool, StreamsError> {
        topology::restore_consumer(&self.context, config, &queue.tenant, queue.lane).await
    }

    /// Compares streams and consumers with what the configuration needs.
    pub(crate) async fn check_streams(
        &self,
        config: &ServiceConfig,
    ) -> Result<Vec<topology::Difference>, StreamsError> {
        topology::check(&self.context, config).await
    }

    /// Returns the used fraction of a tenant's answer stream, from 0 to 1; `None` where it cannot be asked.
    pub(crate) async fn answers_filled(&self, tenant: &Tenant) -> Option<f64> {
        let stream = self.context.get_stream(answers_stream(tenant)).await.ok()?;
        Some(topology::filled(stream.cached_info()))
    }

    /// Fetches up to `most` advisories of given-up jobs.
    pub(crate) async fn advisories(&self, most: usize) -> Vec<Advisory> {
        advisories::fetch(&self.context, most).await
    }

    /// Returns how many seconds this clock is ahead of the broker's.
    pub(crate) async fn clock_offset(&self) -> Option<f64> {
        clock_offset(&self.client).await
    }
}

/// Returns how many seconds this clock is ahead of the broker's, which stands in every reply of its API; `None`
/// where it does not answer.
pub(crate) async fn clock_offset(client: &Client) -> Option<f64> {
    #[derive(Deserialize)]
    struct Clock {
        ts: String,
    }
    // Any request of the API would do; every deployment has this stream, and a service may ask about it. The time of
    // the reply's way back counts as an offset, which is little beside the minute that is allowed.
    let reply = client.request(format!("$JS.API.STREAM.INFO.{STATUS_STREAM}"), "".into()).await.ok()?;
    let clock: Clock = serde_json::from_slice(&reply.payload).ok()?;
    let theirs = humantime::parse_rfc3339(&clock.ts).ok()?;
    Some(match SystemTime::now().duration_since(theirs) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    })
}
