//! The broker as an operator wants to see it: what waits, what is in work, how full the answers are, and whether
//! all copies are current. It asks and changes nothing.

use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::{self, Context, stream};
use serde::{Deserialize, Serialize};

use crate::jetstream::topology::filled;
use crate::jetstream::{answers_stream, jobs_stream, lane_state};
use crate::protocol::{Lane, Tenant};

/// How long the broker may take to show a sign of life.
const PATIENCE: Duration = Duration::from_secs(3);

/// The broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Overview {
    /// The server that this connection has.
    pub(crate) server: String,
    /// Its version.
    pub(crate) version: String,
    /// How long it takes to answer, in microseconds.
    pub(crate) answers_in_us: u64,
    /// The queues, in the order of the tenants.
    pub(crate) tenants: Vec<TenantQueues>,
    /// How many streams were looked at.
    pub(crate) streams: usize,
    /// Those that are not as they should be, and what they lack.
    pub(crate) troubles: Vec<String>,
}

/// What a tenant has at the broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TenantQueues {
    pub(crate) tenant: Tenant,
    pub(crate) express: Queue,
    pub(crate) standard: Queue,
    /// How full its answer stream is, from 0 to 1.
    pub(crate) answers_filled: f64,
}

/// One lane; nothing is known where the consumer is not there.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) waiting: Option<u64>,
    pub(crate) in_work: Option<u64>,
}

impl TenantQueues {
    /// How many of its jobs are not answered yet.
    pub(crate) fn jobs(&self) -> u64 {
        let of = |queue: Queue| queue.waiting.unwrap_or(0) + queue.in_work.unwrap_or(0);
        of(self.express) + of(self.standard)
    }
}

/// Looks at the broker.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn look(client: &Client, tenants: &[Tenant]) -> Result<Overview, String> {
    let asked = Instant::now();
    match tokio::time::timeout(PATIENCE, client.flush()).await {
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
                self.troubles.extend(trouble(&info).map(|trouble| format!("{name}: {trouble}")));
                Some(info)
            }
            Err(_) => {
                self.troubles.push(format!("{name}: cannot be asked"));
                None
            }
        }
    }
}

/// What a stream's copies lack; nothing, where each is current.
pub(crate) fn trouble(info: &stream::Info) -> Option<String> {
    let Some(cluster) = &info.cluster else {
        return (info.config.num_replicas > 1).then(|| "no word of its copies".to_owned());
    };
    if cluster.leader.is_none() {
        return Some("it has no leader".to_owned());
    }
    let current = 1 + cluster.replicas.iter().filter(|copy| copy.current && !copy.offline).count();
    let wanted = info.config.num_replicas;
    (current < wanted).then(|| format!("{current} of {wanted} copies are current"))
}
