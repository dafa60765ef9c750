//! More jobs than slots, and in the end jobs for which there are none at all.

use std::collections::BTreeSet;
use std::time::Duration;

use sealprove::client::SubmitOptions;
use serde_json::json;

use super::submit;
use crate::kit::Setup;
use crate::service::prometheus::server::Prometheus;

const SLEEPS: &str = "sleeps-v1";
const SLOTS: usize = 2;
/// Two at once, for three quarters of a minute.
const BACKLOG: usize = 60;
const BACKLOG_MS: u64 = 1500;
/// The sweeper leaves jobs to themselves for so long.
const YOUNG: Duration = Duration::from_secs(60);

pub(super) async fn play() -> BTreeSet<String> {
    let lab = Setup::rogue().limited(SLEEPS, "15m").slots(SLOTS).start().await;
    let service = lab.service().await;
    let prometheus = Prometheus::start(&[&service]).await;
    for _ in 0..BACKLOG {
        submit(&lab, SLEEPS, json!({ "ms": BACKLOG_MS })).await;
    }
    prometheus.has_fired(&["SealproveNoFreeSlots", "SealproveJobsWait", "SealproveQueueOld"]).await;

    for _ in 0..SLOTS {
        let job = submit(&lab, SLEEPS, json!({ "ms": 600_000 })).await;
        service.process_of(job.job(), 1).await;
    }
    // Some are past three quarters of their life whenever the sweeper looks.
    for lifetime in [90, 120, 150, 180] {
        let hurried = SubmitOptions { lifetime: Duration::from_secs(lifetime), ..SubmitOptions::default() };
        lab.submit_as(SLEEPS, b"{}", &hurried).await;
    }
    tokio::time::sleep(YOUNG).await;
    prometheus.has_fired(&["SealproveJobsAtRisk"]).await;
    prometheus.has_fired(&["SealproveJobsExpire"]).await;
    prometheus.fired()
}
