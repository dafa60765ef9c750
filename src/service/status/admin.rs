//! The admin address: metrics, liveness, readiness and activity.
//!
//! It serves pages and takes no orders, since it asks for no credentials.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::activity::ActivityPage;
use super::readiness::explain;
use crate::metrics::Metrics;
use crate::protocol::UnixSeconds;

/// The sources of all pages.
#[derive(Clone)]
struct Pages {
    metrics: Arc<Metrics>,
    activity: ActivityPage,
}

/// Serves `/metrics`, `/livez`, `/readyz` and `/top.json` until the process ends; returns the bound address.
///
/// # Errors
/// When the address cannot be used.
pub(crate) async fn serve(
    listen: SocketAddr,
    metrics: Arc<Metrics>,
    activity: ActivityPage,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(page))
        // Alive as long as it replies. A missing broker or chamber is no reason to restart a service that waits for it.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/top.json", get(top_page))
        .with_state(Pages { metrics, activity });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(bound)
}

async fn page(State(pages): State<Pages>) -> impl IntoResponse {
    // Computed when the page is read: the time that the bundle has left changes without an event.
    pages.metrics.health.missing(&pages.activity.readiness.missing());
    pages.metrics.bundle.served(&pages.activity.bundle.current().bundle, UnixSeconds::now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], pages.metrics.page())
}

async fn top_page(State(pages): State<Pages>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], pages.activity.json())
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, String) {
    let missing = pages.activity.readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        let reasons: Vec<&str> = missing.into_iter().map(explain).collect();
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", reasons.join("; ")))
    }
}
