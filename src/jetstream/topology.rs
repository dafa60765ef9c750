//! Checking and creating the streams and consumers of a deployment.
//!
//! `sealprove streams apply` creates them. A service checks them when it starts and never creates a stream: an empty
//! one in the place of one that is missing would hide that jobs or answers are lost.

use std::collections::HashMap;

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{self, Config, Stream};
use async_nats::jetstream::{self, Context};

use super::connection::LibraryError;
use super::definitions::NeededConsumer;
use crate::config::ServiceConfig;
use crate::protocol::{Lane, Tenant};

pub(crate) use super::definitions::streams;

/// A difference between the broker and the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// A stream or consumer is missing.
    #[error("{what} is missing")]
    Missing {
        /// The stream or consumer.
        what: String,
    },
    /// A setting differs.
    #[error("{what}: {setting} is {found}, needs {needed}")]
    Setting {
        /// The stream or consumer.
        what: String,
        /// The setting.
        setting: &'static str,
        /// Value at the broker.
        found: String,
        /// Value that the configuration needs.
        needed: String,
    },
}

/// JetStream cannot be asked, or refuses.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// The account has no JetStream.
    #[error(
        "the broker has no JetStream for this account: start nats-server with `-js`, or enable it for the account"
    )]
    NoJetStream,
    /// A request failed.
    #[error("{step} {what}")]
    Request {
        /// The step that failed.
        step: &'static str,
        /// The stream or consumer.
        what: String,
        /// The cause.
        source: LibraryError,
    },
}

impl StreamsError {
    fn request<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        step: &'static str,
        what: &str,
    ) -> impl Fn(E) -> Self {
        move |source| StreamsError::Request { step, what: what.to_owned(), source: LibraryError::new(source) }
    }
}

impl NeededConsumer {
    /// Asks the broker for it; returns `None` where there is no such consumer.
    async fn found(&self, context: &Context) -> Result<Option<Info>, StreamsError> {
        let what = self.shown();
        let bound = context.get_stream_no_info(&self.stream).await;
        let stream = bound.map_err(StreamsError::request("ask about", &what))?;
        match stream.consumer_info(self.name()).await {
            Ok(info) => Ok(Some(info)),
            Err(error) => match error.kind() {
                // Only where the broker itself says so: after a time-out the consumer may well be there.
                ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound => Ok(None),
                _ => Err(StreamsError::request("ask about", &what)(error)),
            },
        }
    }

    async fn differences(&self, context: &Context) -> Result<Vec<Difference>, StreamsError> {
        let Some(info) = self.found(context).await? else {
            return Ok(vec![Difference::Missing { what: self.shown() }]);
        };
        let (found, needed) = (info.config, &self.config);
        // Only settings that lose or double a job when they differ. Others are the operator's, such as metadata and
        // placement, or defaults that the server fills in.
        let mut compare = Compare { what: self.shown(), differences: Vec::new() };
        compare.setting("filter_subject", &found.filter_subject, &needed.filter_subject);
        compare.setting("ack_policy", &found.ack_policy, &needed.ack_policy);
        compare.setting("ack_wait", &found.ack_wait, &needed.ack_wait);
        compare.setting("max_deliver", &limit(found.max_deliver), &limit(needed.max_deliver));
        compare.setting("max_ack_pending", &found.max_ack_pending, &needed.max_ack_pending);
        compare.setting("max_batch", &found.max_batch, &needed.max_batch);
        compare.setting("backoff", &found.backoff, &Vec::new());
        Ok(compare.differences)
    }

    /// Creates it exactly as defined. One that is there keeps its position and its deliveries.
    async fn make(&self, context: &Context) -> Result<(), StreamsError> {
        let made = context.create_consumer_on_stream(self.config.clone(), &self.stream).await;
        made.map(drop).map_err(StreamsError::request("make", &self.shown()))
    }
}

/// Creates a lane's consumer again where the broker says that it is missing; returns whether it did.
///
/// # Errors
/// When the broker cannot be asked, or refuses.
pub(crate) async fn restore_consumer(
    context: &Context,
    config: &ServiceConfig,
    tenant: &Tenant,
    lane: Lane,
) -> Result<bool, StreamsError> {
    let needed = NeededConsumer::for_lane(config, tenant, lane);
    if needed.found(context).await?.is_some() {
        return Ok(false);
    }
    needed.make(context).await?;
    Ok(true)
}

/// Compares the broker with the configuration. Changes nothing.
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

/// Creates what is missing and updates what differs, as far as JetStream lets a stream change. Returns what was
/// different.
///
/// # Errors
/// When JetStream refuses.
pub async fn apply(context: &Context, config: &ServiceConfig) -> Result<Vec<Difference>, StreamsError> {
    let mended = check(context, config).await?;
    // Streams first: a consumer belongs to one.
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

/// Returns a limit in one form: JetStream writes "no limit" as 0, as -1, or not at all.
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
