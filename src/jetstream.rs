//! JetStream: everything that this crate knows of its subjects, streams, acknowledgements and headers.
//!
//! A client connects, publishes and reads from any replica. A service holds a [`Broker`](broker::Broker), pulls
//! [deliveries](Delivery), takes a [lease](LeasedJob) on each job, and acknowledges it with the evidence that its
//! answer is [settled](Settled).
//!
//! This module is public only for the programs in its documentation that must not compile. Its interface may change
//! in any release.
//!
//! **Architecture Invariant:** no other file spells `$JS.`, the name of a stream or an acknowledgement.

pub(crate) mod connection;
mod headers;
mod names;

mod publish;

mod message;

#[cfg(feature = "service")]
mod leader;

#[cfg(feature = "service")]
pub mod accounts;
#[cfg(feature = "service")]
mod advisories;
#[cfg(feature = "service")]
mod answers;
#[cfg(feature = "service")]
mod lanes;
#[cfg(feature = "service")]
mod definitions;
#[cfg(feature = "service")]
pub mod topology;

#[cfg(feature = "service")]
mod broker;

#[cfg(feature = "service")]
mod acknowledgement;
#[cfg(feature = "service")]
mod lease;

#[cfg(feature = "service")]
mod delivery;
#[cfg(feature = "service")]
mod pull;

pub use connection::{ConnectError, LibraryError};
pub use headers::stored_headers;
pub use message::ReadError;
pub use publish::PublishError;

#[cfg(feature = "service")]
pub(crate) use message::StoredMessage;
pub(crate) use message::read_any_replica;
pub(crate) use names::{STATUS_STREAM, answers_stream};
pub(crate) use publish::{header_map, publish};

#[cfg(feature = "service")]
pub use answers::Settled;
#[cfg(feature = "service")]
pub use delivery::{Delivery, LeasedJob, Unnamed};

#[cfg(feature = "service")]
pub(crate) use answers::{Offer, StoredAnswer};
#[cfg(feature = "service")]
pub(crate) use broker::{Broker, clock_offset};
#[cfg(feature = "service")]
pub(crate) use definitions::MAX_DELIVER;
#[cfg(feature = "service")]
pub(crate) use lanes::{LaneState, Queue, lane_state};
#[cfg(feature = "service")]
pub(crate) use names::{QUEUE_GROUP, jobs_stream};
#[cfg(feature = "service")]
pub(crate) use pull::{EXPIRES as PULL_EXPIRES, PullError, Pulled, Pulls};
