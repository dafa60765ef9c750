//! The locks: closes every lock as a service does, then tries the forbidden actions, one after the other, in processes
//! like those that hold secrets.

use std::sync::Arc;

use tokio::net::UnixStream;

use super::finding::Finding;
use crate::audit::log::AuditLog;
use crate::frame::{End, Locks};
use crate::metrics::Metrics;
use crate::sandbox::forbidden::{ForbiddenAction, RuleBreaker};
use crate::service::prover::{ChamberClient, Limits, NoReply, Sample, SelfTest, ServedBundle};
use crate::service::{NoChamber, Setup};

/// Returns the circuit whose jobs perform the forbidden actions. An examined setup must serve it.
pub fn circuit() -> impl crate::circuit::Circuit {
    RuleBreaker
}

/// Tries what the locks of this machine prevent.
///
/// # Errors
/// When no chamber starts.
pub async fn examine(setup: Setup) -> Result<Vec<Finding>, NoChamber> {
    let mut findings = report_locks("service", setup.locks);
    findings.extend(try_in_service(&setup));
    let metrics = Arc::new(Metrics::new([], &[]));
    let connection = UnixStream::connect(setup.launcher.socket()).await.map_err(NoChamber::Launcher)?;
    let (mut control, _order) = connection.into_split();
    let chamber = ChamberClient::announced(&mut control, Arc::default(), &metrics).await;
    let chamber = chamber.ok_or(NoChamber::NotReady)?;
    findings.extend(report_locks("chamber", chamber.locks));
    findings.push(Finding::new("chamber", "one thread, no core dumps", true, "it does not start otherwise"));
    let chamber = Arc::new(chamber);
    let (reader, counters) = (chamber.clone(), metrics.clone());
    tokio::spawn(async move { reader.read_events(&mut control, &counters).await });

    let self_test = SelfTest {
        bundle: Arc::new(ServedBundle::new(setup.bundle, AuditLog::default())),
        samples: Vec::new(),
        results: Arc::default(),
        times: Arc::default(),
        metrics,
    };
    let limits = setup.limits.get(&RuleBreaker::id()).copied().unwrap_or_default();
    for attempt in ForbiddenAction::ALL {
        findings.push(try_in_job(&self_test, &chamber, attempt, limits).await);
    }
    Ok(findings)
}

fn report_locks(process: &'static str, locks: Locks) -> Vec<Finding> {
    let landlock = if locks.files == 0 {
        "this kernel has no Landlock, or it is turned off".to_owned()
    } else {
        format!("version {} of its interface", locks.files)
    };
    vec![
        Finding::new(process, "system calls (seccomp)", locks.calls, "filtered by a list for its role"),
        Finding::new(process, "files (Landlock)", locks.files >= 1, landlock),
        Finding::new(
            process,
            "signals to others (Landlock)",
            locks.files >= Locks::FILES_WHOLE,
            "from version 6 on",
        ),
    ]
}

/// Tries what this process, which is locked as a service, must not do.
fn try_in_service(setup: &Setup) -> Vec<Finding> {
    let keys = std::fs::read_dir(&setup.config.keys).map(drop);
    let file = std::fs::File::create(setup.config.bundle.with_extension("written")).map(drop);
    let tried = [("list the keys", keys), ("write a file", file)];
    tried
        .map(|(action, result)| {
            let how =
                result.as_ref().map_or_else(|error| format!("tried: {error}"), |()| "tried: done".to_owned());
            let is_refused = result.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
            Finding::new("service", action, is_refused, how)
        })
        .into()
}

async fn try_in_job(
    self_test: &SelfTest,
    chamber: &ChamberClient,
    attempt: ForbiddenAction,
    limits: Limits,
) -> Finding {
    let sample =
        Sample { circuit: RuleBreaker::id(), is_largest: false, bytes: attempt.as_str().into(), limits };
    let end = match self_test.send(chamber, &sample).await {
        Some(Err(NoReply::Ended(end))) => end,
        Some(Err(_)) | None => End::Unknown,
        Some(Ok(_)) => End::Answered,
    };
    let how = match end {
        End::Answered => "tried: done".to_owned(),
        end => format!("tried: its process ended, {}", end.as_str()),
    };
    Finding::new("job", attempt.as_str(), end == attempt.end(), how)
}
