//! Traces of jobs whose client has asked for them: a sampled `traceparent` on the job. What was seen of such a job
//! goes to a collector once it is settled, as spans. They are best effort: what a collector does not take is gone.
//!
//! How a span is written is in `otlp`, behind the feature of that name. Without it there is nowhere to send them, and
//! the configuration refuses to name a collector.
#![cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "what was seen is for a collector alone"))]

#[cfg(feature = "otlp")]
mod otlp;

use tokio::sync::mpsc;

use super::record::Work;
use crate::audit::JobEnd;
use crate::clock::unix_now_ms;
use crate::job::Deployment;
use crate::wire::TraceParent;

/// How many jobs' traces may wait for the collector.
#[cfg(feature = "otlp")]
const WAITING_MAX: usize = 1024;

/// Where traces go; nowhere, where the configuration names no collector.
#[derive(Clone, Default)]
pub(super) struct Traces(Option<mpsc::Sender<Traced>>);

/// A job that is to be traced, and what this service saw of it.
struct Traced {
    trace: TraceParent,
    end: JobEnd,
    work: Work,
    times: Times,
    settled: u64,
}

/// When the parts of a job were that the service itself has seen, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) stored: u64,
    pub(super) taken: u64,
    pub(super) settling: u64,
}

impl Traces {
    /// Sends to this collector from now on: `host:port`.
    #[cfg(feature = "otlp")]
    pub(super) fn to(collector: Option<&str>, deployment: &Deployment) -> Self {
        Traces(collector.map(|collector| {
            let (sender, traced) = mpsc::channel(WAITING_MAX);
            tokio::spawn(otlp::send(collector.to_owned(), otlp::resource(deployment), traced));
            sender
        }))
    }

    /// There is none.
    #[cfg(not(feature = "otlp"))]
    pub(super) fn to(_: Option<&str>, _: &Deployment) -> Self {
        Traces(None)
    }

    /// A job has its answer.
    pub(super) fn job(
        &self,
        trace: Option<TraceParent>,
        end: impl FnOnce() -> JobEnd,
        work: &Work,
        times: Times,
    ) {
        let (Some(sender), Some(trace)) = (&self.0, trace) else { return };
        if trace.is_sampled() {
            let traced = Traced { trace, end: end(), work: *work, times, settled: unix_now_ms() };
            // A collector that does not keep up misses some.
            let _ = sender.try_send(traced);
        }
    }
}
