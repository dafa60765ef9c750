//! Who has been answered, as the broker says it live: so that a job in work here ends once anybody has
//! answered it.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tracing::error;

use crate::job::{JobId, Subjects, Tenant};

/// Answers that one job may miss before it looks for itself.
const BACKLOG: usize = 256;

/// Passes on what the broker says.
pub(super) struct Live(broadcast::Sender<(Tenant, JobId)>);

/// Hears of answers from the moment in which it was made.
pub(super) struct Ear(broadcast::Receiver<(Tenant, JobId)>);

impl Default for Live {
    fn default() -> Self {
        Live(broadcast::channel(BACKLOG).0)
    }
}

impl Live {
    pub(super) fn ear(&self) -> Ear {
        Ear(self.0.subscribe())
    }

    /// Listens for as long as the connection lives. Without this, a job learns of its answer only when it
    /// looks for itself.
    pub(super) async fn follow(&self, client: &Client, subjects: &Subjects) {
        let Ok(mut answers) = client.subscribe(subjects.lives()).await else {
            return error!("answers cannot be followed: no permission to subscribe");
        };
        while let Some(answer) = answers.next().await {
            if let Some(answered) = subjects.parse_live(&answer.subject) {
                // Fails only while nobody is proving.
                let _ = self.0.send(answered);
            }
        }
    }
}

impl Ear {
    /// Until the broker has said that this job is answered, or `patience` is over: it is a wake-up, and
    /// whoever wakes looks for himself.
    pub(super) async fn hear(&mut self, tenant: &Tenant, job: &JobId, patience: Duration) {
        let heard = async {
            while let Ok(answered) = self.0.recv().await {
                if (&answered.0, &answered.1) == (tenant, job) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(patience, heard).await;
    }
}
