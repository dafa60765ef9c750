//! Serving requests, on one connection after the other.

use std::sync::Arc;

use super::{bundle, cancel};
use crate::config::ServiceConfig;
use crate::service::connection::Connection;
use crate::service::job::{AnswerNotices, Settler};
use crate::service::status::Readiness;

/// The request endpoints of a service.
pub(crate) struct Requests {
    pub(crate) config: Arc<ServiceConfig>,
    pub(crate) settler: Settler,
    pub(crate) notices: AnswerNotices,
    pub(crate) readiness: Arc<Readiness>,
}

impl Requests {
    /// Answers requests until the service ends.
    pub(crate) async fn serve(self) {
        loop {
            let connection = Connection::connect(&self.config, &self.settler.ledger.metrics).await;
            tokio::select! {
                () = self.serve_on(&connection) => {}
                () = connection.closed() => {}
            }
            self.readiness.set_requests(false);
        }
    }

    async fn serve_on(&self, connection: &Connection) {
        // Joined and not selected: one endpoint without permission does not end the others.
        let (client, subjects) = (&connection.client, self.settler.broker.subjects());
        tokio::join!(
            bundle::serve(client, subjects, &self.settler.prover.bundle),
            cancel::serve(client, &self.settler, &self.config.tenants),
            self.notices.follow(client, subjects),
            // The broker handles what a connection sends in order: once it confirms the flush, it has the
            // subscriptions.
            async { self.readiness.set_requests(client.flush().await.is_ok()) },
        );
    }
}
