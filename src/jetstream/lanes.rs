//! A lane as its consumer reports it.
//!
//! Intake, sweeper and metrics ask for this state. Asking takes no message.

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::Info;

use super::names::jobs_stream;
use crate::protocol::{Lane, Tenant};

/// A tenant's lane: one queue of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Queue {
    pub(crate) tenant: Tenant,
    pub(crate) lane: Lane,
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.lane, jobs_stream(&self.tenant))
    }
}

/// Counters of a lane's consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneState {
    /// Jobs that were never delivered.
    pub(crate) waiting: u64,
    /// Jobs delivered and not acknowledged.
    pub(crate) in_flight: u64,
    /// The limit of the jobs in flight.
    pub(crate) in_flight_max: u64,
    /// Stream sequence of the newest delivery.
    pub(crate) delivered: u64,
    /// Stream sequence up to which every delivery is acknowledged.
    pub(crate) ack_floor: u64,
}

impl From<&Info> for LaneState {
    fn from(info: &Info) -> Self {
        LaneState {
            waiting: info.num_pending,
            in_flight: info.num_ack_pending as u64,
            in_flight_max: u64::try_from(info.config.max_ack_pending).unwrap_or(u64::MAX),
            delivered: info.delivered.stream_sequence,
            ack_floor: info.ack_floor.stream_sequence,
        }
    }
}

impl LaneState {
    /// Returns whether a message that is still in the stream will never be delivered again: it lies behind
    /// everything that the consumer has in flight.
    pub(crate) fn has_given_up(&self, sequence: u64) -> bool {
        // With nothing in flight, everything that was delivered is behind, wherever the acknowledgement floor stands.
        let idle = self.in_flight == 0 && sequence <= self.delivered;
        idle || sequence <= self.ack_floor
    }
}

/// Asks for the state of a lane; returns `None` where the broker cannot be asked or has no such consumer.
pub(crate) async fn lane_state(context: &Context, tenant: &Tenant, lane: Lane) -> Option<LaneState> {
    let stream = context.get_stream_no_info(jobs_stream(tenant)).await.ok()?;
    stream.consumer_info(lane.as_str()).await.ok().map(|info| LaneState::from(&info))
}
