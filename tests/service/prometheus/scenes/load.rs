//! An ordinary day: good jobs, and a few that are refused. No alert fires, and behind every expression there are data.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sealprove::client::SubmitOptions;
use sealprove::protocol::Lane;

use crate::kit::{Setup, THRESHOLD, good_witness};
use crate::service::prometheus::expressions;
use crate::service::prometheus::server::Prometheus;

/// Longer than any alert takes to fire.
const DAY: Duration = Duration::from_secs(75);

pub(super) async fn play() -> BTreeSet<String> {
    let lab = Setup::new().slots(2).start().await;
    let service = lab.service().await;
    let prometheus = Prometheus::start(&[&service]).await;
    let express = SubmitOptions { lane: Lane::Express, ..SubmitOptions::default() };
    let until = Instant::now() + DAY;
    while Instant::now() < until {
        lab.answer_to(&lab.submit_good().await).await;
        lab.answer_to(&lab.submit_as(THRESHOLD, &good_witness(), &express).await).await;
        lab.answer_to(&lab.submit(THRESHOLD, b"{}").await).await;
    }
    assert_eq!(prometheus.fired(), BTreeSet::new(), "on an ordinary day");

    // One process is killed, so that there is an end that is no answer.
    let job = lab.submit_good().await;
    service.kill_process_of(job.job()).await;
    lab.answer_to(&job).await;
    prometheus.has_fired(&["SealproveProcessesKilled"]).await;
    for (what, expression) in expressions::of_dashboard().into_iter().chain(expressions::of_rules()) {
        lab.answer_to(&lab.submit_good().await).await;
        prometheus.finds(&what, &expression).await;
    }
    prometheus.fired()
}
