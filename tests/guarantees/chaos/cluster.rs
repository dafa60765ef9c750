//! The brokers: real nats-servers in one cluster, every write synced, on loopback.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Trouble;
use crate::kit::{Process, kill, nats_server};

/// Time that a broker may take to start, or to stop in good order.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval between looks at it meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// A broker, whether it runs or not.
struct Broker {
    folder: PathBuf,
    address: SocketAddr,
    process: Mutex<Option<Process>>,
}

/// All brokers.
pub(crate) struct Cluster {
    brokers: Vec<Broker>,
}

impl Cluster {
    /// Starts so many brokers. The first keeps its store on the small disk, where there is one.
    pub(crate) async fn start(
        folder: &Path,
        count: usize,
        small_disk: Option<&Path>,
    ) -> Result<Self, Trouble> {
        let (ports, routes) = (free_ports(count)?, free_ports(count)?);
        let mut brokers = Vec::new();
        for index in 0..count {
            let own = folder.join(name(index));
            std::fs::create_dir(&own)?;
            let store = small_disk.filter(|_| index == 0).map_or(own.join("store"), Path::to_owned);
            std::fs::write(own.join("nats.conf"), configuration(index, &ports, &routes, &store))?;
            let address = SocketAddr::from(([127, 0, 0, 1], ports[index]));
            brokers.push(Broker { folder: own, address, process: Mutex::default() });
        }
        let cluster = Cluster { brokers };
        cluster.restart_all().await?;
        Ok(cluster)
    }

    pub(crate) fn count(&self) -> usize {
        self.brokers.len()
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.brokers.iter().map(|broker| broker.address).collect()
    }

    /// All brokers, as a configuration names them.
    pub(crate) fn url(&self) -> String {
        url(&self.addresses())
    }

    pub(crate) fn kill(&self, broker: usize) {
        if let Some(mut process) = self.brokers[broker].process().take() {
            process.crash();
        }
    }

    pub(crate) fn freeze(&self, broker: usize) {
        self.brokers[broker].signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self, broker: usize) {
        self.brokers[broker].signal(Signal::CONT);
    }

    /// Has a broker send its clients away and end, and waits until it has.
    pub(crate) async fn lame_duck(&self, broker: usize) -> Result<(), Trouble> {
        self.brokers[broker].signal(Signal::USR2);
        let until = Instant::now() + PATIENCE;
        while self.brokers[broker].is_running() {
            if Instant::now() > until {
                return Err(format!("{} does not end", name(broker)).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Starts a broker that does not run, and waits until it takes connections.
    pub(crate) async fn restart(&self, broker: usize) -> Result<(), Trouble> {
        let broker = &self.brokers[broker];
        if !broker.is_running() {
            *broker.process() = Some(broker.start()?);
        }
        let until = Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(broker.address).await.is_err() {
            if !broker.is_running() || Instant::now() > until {
                return Err(format!("a broker does not start; see {}", broker.folder.display()).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    pub(crate) async fn restart_all(&self) -> Result<(), Trouble> {
        for broker in 0..self.count() {
            self.restart(broker).await?;
        }
        Ok(())
    }
}

impl Broker {
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Process, Trouble> {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("nats.log"))?;
        let mut command = Command::new(nats_server());
        command.arg("-c").arg(self.folder.join("nats.conf")).stdin(Stdio::null());
        Ok(Process::start(command.stdout(File::open("/dev/null")?).stderr(log)))
    }

    fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| process.exit_code().is_none())
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &*self.process() {
            kill(process.pid(), signal);
        }
    }
}

/// A broker's name, which is also what it is called as a leader.
pub(crate) fn name(index: usize) -> String {
    format!("broker-{index}")
}

/// Addresses as a configuration names them.
pub(crate) fn url(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| format!("nats://{address}")).collect::<Vec<_>>().join(",")
}

fn configuration(index: usize, ports: &[u16], routes: &[u16], store: &Path) -> String {
    let others = routes.iter().enumerate().filter(|(other, _)| *other != index);
    let others: Vec<String> = others.map(|(_, port)| format!("nats://127.0.0.1:{port}")).collect();
    // Clients must not hear of the brokers' own addresses: a service would go round its proxy.
    let cluster = format!(
        "cluster {{ name: chaos, listen: \"127.0.0.1:{}\", no_advertise: true, routes: {others:?} }}\n",
        routes[index]
    );
    format!(
        "server_name: {}\nlisten: \"127.0.0.1:{}\"\n\
         jetstream {{ store_dir: {store:?}, sync_interval: always, max_file_store: 1GB }}\n\
         lame_duck_duration: 30s\nlame_duck_grace_period: 2s\n{}",
        name(index),
        ports[index],
        if ports.len() > 1 { cluster } else { String::new() },
    )
}

fn free_ports(count: usize) -> Result<Vec<u16>, Trouble> {
    // All are held until all are known, so that no two are the same.
    let held: Result<Vec<TcpListener>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    held?.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
