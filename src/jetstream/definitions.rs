//! The streams and consumers of a deployment, each setting with its reason.
//!
//! Every setting is there because its opposite loses or doubles something. `docs/PROTOCOL.md`, "Streams and consumers",
//! is the normative list.

use std::num::NonZeroU64;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType};

use super::names::{ADVISORIES_STREAM, STATUS_STREAM, SWEEPER, answers_stream, jobs_stream};
use crate::config::ServiceConfig;
use crate::protocol::{JOB_LIFETIME_MAX, Lane, Tenant};

/// Deliveries of one job. The last one is always answered.
pub(crate) const MAX_DELIVER: i64 = 20;
/// Time for which answers and states are kept: twice the longest life of a job, so that a replayed job finds its answer.
const KEPT: Duration = JOB_LIFETIME_MAX.saturating_mul(2);
/// Time for which advisories are kept.
const ADVISORIES_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Deliveries in flight of one consumer, unless the tenant has a limit of its own: more than any fleet has slots.
const ACK_PENDING_MAX: i64 = 20_000;
/// Advisories in flight.
const ADVISORIES_PENDING_MAX: i64 = 10_000;
/// Time after which an advisory without an acknowledgement is delivered again.
const ADVISORY_ACK_WAIT: Duration = Duration::from_secs(30);
/// Size of the largest stored answer, in bytes, with its headers.
const ANSWER_BYTES_MAX: i32 = 8 * 1024 * 1024;
/// Size of the largest stored state, in bytes.
const STATUS_BYTES_MAX: i32 = 4096;

/// Returns the streams of a deployment, in the order in which they are created.
pub(crate) fn streams(config: &ServiceConfig) -> Vec<Config> {
    let mut streams = Vec::new();
    for tenant in config.tenants.names() {
        streams.push(jobs(config, tenant));
        streams.push(answers(config, tenant));
    }
    streams.push(statuses(config));
    streams.push(advisories(config));
    streams
}

/// Returns the settings that all streams share.
fn stored(config: &ServiceConfig, name: String, subjects: Vec<String>) -> Config {
    Config {
        name,
        subjects,
        // An accepted job survives the loss of a machine, and with three replicas the loss of a disk.
        storage: StorageType::File,
        num_replicas: config.streams.replicas,
        retention: RetentionPolicy::Limits,
        ..Config::default()
    }
}

fn jobs(config: &ServiceConfig, tenant: &Tenant) -> Config {
    // Exact lanes: a message that no consumer's filter matches would be acknowledged to its publisher and never
    // delivered. With these subjects the broker refuses a wrong lane or tenant at once.
    let lanes = Lane::ALL.iter().map(|lane| config.prefix.lane(tenant, *lane)).collect();
    let queued_max =
        config.tenants.limits(tenant).queued_max.map_or(config.streams.jobs_max, NonZeroU64::get);
    Config {
        // An acknowledged job leaves the stream, so the stream is the queue.
        retention: RetentionPolicy::WorkQueue,
        // A full queue refuses new jobs. Discarding old ones would lose jobs that were accepted.
        discard: DiscardPolicy::New,
        // One message for each job's subject makes a repeated submission harmless. `Nats-Msg-Id` would not: it is
        // compared across subjects and tenants, and forgotten after a while.
        discard_new_per_subject: true,
        max_messages_per_subject: 1,
        max_messages: signed(queued_max),
        max_bytes: signed(config.streams.jobs_bytes_max),
        ..stored(config, jobs_stream(tenant), lanes)
    }
}

fn answers(config: &ServiceConfig, tenant: &Tenant) -> Config {
    // The wrong build that the chaos tests must find lets a second answer replace the first.
    let wrong = cfg!(sealprove_wrong = "stores_without_compare");
    Config {
        // A full stream refuses answers, which the service then holds. Discarding old ones would lose answers that
        // clients have not collected.
        discard: if wrong { DiscardPolicy::Old } else { DiscardPolicy::New },
        // Together with compare-and-set: an answer cannot be replaced.
        discard_new_per_subject: !wrong,
        max_messages_per_subject: 1,
        max_bytes: signed(config.streams.answers_bytes_max),
        max_message_size: ANSWER_BYTES_MAX,
        max_age: KEPT,
        // Clients poll by direct get, which any replica serves.
        allow_direct: true,
        // An answer that could be deleted could be given a second time.
        deny_delete: true,
        deny_purge: true,
        // The wake-up for waiting clients and proving services. Headers alone: the answer itself is read from the
        // stream, where it is known to be stored.
        republish: Some(Republish {
            source: config.prefix.answers(tenant),
            destination: config.prefix.live_transform(tenant),
            headers_only: true,
        }),
        ..stored(config, answers_stream(tenant), vec![config.prefix.answers(tenant)])
    }
}

fn statuses(config: &ServiceConfig) -> Config {
    Config {
        // The last state of each job replaces the one before.
        discard: DiscardPolicy::Old,
        max_messages_per_subject: 1,
        max_message_size: STATUS_BYTES_MAX,
        max_age: KEPT,
        allow_direct: true,
        ..stored(config, STATUS_STREAM.to_owned(), vec![config.prefix.statuses()])
    }
}

fn advisories(config: &ServiceConfig) -> Config {
    let mut subjects = Vec::new();
    for tenant in config.tenants.names() {
        let stream = jobs_stream(tenant);
        for kind in ["MAX_DELIVERIES", "MSG_TERMINATED"] {
            subjects.push(format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.*"));
        }
    }
    Config {
        discard: DiscardPolicy::Old,
        max_age: ADVISORIES_KEPT,
        ..stored(config, ADVISORIES_STREAM.to_owned(), subjects)
    }
}

fn signed(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A consumer of a deployment, and the stream that it belongs to.
pub(super) struct NeededConsumer {
    pub(super) stream: String,
    pub(super) config: pull::Config,
}

impl NeededConsumer {
    /// Returns the consumer of a tenant's lane.
    pub(super) fn for_lane(config: &ServiceConfig, tenant: &Tenant, lane: Lane) -> Self {
        let filter = config.prefix.lane(tenant, lane);
        let in_flight_max = config.tenants.in_flight_max(tenant);
        NeededConsumer {
            stream: jobs_stream(tenant),
            config: pull::Config {
                // Longer than a leader election with margin, or a running job is delivered to a second service. There
                // is no `backoff`: it overrides `ack_wait` and distorts the delay of a NAK.
                ack_wait: config.streams.ack_wait,
                max_deliver: MAX_DELIVER,
                max_ack_pending: in_flight_max.map_or(ACK_PENDING_MAX, |most| most.get().into()),
                // A service pulls one job for each free slot. Of several, the leases of all would run from delivery.
                max_batch: 1,
                ..explicit(config, lane.as_str(), filter)
            },
        }
    }

    /// Returns the consumer of the advisories about given-up jobs.
    fn for_advisories(config: &ServiceConfig) -> Self {
        let filter = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>".to_owned();
        NeededConsumer {
            stream: ADVISORIES_STREAM.to_owned(),
            config: pull::Config { ack_wait: ADVISORY_ACK_WAIT, ..explicit(config, SWEEPER, filter) },
        }
    }

    /// Returns all consumers of a deployment.
    pub(super) fn all(config: &ServiceConfig) -> Vec<Self> {
        let mut consumers = Vec::new();
        for tenant in config.tenants.names() {
            consumers.extend(Lane::ALL.map(|lane| Self::for_lane(config, tenant, lane)));
        }
        consumers.push(Self::for_advisories(config));
        consumers
    }

    pub(super) fn name(&self) -> &str {
        self.config.durable_name.as_deref().unwrap_or_default()
    }

    /// Returns its name for people.
    pub(super) fn shown(&self) -> String {
        format!("consumer {} of {}", self.name(), self.stream)
    }
}

/// Returns the settings that all consumers share.
fn explicit(config: &ServiceConfig, name: &str, filter_subject: String) -> pull::Config {
    pull::Config {
        // Durable: all services share it, and it remembers deliveries while none runs.
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        filter_subject,
        num_replicas: config.streams.replicas,
        max_ack_pending: ADVISORIES_PENDING_MAX,
        ..pull::Config::default()
    }
}
