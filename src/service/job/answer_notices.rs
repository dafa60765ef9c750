//! Answer notices: the broker's message on `live` that a job has been answered. A job that is being proved here ends
//! when another service, or a cancel request, has answered it.
//!
//! A notice only wakes. Each job then reads the answer from the stream's leader.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tracing::error;

use crate::protocol::{JobId, Subjects, Tenant};

/// Notices that one job may miss before it looks for itself.
const BACKLOG: usize = 256;

/// The channel on which notices reach the jobs in work.
#[derive(Clone)]
pub(crate) struct AnswerNotices(broadcast::Sender<(Tenant, JobId)>);

/// A subscription to the notices, from the moment at which it was made.
pub(super) struct Subscription(broadcast::Receiver<(Tenant, JobId)>);

impl Default for AnswerNotices {
    fn default() -> Self {
        AnswerNotices(broadcast::channel(BACKLOG).0)
    }
}

impl AnswerNotices {
    pub(super) fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }

    /// Receives notices for as long as the connection lives. Without them, a job learns of another answer only when
    /// it looks for itself.
    pub(crate) async fn follow(&self, client: &Client, subjects: &Subjects) {
        let Ok(mut notices) = client.subscribe(subjects.lives()).await else {
            return error!(
                "no permission to subscribe to {}; a job answered elsewhere ends later",
                subjects.lives()
            );
        };
        while let Some(notice) = notices.next().await {
            if let Some(answered) = subjects.parse_live(&notice.subject) {
                // Fails only while no job is in work.
                let _ = self.0.send(answered);
            }
        }
    }
}

impl Subscription {
    /// Waits until the broker reports an answer to this job, at most for `patience`. A notice may be missed and could
    /// be forged, so the caller reads the answer itself.
    pub(super) async fn wait_for(&mut self, tenant: &Tenant, job: &JobId, patience: Duration) {
        let notice = async {
            // A job that lags behind the backlog stops waiting too: the notices that it missed may have been its own.
            while let Ok(answered) = self.0.recv().await {
                if (&answered.0, &answered.1) == (tenant, job) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(patience, notice).await;
    }
}
