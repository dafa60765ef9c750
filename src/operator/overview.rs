//! The overview of the broker: the queues of each tenant, the fill level of its answers, and the state of all copies. It
//! reads and changes nothing.

use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::{self, Context, stream};
use serde::{Deserialize, Serialize};

use crate::jetstream::topology::filled;
use crate::jetstream::{answers_stream, jobs_stream, lane_state};
use crate::protocol::{Lane, Tenant};

/// Time limit of the first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The state of the broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overview {
    /// Name of the server at the other end of this connection.
    pub server: String,
    /// Its version.
    pub version: String,
    /// Round-trip time, in microseconds.
    pub answers_in_us: u64,
    /// The queues, in the order of the tenants.
    pub tenants: Vec<TenantQueues>,
    /// Number of streams that were examined.
    pub streams: usize,
    /// The streams that are not as they should be, each with its fault.
    pub troubles: Vec<String>,
}

/// The queues and answers of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantQueues {
    /// The tenant.
    pub tenant: Tenant,
    /// Its express lane.
    pub express: Queue,
    /// Its standard lane.
    pub standard: Queue,
    /// Fill level of its answer stream, from 0 to 1.
    pub answers_filled: f64,
}

/// A lane. The numbers are unknown if its consumer is missing.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Queue {
    /// Number of jobs that wait.
    pub waiting: Option<u64>,
    /// Number of jobs that were delivered and are not answered.
    pub in_work: Option<u64>,
}

impl TenantQueues {
    /// Returns the number of jobs without an answer.
    pub fn jobs(&self) -> u64 {
        let counts =
            [self.express.waiting, self.express.in_work, self.standard.waiting, self.standard.in_work];
        counts.into_iter().flatten().sum()
    }
}

/// Asks the broker for its state.
///
/// # Errors
/// When it does not answer.
pub async fn fetch(client: &Client, tenants: &[Tenant]) -> Result<Overview, String> {
    let asked = Instant::now();
    match tokio::time::timeout(ANSWER_TIMEOUT, client.flush()).await {
        Ok(Ok(())) => {}
        _ => return Err("the broker does not answer".to_owned()),
    }
    let answers_in = asked.elapsed();
    let (context, info) = (jetstream::new(client.clone()), client.server_info());
    let mut overview = Overview {
        server: info.server_name,
        version: info.version,
        answers_in_us: u64::try_from(answers_in.as_micros()).unwrap_or(u64::MAX),
        tenants: Vec::new(),
        streams: 0,
        troubles: Vec::new(),
    };
    for tenant in tenants {
        let (express, standard) =
            tokio::join!(queue(&context, tenant, Lane::Express), queue(&context, tenant, Lane::Standard));
        overview.stream(&context, &jobs_stream(tenant)).await;
        let answers = overview.stream(&context, &answers_stream(tenant)).await;
        let answers_filled = answers.map_or(0.0, |info| filled(&info));
        overview.tenants.push(TenantQueues { tenant: tenant.clone(), express, standard, answers_filled });
    }
    Ok(overview)
}

async fn queue(context: &Context, tenant: &Tenant, lane: Lane) -> Queue {
    let state = lane_state(context, tenant, lane).await;
    Queue { waiting: state.map(|state| state.waiting), in_work: state.map(|state| state.in_flight) }
}

impl Overview {
    async fn stream(&mut self, context: &Context, name: &str) -> Option<stream::Info> {
        self.streams += 1;
        match context.get_stream(name).await {
            Ok(stream) => {
                let info = stream.cached_info().clone();
                self.troubles.extend(copies_fault(&info).map(|fault| format!("{name}: {fault}")));
                Some(info)
            }
            Err(_) => {
                self.troubles.push(format!("{name}: the broker does not describe it"));
                None
            }
        }
    }
}

/// Returns the fault of a stream's copies, if they have one.
pub(crate) fn copies_fault(info: &stream::Info) -> Option<String> {
    let Some(cluster) = &info.cluster else {
        return (info.config.num_replicas > 1).then(|| "the server does not report its copies".to_owned());
    };
    if cluster.leader.is_none() {
        return Some("it has no leader".to_owned());
    }
    let current = 1 + cluster.replicas.iter().filter(|copy| copy.current && !copy.offline).count();
    let wanted = info.config.num_replicas;
    (current < wanted).then(|| format!("{current} of {wanted} copies are current"))
}
