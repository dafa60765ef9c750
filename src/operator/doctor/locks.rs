//! What `sealprove doctor` finds: closes every lock as a service does, and then tries them, one after the
//! other, in processes like those that hold secrets. And what it finds of broker and machine, which it asks.

use std::sync::Arc;

use tokio::net::UnixStream;

use super::finding::Finding;
use crate::audit::log::AuditLog;
use crate::frame::{End, Locks};
use crate::metrics::Metrics;
use crate::sandbox::forbidden::{ForbiddenAction, RuleBreaker};
use crate::service::prover::{ChamberClient, Limits, NoReply, Sample, SelfTest, ServedBundle};
use crate::service::{NoChamber, Setup};

/// The circuit whose jobs break the rules: what an examined setup has to have.
pub fn circuit() -> impl crate::circuit::Circuit {
    RuleBreaker
}

/// Tries what this machine's kernel and the setup hold.
///
/// # Errors
/// When there is no chamber to try things in.
pub async fn examine(setup: Setup) -> Result<Vec<Finding>, NoChamber> {
    let mut findings = of_locks("service", setup.locks);
    findings.extend(of_service(&setup));
    let metrics = Arc::new(Metrics::new([], &[]));
    let connection = UnixStream::connect(setup.launcher.socket()).await.map_err(NoChamber::Launcher)?;
    let (mut control, _order) = connection.into_split();
    let chamber = ChamberClient::announced(&mut control, &metrics).await.ok_or(NoChamber::NotReady)?;
    findings.extend(of_locks("chamber", chamber.locks));
    findings.push(Finding::new("chamber", "one thread, no core dumps", true, "it starts with nothing else"));
    let chamber = Arc::new(chamber);
    let hearing = chamber.clone();
    let counted = metrics.clone();
    tokio::spawn(async move { hearing.read_events(&mut control, &counted).await });

    let self_test = SelfTest {
        bundle: Arc::new(ServedBundle::new(setup.bundle, AuditLog::default())),
        samples: Vec::new(),
        times: Arc::default(),
        metrics,
    };
    let limits = setup.limits.get(&RuleBreaker::id()).copied().unwrap_or_default();
    for attempt in ForbiddenAction::ALL {
        findings.push(of_job(&self_test, &chamber, attempt, limits).await);
    }
    Ok(findings)
}

fn of_locks(process: &'static str, locks: Locks) -> Vec<Finding> {
    let version = |from: u32| locks.files >= from;
    let landlock = if locks.files == 0 {
        "this kernel has no Landlock, or it is off".to_owned()
    } else {
        format!("version {} of its interface", locks.files)
    };
    vec![
        Finding::new(process, "system calls (seccomp)", locks.calls, "filtered by a list for its role"),
        Finding::new(process, "files (Landlock)", version(1), landlock),
        Finding::new(
            process,
            "signals to others (Landlock)",
            version(Locks::FILES_WHOLE),
            "from version 6 on",
        ),
    ]
}

/// What this very process cannot do any more.
fn of_service(setup: &Setup) -> Vec<Finding> {
    let keys = std::fs::read_dir(&setup.config.keys).map(drop);
    let file = std::fs::File::create(setup.config.bundle.with_extension("written")).map(drop);
    let tried = |what, came: std::io::Result<()>| {
        let how = came.as_ref().map_or_else(|error| format!("tried: {error}"), |()| "tried: done".to_owned());
        let is_refused = came.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        Finding::new("service", what, is_refused, how)
    };
    vec![tried("list the keys", keys), tried("write a file", file)]
}

async fn of_job(
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
