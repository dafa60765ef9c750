//! The services: each a real `sealprove serve` behind a proxy of its own, started again a moment after it
//! dies, as a supervisor would.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Trouble;
use super::cluster::Cluster;
use super::deployment::Deployment;
use super::journal::unix_ms;
use super::proxy::{Proxy, Weather};
use super::traps::Traps;
use super::wire::Wire;
use crate::kit::{Process, children_of, kill};

/// Interval between a supervisor's looks at its service.
const LOOK: Duration = Duration::from_millis(100);
/// Time that a service may take to stop.
const STOP: Duration = Duration::from_secs(45);

/// A service, whichever process it is at the moment.
pub(crate) struct Service {
    index: usize,
    /// 0 while there is none.
    pid: AtomicI32,
}

impl Service {
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid > 0)
    }

    /// Kills the service's own process and nothing else.
    pub(crate) fn crash(&self) {
        if let Some(pid) = self.pid() {
            kill(pid, Signal::KILL);
        }
    }

    /// Stops service, chamber and jobs, as a machine that hangs would.
    pub(crate) fn freeze_for(&self, duration: Duration) {
        let Some(group) = self.pid().and_then(Pid::from_raw) else { return };
        let _ = rustix::process::kill_process_group(group, Signal::STOP);
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            let _ = rustix::process::kill_process_group(group, Signal::CONT);
        });
    }

    pub(crate) fn chamber(&self) -> Option<i32> {
        let launcher = *children_of(self.pid()?).first()?;
        children_of(launcher).first().copied()
    }
}

/// All services.
pub(crate) struct Services {
    pub(crate) all: Vec<Arc<Service>>,
    proxies: Vec<Proxy>,
    supervisors: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Services {
    pub(crate) async fn start(
        count: usize,
        deployment: &Arc<Deployment>,
        cluster: &Cluster,
        wire: &Arc<Wire>,
        traps: &Arc<Traps>,
    ) -> Result<Self, Trouble> {
        let (stop, stopped) = watch::channel(false);
        let mut services = Services { all: Vec::new(), proxies: Vec::new(), supervisors: Vec::new(), stop };
        for index in 0..count {
            let service = Arc::new(Service { index, pid: AtomicI32::new(0) });
            let proxy = Proxy::start(&service, &cluster.addresses(), wire, traps).await?;
            let supervisor = Supervisor {
                service: service.clone(),
                deployment: deployment.clone(),
                url: proxy.url(),
                wire: wire.clone(),
                stopped: stopped.clone(),
            };
            services.supervisors.push(tokio::spawn(supervisor.run()));
            services.all.push(service);
            services.proxies.push(proxy);
        }
        Ok(services)
    }

    pub(crate) fn weather(&self, service: usize, weather: Weather) {
        self.proxies[service].weather(weather);
    }

    /// Stops all of them in good order.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        self.stop.send_replace(true);
        for supervisor in self.supervisors {
            let stopped = tokio::time::timeout(STOP, supervisor).await;
            stopped.map_err(|_| "a service does not stop when it is told to")??;
        }
        Ok(())
    }
}

struct Supervisor {
    service: Arc<Service>,
    deployment: Arc<Deployment>,
    url: String,
    wire: Arc<Wire>,
    stopped: watch::Receiver<bool>,
}

impl Supervisor {
    async fn run(mut self) {
        while !*self.stopped.borrow() {
            self.wire.forget(self.service.index);
            let mut process = Process::start(&mut self.deployment.serve(self.service.index, &self.url));
            self.service.pid.store(process.pid(), Ordering::Relaxed);
            let mut told = false;
            while process.exit_code().is_none() {
                if *self.stopped.borrow_and_update() && !told {
                    process.terminate();
                    told = true;
                }
                tokio::time::sleep(LOOK).await;
            }
            self.service.pid.store(0, Ordering::Relaxed);
            if told {
                return;
            }
            // What the dead one has started is left alone until then.
            tokio::time::sleep(Duration::from_millis(1000 + unix_ms() % 2000)).await;
        }
    }
}
