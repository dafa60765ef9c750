//! A proxy between one service and every broker: it passes frames on as they are, unless the weather or
//! a trap has it that they come late, or never.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Trouble;
use super::journal::unix_ms;
use super::nats_frames::Frames;
use super::schedule::Point;
use super::services::Service;
use super::traps::{Sprung, Strike, Trap, Traps};
use super::wire::{Sight, Way, Wire};

/// Time between the report that a job is being proved and the blow at its service.
const INTO_THE_PROOF: Duration = Duration::from_millis(60);

/// The condition of a service's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Delay of every frame.
    pub(crate) delay: Duration,
    /// Nothing passes, and neither side is told.
    pub(crate) stalled: bool,
    /// There are no connections.
    pub(crate) cut: bool,
    /// Acknowledgements of jobs do not arrive.
    pub(crate) swallows_acks: bool,
    /// Acknowledgements of answers do not arrive.
    pub(crate) swallows_stored: bool,
}

/// The proxy of a service: one address for each broker.
pub(crate) struct Proxy {
    addresses: Vec<SocketAddr>,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    pub(crate) async fn start(
        service: &Arc<Service>,
        brokers: &[SocketAddr],
        wire: &Arc<Wire>,
        traps: &Arc<Traps>,
    ) -> Result<Self, Trouble> {
        let (weather, sky) = watch::channel(Weather::default());
        let mut addresses = Vec::new();
        for (broker, upstream) in brokers.iter().copied().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?);
            let (service, wire, traps) = (service.clone(), wire.clone(), traps.clone());
            let line = Line { service, broker, wire, traps, weather: sky.clone() };
            tokio::spawn(accept(listener, upstream, line));
        }
        Ok(Proxy { addresses, weather })
    }

    /// Returns the address that the service is configured with.
    pub(crate) fn url(&self) -> String {
        super::cluster::url(&self.addresses)
    }

    pub(crate) fn weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// Between a service and one of the brokers.
#[derive(Clone)]
struct Line {
    service: Arc<Service>,
    broker: usize,
    wire: Arc<Wire>,
    traps: Arc<Traps>,
    weather: watch::Receiver<Weather>,
}

async fn accept(listener: TcpListener, upstream: SocketAddr, line: Line) {
    while let Ok((service, _)) = listener.accept().await {
        if !line.weather.borrow().cut {
            tokio::spawn(line.clone().relay(service, upstream));
        }
    }
}

impl Line {
    /// Passes frames on in both directions, until either side ends or the connection is cut.
    async fn relay(mut self, service: TcpStream, upstream: SocketAddr) {
        let Ok(broker) = TcpStream::connect(upstream).await else { return };
        if service.set_nodelay(true).and_then(|()| broker.set_nodelay(true)).is_err() {
            return;
        }
        let (from_service, to_service) = service.into_split();
        let (from_broker, to_broker) = broker.into_split();
        let (there, back) = (self.clone(), self.clone());
        tokio::select! {
            _ = there.pump(Way::ToBroker, from_service, to_broker) => {}
            _ = back.pump(Way::ToService, from_broker, to_service) => {}
            _ = self.weather.wait_for(|weather| weather.cut) => {}
        }
    }

    async fn pump(
        mut self,
        way: Way,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) -> Result<(), Trouble> {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            frames.push(&buffer[..read]);
            self.weather.wait_for(|weather| !weather.stalled).await?;
            let delay = self.weather.borrow().delay;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            while let Some(frame) = frames.next().map_err(|_| "not a frame")? {
                let sight = self.wire.see(self.service.index(), self.broker, way, &frame);
                if self.passes(&sight).await {
                    to.write_all(frame.bytes()).await?;
                }
            }
        }
    }

    /// Decides whether a frame arrives, perhaps after a delay.
    async fn passes(&self, sight: &Sight) -> bool {
        if let Some((trap, job)) = self.traps.sprung_by(sight) {
            return self.spring(trap, job).await;
        }
        let weather = *self.weather.borrow();
        match sight {
            Sight::Acknowledging(job) if weather.swallows_acks => {
                self.wire.swallow(self.service.index(), job)
            }
            Sight::Stored(job) if weather.swallows_stored => {
                self.wire.swallow_stored(self.service.index(), job)
            }
            _ => return true,
        }
        false
    }

    /// Strikes the service; says whether the frame arrives nevertheless.
    async fn spring(&self, trap: Trap, job: String) -> bool {
        if trap.point == Point::WhileProving && trap.strike != Strike::Nothing {
            // The message that the job is being proved arrives; the blow comes a little later.
            let (line, trap) = (self.clone(), trap);
            tokio::spawn(async move {
                tokio::time::sleep(INTO_THE_PROOF).await;
                line.strike(trap, job);
            });
            return true;
        }
        match self.strike(trap, job) {
            Strike::Nothing => true,
            Strike::Kill => false,
            Strike::Freeze(duration) => {
                // It arrives late: what the service had sent races with what was done meanwhile.
                tokio::time::sleep(duration).await;
                true
            }
        }
    }

    fn strike(&self, trap: Trap, job: String) -> Strike {
        let service = self.service.index();
        let held = self.wire.held(service);
        match trap.strike {
            Strike::Kill => self.service.crash(),
            Strike::Freeze(duration) => self.service.freeze_for(duration),
            Strike::Nothing => {}
        }
        let _ = trap.sprung.send(Sprung { service, at: unix_ms(), job, held });
        trap.strike
    }
}
