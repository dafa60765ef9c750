//! The proof of the promise, *no job without an answer, no job with two*: real brokers, services and
//! clients on loopback, faults from a seeded schedule, and a checker that reads everything at the end.
//!
//! `cargo test` runs it for a minute and a half; `make chaos` for as long as it is told. `docs/CHAOS.md` says
//! how to read what it prints.

mod admin;
mod broken;
mod checker;
mod client;
mod clients;
mod cluster;
mod deployment;
mod disk;
mod evidence;
mod faults;
mod journal;
mod nats_frames;
#[cfg(test)]
mod parts;
mod proxy;
mod recovery;
mod report;
mod schedule;
mod services;
mod settings;
mod traps;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use admin::{Admin, JOBS};
use broken::Broken;
use clients::Clients;
use cluster::Cluster;
use deployment::Deployment;
use disk::SmallDisk;
use evidence::Evidence;
use faults::{Field, Injected};
use schedule::{Kind, Planned};
use services::Services;
use settings::Settings;
use wire::Wire;

/// The reason why there was no run.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Time that the last jobs may take once everything is healed.
const QUIET: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_without_an_answer_and_none_has_two() {
    match uninterrupted().await {
        Ok(true) => {}
        Ok(false) => panic!("the promise is broken"),
        Err(trouble) => panic!("no run: {trouble}"),
    }
}

/// A run; its processes die with it. Among other tests, signals are left to the runner.
async fn uninterrupted() -> Result<bool, Trouble> {
    if std::env::var_os("CHAOS_DURATION").is_none() {
        return run().await;
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        outcome = run() => outcome,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

/// Runs the schedule, and returns whether the promise was kept.
async fn run() -> Result<bool, Trouble> {
    let settings = Settings::from_environment()?;
    let planned = schedule::plan(settings.seed, settings.duration, &settings.faults);
    let folder = tempfile::Builder::new().prefix("sealprove-chaos-").tempdir()?;
    println!(
        "chaos: {} s, seed {}, {} brokers, {} services, {} jobs a second, {} faults, in {}",
        settings.duration.as_secs(),
        settings.seed,
        settings.brokers,
        settings.services,
        settings.rate,
        planned.len(),
        folder.path().display(),
    );
    let kept = match chaos(&settings, &planned, folder.path()).await {
        Ok(broken) if broken.is_empty() => Ok(true),
        Ok(broken) => {
            println!("\nthe promise is broken:");
            broken::print(&broken);
            Ok(false)
        }
        Err(trouble) => Err(trouble),
    };
    match kept {
        Ok(true) => println!("\nthe promise was kept"),
        _ => println!("\neverything is kept in {}", TempDir::keep(folder).display()),
    }
    kept
}

/// A run in a folder; says which promises were broken.
async fn chaos(settings: &Settings, planned: &[Planned], folder: &Path) -> Result<Vec<Broken>, Trouble> {
    let field = start(settings, planned, folder).await?;
    let injected = inject(&field, planned, settings.duration).await?;
    let Field { cluster, services, clients, wire, admin, disk, .. } = field;
    clients.stop().await?;
    quiet(&admin).await?;
    services.stop().await?;
    let evidence = Evidence::read(folder, &admin, &wire, settings.services).await?;
    drop((cluster, disk));

    let mut verdict = checker::check(&evidence, folder)?;
    // The short run stands among other tests, on whatever machine: its times are printed, and break nothing.
    if schedule::is_long(settings.duration) {
        verdict.broken.extend(recovery::too_slow(&injected, &evidence));
    }
    report::print(&verdict, &evidence, &recovery::measure_all(&injected, &evidence));
    Ok(verdict.broken)
}

/// Everything that a run needs, at work.
async fn start(settings: &Settings, planned: &[Planned], folder: &Path) -> Result<Field, Trouble> {
    let disk = small_disk(planned, folder);
    let store = disk.as_ref().map(SmallDisk::store);
    let cluster = Cluster::start(folder, settings.brokers, store.as_deref()).await?;
    let program = settings.program.as_deref();
    let deployment = Arc::new(Deployment::make(program, folder, settings.brokers, &cluster.url())?);
    deployment.streams().await?;
    let (wire, traps) = (Arc::new(Wire::new(settings.services)), Arc::default());
    let services = Services::start(settings.services, &deployment, &cluster, &wire, &traps).await?;
    let admin = Admin::connect(&cluster.url()).await?;
    let clients = Clients::start(folder, settings.rate, settings.seed)?;
    first_delivery(&wire).await?;
    Ok(Field { cluster, services, clients, wire, traps, admin, disk, started: Instant::now() })
}

/// A small disk, where the schedule has it full and it can be had.
fn small_disk(planned: &[Planned], folder: &Path) -> Option<SmallDisk> {
    if !planned.iter().any(|planned| planned.kind == Kind::DiskFull) {
        return None;
    }
    match SmallDisk::mount(&folder.join("small-disk")) {
        Ok(disk) => Some(disk),
        Err(cause) => {
            println!("chaos: {}: not possible here, needs root or a user namespace: {cause}", Kind::DiskFull);
            None
        }
    }
}

/// Until a service has taken a job.
async fn first_delivery(wire: &Wire) -> Result<(), Trouble> {
    let until = Instant::now() + QUIET;
    while wire.deliveries().is_empty() {
        if Instant::now() > until {
            return Err("no service takes a job".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Carries out the schedule; when this returns, everything is healed.
async fn inject(field: &Field, planned: &[Planned], duration: Duration) -> Result<Vec<Injected>, Trouble> {
    let mut injected = Vec::new();
    let mut running = FuturesUnordered::new();
    for planned in planned {
        let due = tokio::time::sleep_until((field.started + planned.at).into());
        let busy = async {
            while let Some(fault) = running.next().await.transpose()? {
                injected.extend(fault);
            }
            std::future::pending::<Result<(), Trouble>>().await
        };
        tokio::select! {
            () = due => {}
            broken = busy => broken?,
        }
        running.push(field.carry_out(*planned));
    }
    injected.extend(running.try_collect::<Vec<_>>().await?.into_iter().flatten());
    tokio::time::sleep_until((field.started + duration).into()).await;
    Ok(injected)
}

/// Until no job is queued, or for long enough.
async fn quiet(admin: &Admin) -> Result<(), Trouble> {
    let until = Instant::now() + QUIET;
    while admin.info(JOBS).await?.state.messages > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
