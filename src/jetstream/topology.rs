//! The streams and consumers of a deployment: as they must be, made and checked.
//!
//! Every setting below is there because its opposite loses or doubles something; `docs/PROTOCOL.md`
//! says what. A service binds to them and makes none, but for a consumer that has gone missing.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Info, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{
    self, Config, DiscardPolicy, Republish, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{self, Context};

use super::names::{ADVISORIES_STREAM, STATUS_STREAM, SWEEPER, answers_stream, jobs_stream};
use crate::config::ServiceConfig;
use crate::protocol::{JOB_LIFETIME_MAX, Lane, Tenant};

/// How often a job is delivered at most; the last delivery is always answered.
pub(crate) const MAX_DELIVER: i64 = 20;
/// How long answers and states are kept: twice as long as a job can live, which is what makes a replayed
/// job find its answer.
const KEPT: Duration = JOB_LIFETIME_MAX.saturating_mul(2);
/// How long deliveries that were given up are remembered.
const ADVISORIES_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Deliveries in flight of one consumer, where the tenant has no limit of its own; more than any fleet has
/// slots.
const ACK_PENDING_MAX: i64 = 20_000;
/// Advisories in flight, and how long one may be.
const ADVISORIES_PENDING_MAX: i64 = 10_000;
const ADVISORY_ACK_WAIT: Duration = Duration::from_secs(30);
/// The largest answer that is stored, in bytes, with its headers.
const ANSWER_BYTES_MAX: i32 = 8 * 1024 * 1024;
/// The largest status that is stored, in bytes.
const STATUS_BYTES_MAX: i32 = 4096;

/// A stream or consumer is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// It is not there.
    #[error("{what} is missing")]
    Missing {
        /// Which stream or consumer.
        what: String,
    },
    /// A setting differs.
    #[error("{what}: {setting} is {found}, needs {needed}")]
    Setting {
        /// Which stream or consumer.
        what: String,
        /// Which setting.
        setting: &'static str,
        /// What is there.
        found: String,
        /// What must be.
        needed: String,
    },
}

/// JetStream could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// There is no JetStream.
    #[error(
        "the broker has no JetStream for this account: start nats-server with `-js`, or enable it for the account"
    )]
    NoJetStream,
    /// A request failed.
    #[error("{step} {what}")]
    Request {
        /// What was tried.
        step: &'static str,
        /// On which stream or consumer.
        what: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StreamsError {
    fn request<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        step: &'static str,
        what: &str,
    ) -> impl Fn(E) -> Self {
        move |source| StreamsError::Request { step, what: what.to_owned(), source: source.into() }
    }
}

/// The streams of a deployment, in the order in which they are made.
pub fn streams(config: &ServiceConfig) -> Vec<Config> {
    let mut streams = Vec::new();
    for tenant in config.tenants.names() {
        streams.push(jobs(config, tenant));
        streams.push(answers(config, tenant));
    }
    streams.push(statuses(config));
    streams.push(advisories(config));
    streams
}

/// What all streams have in common: files, copies, no compression of ciphertext.
fn stored(config: &ServiceConfig, name: String, subjects: Vec<String>) -> Config {
    Config {
        name,
        subjects,
        storage: StorageType::File,
        num_replicas: config.streams.replicas,
        retention: RetentionPolicy::Limits,
        ..Config::default()
    }
}

fn jobs(config: &ServiceConfig, tenant: &Tenant) -> Config {
    let lanes = Lane::ALL.iter().map(|lane| config.prefix.lane(tenant, *lane)).collect();
    let queued_max =
        config.tenants.limits(tenant).queued_max.map_or(config.streams.jobs_max, NonZeroU64::get);
    Config {
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        max_messages_per_subject: 1,
        max_messages: signed(queued_max),
        max_bytes: signed(config.streams.jobs_bytes_max),
        ..stored(config, jobs_stream(tenant), lanes)
    }
}

fn answers(config: &ServiceConfig, tenant: &Tenant) -> Config {
    // The wrong build that `tests/chaos` must find out lets a second answer replace the first.
    let wrong = cfg!(sealprove_wrong = "stores_without_compare");
    Config {
        discard: if wrong { DiscardPolicy::Old } else { DiscardPolicy::New },
        discard_new_per_subject: !wrong,
        max_messages_per_subject: 1,
        max_bytes: signed(config.streams.answers_bytes_max),
        max_message_size: ANSWER_BYTES_MAX,
        max_age: KEPT,
        allow_direct: true,
        deny_delete: true,
        deny_purge: true,
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
        discard: DiscardPolicy::Old,
        max_messages_per_subject: 1,
        max_message_size: STATUS_BYTES_MAX,
        max_age: KEPT,
        allow_direct: true,
        ..stored(config, STATUS_STREAM.to_owned(), vec![config.prefix.statuses()])
    }
}

fn advisories(config: &ServiceConfig) -> Config {
    let of_tenant = |tenant| {
        let stream = jobs_stream(tenant);
        ["MAX_DELIVERIES", "MSG_TERMINATED"]
            .map(|kind| format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.*"))
    };
    Config {
        discard: DiscardPolicy::Old,
        max_age: ADVISORIES_KEPT,
        ..stored(config, ADVISORIES_STREAM.to_owned(), config.tenants.names().flat_map(of_tenant).collect())
    }
}

fn signed(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A consumer as it must be, and the stream that it belongs to.
struct NeededConsumer {
    stream: String,
    config: pull::Config,
}

impl NeededConsumer {
    /// The consumer of a tenant's lane.
    fn of_lane(config: &ServiceConfig, tenant: &Tenant, lane: Lane) -> Self {
        let filter = config.prefix.lane(tenant, lane);
        let in_flight_max = config.tenants.in_flight_max(tenant);
        NeededConsumer {
            stream: jobs_stream(tenant),
            config: pull::Config {
                ack_wait: config.streams.ack_wait,
                max_deliver: MAX_DELIVER,
                max_ack_pending: in_flight_max.map_or(ACK_PENDING_MAX, |most| most.get().into()),
                max_batch: 1,
                ..explicit(config, lane.as_str(), filter)
            },
        }
    }

    /// The consumer of what deliveries have given up on.
    fn of_advisories(config: &ServiceConfig) -> Self {
        let filter = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>".to_owned();
        NeededConsumer {
            stream: ADVISORIES_STREAM.to_owned(),
            config: pull::Config { ack_wait: ADVISORY_ACK_WAIT, ..explicit(config, SWEEPER, filter) },
        }
    }

    /// All of a deployment.
    fn all(config: &ServiceConfig) -> Vec<Self> {
        let of_tenant = |tenant| Lane::ALL.map(|lane| Self::of_lane(config, tenant, lane));
        let lanes = config.tenants.names().flat_map(of_tenant);
        lanes.chain([Self::of_advisories(config)]).collect()
    }

    fn name(&self) -> &str {
        self.config.durable_name.as_deref().unwrap_or_default()
    }

    fn what(&self) -> String {
        format!("consumer {} of {}", self.name(), self.stream)
    }

    /// What is there; `None` where the broker says that there is none.
    async fn found(&self, context: &Context) -> Result<Option<Info>, StreamsError> {
        let what = self.what();
        let stream = context.get_stream_no_info(&self.stream).await;
        let stream = stream.map_err(StreamsError::request("ask about", &what))?;
        match stream.consumer_info(self.name()).await {
            Ok(info) => Ok(Some(info)),
            Err(error) => match error.kind() {
                ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound => Ok(None),
                _ => Err(StreamsError::request("ask about", &what)(error)),
            },
        }
    }

    async fn differences(&self, context: &Context) -> Result<Vec<Difference>, StreamsError> {
        let Some(info) = self.found(context).await? else {
            return Ok(vec![Difference::Missing { what: self.what() }]);
        };
        let (found, needed) = (info.config, &self.config);
        let mut compare = Compare { what: self.what(), differences: Vec::new() };
        compare.setting("filter_subject", &found.filter_subject, &needed.filter_subject);
        compare.setting("ack_policy", &found.ack_policy, &needed.ack_policy);
        compare.setting("ack_wait", &found.ack_wait, &needed.ack_wait);
        compare.setting("max_deliver", &limit(found.max_deliver), &limit(needed.max_deliver));
        compare.setting("max_ack_pending", &found.max_ack_pending, &needed.max_ack_pending);
        compare.setting("max_batch", &found.max_batch, &needed.max_batch);
        compare.setting("backoff", &found.backoff, &Vec::new());
        Ok(compare.differences)
    }

    /// Makes it exactly as defined, or leaves it as it is where it is so already.
    async fn make(&self, context: &Context) -> Result<(), StreamsError> {
        let made = context.create_consumer_on_stream(self.config.clone(), &self.stream).await;
        made.map(drop).map_err(StreamsError::request("make", &self.what()))
    }
}

/// What all consumers have in common.
fn explicit(config: &ServiceConfig, name: &str, filter_subject: String) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        filter_subject,
        num_replicas: config.streams.replicas,
        max_ack_pending: ADVISORIES_PENDING_MAX,
        ..pull::Config::default()
    }
}

/// Makes a lane's consumer again where the broker says that it is gone; says whether it did.
///
/// # Errors
/// When the broker cannot be asked, or refuses.
pub(crate) async fn restore_consumer(
    context: &Context,
    config: &ServiceConfig,
    tenant: &Tenant,
    lane: Lane,
) -> Result<bool, StreamsError> {
    let needed = NeededConsumer::of_lane(config, tenant, lane);
    if needed.found(context).await?.is_some() {
        return Ok(false);
    }
    needed.make(context).await?;
    Ok(true)
}

/// Says what differs from what must be; nothing is changed.
///
/// # Errors
/// When JetStream cannot be asked.
pub async fn check(context: &Context, config: &ServiceConfig) -> Result<Vec<Difference>, StreamsError> {
    has_jetstream(context).await?;
    let mut differences = Vec::new();
    for needed in streams(config) {
        match found(context, &needed.name).await? {
            None => differences.push(Difference::Missing { what: format!("stream {}", needed.name) }),
            Some(stream) => differences.extend(stream_differences(&stream.cached_info().config, &needed)),
        }
    }
    for needed in NeededConsumer::all(config) {
        differences.extend(needed.differences(context).await?);
    }
    Ok(differences)
}

/// Makes what is missing and mends what differs, as far as JetStream lets a stream change.
///
/// # Errors
/// When JetStream refuses.
pub async fn apply(context: &Context, config: &ServiceConfig) -> Result<Vec<Difference>, StreamsError> {
    let mended = check(context, config).await?;
    for needed in streams(config) {
        let what = format!("stream {}", needed.name);
        context.create_or_update_stream(needed).await.map_err(StreamsError::request("make", &what))?;
    }
    for needed in NeededConsumer::all(config) {
        needed.make(context).await?;
    }
    Ok(mended)
}

/// Returns the used fraction of a stream's `max_bytes`, from 0 to 1; 0 where it has none.
#[allow(clippy::cast_precision_loss)] // A fraction of two sizes needs no more than 52 bits of either.
pub(crate) fn filled(info: &stream::Info) -> f64 {
    match u64::try_from(info.config.max_bytes) {
        Ok(most) if most > 0 => info.state.bytes as f64 / most as f64,
        _ => 0.0,
    }
}

async fn has_jetstream(context: &Context) -> Result<(), StreamsError> {
    use jetstream::context::AccountErrorKind::JetStreamUnavailable;
    match context.query_account().await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), JetStreamUnavailable) => Err(StreamsError::NoJetStream),
        Err(error) => Err(StreamsError::request("ask about", "JetStream")(error)),
    }
}

async fn found(context: &Context, name: &str) -> Result<Option<Stream>, StreamsError> {
    use jetstream::ErrorCode;
    use jetstream::context::GetStreamErrorKind::JetStream;
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            JetStream(refused) if refused.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(StreamsError::request("ask about", &format!("stream {name}"))(error)),
        },
    }
}

fn stream_differences(found: &Config, needed: &Config) -> Vec<Difference> {
    let mut compare = Compare { what: format!("stream {}", needed.name), differences: Vec::new() };
    compare.setting("subjects", &found.subjects, &needed.subjects);
    compare.setting("storage", &found.storage, &needed.storage);
    compare.setting("replicas", &found.num_replicas, &needed.num_replicas);
    compare.setting("retention", &found.retention, &needed.retention);
    compare.setting("discard", &found.discard, &needed.discard);
    compare.setting(
        "discard_new_per_subject",
        &found.discard_new_per_subject,
        &needed.discard_new_per_subject,
    );
    let (of_found, of_needed) = (found.max_messages_per_subject, needed.max_messages_per_subject);
    compare.setting("max_msgs_per_subject", &limit(of_found), &limit(of_needed));
    compare.setting("max_msgs", &limit(found.max_messages), &limit(needed.max_messages));
    compare.setting("max_bytes", &limit(found.max_bytes), &limit(needed.max_bytes));
    compare.setting(
        "max_msg_size",
        &limit(found.max_message_size.into()),
        &limit(needed.max_message_size.into()),
    );
    compare.setting("max_age", &found.max_age, &needed.max_age);
    compare.setting("allow_direct", &found.allow_direct, &needed.allow_direct);
    compare.setting("deny_delete", &found.deny_delete, &needed.deny_delete);
    compare.setting("deny_purge", &found.deny_purge, &needed.deny_purge);
    compare.setting("allow_msg_ttl", &found.allow_message_ttl, &needed.allow_message_ttl);
    compare.setting("republish", &republish(found), &republish(needed));
    compare.differences
}

/// JetStream says "no limit" as 0, as -1, or not at all.
fn limit(limit: i64) -> Option<i64> {
    (limit > 0).then_some(limit)
}

fn republish(config: &Config) -> HashMap<&str, String> {
    let rule = config.republish.iter();
    rule.flat_map(|rule| {
        [
            ("from", rule.source.clone()),
            ("to", rule.destination.clone()),
            ("headers_only", rule.headers_only.to_string()),
        ]
    })
    .collect()
}

struct Compare {
    what: String,
    differences: Vec<Difference>,
}

impl Compare {
    fn setting<T: PartialEq + std::fmt::Debug>(&mut self, setting: &'static str, found: &T, needed: &T) {
        if found != needed {
            let (found, needed) = (format!("{found:?}"), format!("{needed:?}"));
            self.differences.push(Difference::Setting { what: self.what.clone(), setting, found, needed });
        }
    }
}
