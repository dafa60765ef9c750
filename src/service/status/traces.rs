//! Traces of jobs whose client asks for them with a sampled `traceparent`. Once such a job is settled, its spans go to
//! a collector. They are best effort: spans that the collector does not take are lost.
//!
//! Spans are written in `otlp`, behind the feature of that name. Without it there is nowhere to send them, and the
//! configuration refuses to name a collector.

mod facts;
#[cfg(feature = "otlp")]
mod otlp;

pub(crate) use facts::{Times, Work};

use tokio::sync::mpsc;

use crate::audit::JobEnd;
use crate::protocol::{Deployment, TraceParent, UnixMillis};
use facts::TracedJob;

/// Limit of jobs whose spans wait for the collector.
#[cfg(feature = "otlp")]
const WAITING_MAX: usize = 1024;

/// The way to the collector, if the configuration names one.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<mpsc::Sender<TracedJob>>);

impl Traces {
    /// Sends to a collector, given as `host:port`.
    #[cfg(feature = "otlp")]
    pub(crate) fn start(collector: Option<&str>, deployment: &Deployment) -> Self {
        Traces(collector.map(|collector| {
            let (sender, traced) = mpsc::channel(WAITING_MAX);
            tokio::spawn(otlp::send(collector.to_owned(), otlp::resource(deployment), traced));
            sender
        }))
    }

    /// Sends nowhere: this build has no exporter.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn start(_: Option<&str>, _: &Deployment) -> Self {
        Traces(None)
    }

    /// Sends the spans of a settled job, if its client asked for them.
    pub(crate) fn job(
        &self,
        trace: Option<TraceParent>,
        end: impl FnOnce() -> JobEnd,
        work: &Work,
        times: Times,
    ) {
        let (Some(sender), Some(trace)) = (&self.0, trace) else { return };
        if trace.is_sampled() {
            let traced = TracedJob { trace, end: end(), work: *work, times, settled: UnixMillis::now() };
            // Never waits: a collector that does not keep up loses spans, and jobs do not slow down.
            let _ = sender.try_send(traced);
        }
    }
}
