//! Carrying out a fault: the blow, and what heals it. What it led to is measured afterwards, from what
//! streams, journals and wire say.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Trouble;
use super::admin::{ANSWERS, Admin, JOBS};
use super::clients::Clients;
use super::cluster::{self, Cluster};
use super::disk::SmallDisk;
use super::journal::unix_ms;
use super::proxy::Weather;
use super::schedule::{Blow, Kind, Planned, Point};
use super::services::Services;
use super::settings::ACK_WAIT;
use super::traps::{Sprung, Strike, Traps};
use super::wire::Wire;
use crate::kit::kill;

/// Time that a trap waits for a service to get to its point.
const TRAP_WAIT: Duration = Duration::from_secs(20);
/// Interval between looks for a job process that must be there.
const LOOK: Duration = Duration::from_millis(2);
/// Number of jobs to wait for until one is caught in its process.
const CATCHES: usize = 5;

/// Everything that faults are done to.
pub(crate) struct Field {
    pub(crate) cluster: Cluster,
    pub(crate) services: Services,
    pub(crate) clients: Clients,
    pub(crate) wire: Arc<Wire>,
    pub(crate) traps: Arc<Traps>,
    pub(crate) admin: Admin,
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) started: Instant,
}

/// A fault that has happened.
#[derive(Debug, Clone)]
pub(crate) struct Injected {
    pub(crate) kind: Kind,
    /// Start of recovery, in Unix milliseconds: the blow, or where nothing can work until it
    /// is over, the end of it.
    pub(crate) since: u64,
    /// The jobs that it struck.
    pub(crate) jobs: Vec<String>,
    /// The lane that it struck.
    pub(crate) lane: Option<&'static str>,
    /// The service that it struck.
    pub(crate) service: Option<usize>,
}

impl Injected {
    fn with(self, jobs: Vec<String>) -> Self {
        Injected { jobs, ..self }
    }

    /// Over, where recovery is measured from here.
    fn over(self) -> Self {
        Injected { since: unix_ms(), ..self }
    }
}

impl Field {
    /// Says what happens now.
    fn happens(&self, kind: Kind, what: impl Display) -> Injected {
        println!("{:7.1} s  {kind:<30} {what}", self.started.elapsed().as_secs_f64());
        Injected { kind, since: unix_ms(), jobs: Vec::new(), lane: None, service: None }
    }

    /// Carries out a fault and heals what it broke; `None` where there was nothing to strike.
    pub(crate) async fn carry_out(&self, planned: Planned) -> Result<Option<Injected>, Trouble> {
        let injected = self.strike(planned).await?;
        if injected.is_none() {
            println!("{:12}{:<30} found nothing to strike", "", planned.kind);
        }
        Ok(injected)
    }

    async fn strike(&self, planned: Planned) -> Result<Option<Injected>, Trouble> {
        let Planned { kind, pick, .. } = planned;
        let service = usize::try_from(pick % self.services.all.len() as u64)?;
        let broker = usize::try_from(pick % self.cluster.count() as u64)?;
        // Between 3 and 8 seconds.
        let while_ = Duration::from_millis(3000 + pick % 5000);
        match kind {
            Kind::Job(blow) => self.strike_job(kind, blow).await,
            Kind::Chamber(blow) => Ok(self.strike_chamber(kind, blow).await),
            Kind::Service(blow, point) => self.strike_service(kind, blow, point, pick).await,
            Kind::Leader(blow) => {
                let stream = if pick.is_multiple_of(3) { JOBS } else { ANSWERS };
                let leader = self.admin.leader(stream).await?;
                self.strike_broker(kind, blow, leader, while_).await.map(Some)
            }
            Kind::Connected(blow) => {
                let Some(broker) = self.wire.broker_of(service) else { return Ok(None) };
                self.strike_broker(kind, blow, broker, while_).await.map(Some)
            }
            Kind::AllBrokers(blow) => self.strike_all(kind, blow, while_).await.map(Some),
            Kind::LameDuck => self.lame_duck(kind, broker).await.map(Some),
            Kind::ConsumerDeleted => self.delete_consumer(kind, pick).await.map(Some),
            Kind::JobsFull | Kind::AnswersFull => self.fill(kind, while_).await.map(Some),
            Kind::DiskFull => self.fill_disk(kind).await,
            Kind::Delay | Kind::Cut | Kind::Stall => Ok(Some(self.disturb(kind, service, pick).await)),
            Kind::AcksSwallowed | Kind::StoredSwallowed => Ok(self.swallow(kind, service).await),
            Kind::Client => {
                let client = self.clients.kill(pick);
                Ok(Some(self.happens(kind, format!("client {client}"))))
            }
        }
    }

    /// Waits until a service gets to a point of a job's path.
    async fn trap(&self, point: Point, strike: Strike) -> Option<Sprung> {
        self.traps.spring(point, strike, TRAP_WAIT).await
    }

    async fn strike_service(
        &self,
        kind: Kind,
        blow: Blow,
        point: Point,
        pick: u64,
    ) -> Result<Option<Injected>, Trouble> {
        // Frozen for longer than its lease lasts, so that it comes back to a job that is another's.
        let frozen = ACK_WAIT + Duration::from_millis(2000 + pick % 3000);
        let strike = match blow {
            Blow::Kill => Strike::Kill,
            Blow::Freeze => Strike::Freeze(frozen),
        };
        let Some(sprung) = self.trap(point, strike).await else { return Ok(None) };
        let what = format!("service {} with job {}", sprung.service, sprung.job);
        Ok(Some(Injected { since: sprung.at, ..self.happens(kind, what).with(sprung.held) }))
    }

    async fn strike_job(&self, kind: Kind, blow: Blow) -> Result<Option<Injected>, Trouble> {
        for _ in 0..CATCHES {
            let Some(sprung) = self.trap(Point::WhileProving, Strike::Nothing).await else { return Ok(None) };
            let Some(chamber) = self.services.all[sprung.service].chamber() else { continue };
            let Some(process) = job_process(chamber).await else { continue };
            strike(process, blow, Duration::from_secs(3));
            let what = format!("process {process} of job {}", sprung.job);
            return Ok(Some(self.happens(kind, what).with(vec![sprung.job])));
        }
        Ok(None)
    }

    async fn strike_chamber(&self, kind: Kind, blow: Blow) -> Option<Injected> {
        let sprung = self.trap(Point::WhileProving, Strike::Nothing).await?;
        let chamber = self.services.all[sprung.service].chamber()?;
        strike(chamber, blow, Duration::from_secs(4));
        Some(self.happens(kind, format_args!("of service {}", sprung.service)).with(sprung.held))
    }

    async fn strike_broker(
        &self,
        kind: Kind,
        blow: Blow,
        broker: usize,
        while_: Duration,
    ) -> Result<Injected, Trouble> {
        let injected = self.happens(kind, cluster::name(broker));
        match blow {
            Blow::Kill => {
                self.cluster.kill(broker);
                tokio::time::sleep(while_).await;
                self.cluster.restart(broker).await?;
            }
            Blow::Freeze => {
                self.cluster.freeze(broker);
                tokio::time::sleep(2 * while_).await;
                self.cluster.thaw(broker);
            }
        }
        Ok(injected)
    }

    async fn strike_all(&self, kind: Kind, blow: Blow, while_: Duration) -> Result<Injected, Trouble> {
        let brokers = 0..self.cluster.count();
        let injected = self.happens(kind, "all brokers");
        match blow {
            Blow::Kill => {
                brokers.for_each(|broker| self.cluster.kill(broker));
                tokio::time::sleep(while_ / 4).await;
                self.cluster.restart_all().await?;
            }
            Blow::Freeze => {
                brokers.clone().for_each(|broker| self.cluster.freeze(broker));
                tokio::time::sleep(while_).await;
                brokers.for_each(|broker| self.cluster.thaw(broker));
            }
        }
        Ok(injected.over())
    }

    async fn lame_duck(&self, kind: Kind, broker: usize) -> Result<Injected, Trouble> {
        let injected = self.happens(kind, cluster::name(broker));
        self.cluster.lame_duck(broker).await?;
        self.cluster.restart(broker).await?;
        Ok(injected)
    }

    async fn delete_consumer(&self, kind: Kind, pick: u64) -> Result<Injected, Trouble> {
        let lane = if pick.is_multiple_of(3) { "express" } else { "standard" };
        self.admin.delete_consumer(lane).await?;
        Ok(Injected { lane: Some(lane), ..self.happens(kind, format!("of the lane {lane}")) })
    }

    /// Lets a stream take nothing more for a while.
    async fn fill(&self, kind: Kind, while_: Duration) -> Result<Injected, Trouble> {
        let injected = self.happens(kind, if kind == Kind::JobsFull { JOBS } else { ANSWERS });
        let before = if kind == Kind::JobsFull {
            self.admin.change(JOBS, |config, _| config.max_messages = 1).await?
        } else {
            let full =
                |state: &async_nats::jetstream::stream::State| i64::try_from(state.bytes).unwrap_or(i64::MAX);
            self.admin.change(ANSWERS, |config, info| config.max_bytes = full(&info.state).max(1)).await?
        };
        tokio::time::sleep(while_).await;
        self.admin.restore(&before).await?;
        Ok(injected.over())
    }

    /// Fills the first broker's disk; then does what is the operator's part.
    async fn fill_disk(&self, kind: Kind) -> Result<Option<Injected>, Trouble> {
        let Some(disk) = &self.disk else { return Ok(None) };
        let injected = self.happens(kind, cluster::name(0));
        disk.fill()?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        disk.free()?;
        self.cluster.kill(0);
        self.cluster.restart(0).await?;
        Ok(Some(injected.over()))
    }

    async fn disturb(&self, kind: Kind, service: usize, pick: u64) -> Injected {
        let (weather, seconds) = match kind {
            Kind::Delay => {
                (Weather { delay: Duration::from_millis(100 + pick % 900), ..Weather::default() }, 6)
            }
            Kind::Cut => (Weather { cut: true, ..Weather::default() }, pick % 4),
            _ => (Weather { stalled: true, ..Weather::default() }, 6 + pick % 8),
        };
        let injected = self.happens(kind, format!("service {service} for {seconds} s"));
        self.services.weather(service, weather);
        // A cut needs no more than a moment.
        tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(50)).await;
        self.services.weather(service, Weather::default());
        Injected { service: Some(service), ..injected.over() }
    }

    /// Keeps acknowledgements of one direction from their addressee, until some were kept.
    async fn swallow(&self, kind: Kind, service: usize) -> Option<Injected> {
        let acks = kind == Kind::AcksSwallowed;
        let weather = Weather { swallows_acks: acks, swallows_stored: !acks, ..Weather::default() };
        let injected = self.happens(kind, format!("service {service}"));
        self.services.weather(service, weather);
        let swallowed = async {
            while self.wire.swallowed_since(injected.since, service).is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(Duration::from_secs(4)).await;
        };
        let happened = tokio::time::timeout(TRAP_WAIT, swallowed).await;
        self.services.weather(service, Weather::default());
        happened.ok()?;
        let jobs = self.wire.swallowed_since(injected.since, service);
        Some(injected.with(jobs))
    }
}

/// Kills a process, or stops it for a while.
fn strike(process: i32, blow: Blow, frozen: Duration) {
    match blow {
        Blow::Kill => kill(process, Signal::KILL),
        Blow::Freeze => {
            kill(process, Signal::STOP);
            tokio::spawn(async move {
                tokio::time::sleep(frozen).await;
                kill(process, Signal::CONT);
            });
        }
    }
}

/// The process that a chamber has just forked for a job.
async fn job_process(chamber: i32) -> Option<i32> {
    let children = format!("/proc/{chamber}/task/{chamber}/children");
    for _ in 0..200 {
        let found = std::fs::read_to_string(&children).unwrap_or_default();
        if let Some(process) = found.split_whitespace().next() {
            return process.parse().ok();
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}
