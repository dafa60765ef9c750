//! The chamber's only loop: accept, read an order, fork, watch, kill, reap.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::{ChamberError, Loaded, limits, process};
use crate::frame::{self, End, Event, Exit, ORDER_BYTES, Order};

/// How long a connection may take to say its order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that the chamber watches.
pub(super) struct Watch {
    listener: Option<UnixListener>,
    control: OwnedFd,
    threads: limits::ThreadCount,
    jobs_max: usize,
    orders: Vec<Waiting>,
    jobs: Vec<Running>,
}

/// A connection whose order has not come whole.
struct Waiting {
    connection: UnixStream,
    order: [u8; ORDER_BYTES],
    read: usize,
    until: Instant,
}

/// A job process.
struct Running {
    ticket: u64,
    pid: Pid,
    pidfd: OwnedFd,
    /// The chamber's copy of the job's connection: to see the service's end close, and to keep the
    /// end-of-file back from the service until the process is reaped.
    connection: OwnedFd,
    deadline: Instant,
    killed: Option<End>,
}

impl Watch {
    pub(super) fn new(
        listener: UnixListener,
        control: OwnedFd,
        jobs_max: usize,
        threads: limits::ThreadCount,
    ) -> Result<Self, ChamberError> {
        listener.set_nonblocking(true).map_err(ChamberError::os("make the chamber's socket non-blocking"))?;
        Ok(Watch {
            listener: Some(listener),
            control,
            threads,
            jobs_max,
            orders: Vec::new(),
            jobs: Vec::new(),
        })
    }

    /// Until the service has closed the control connection and the last job has ended.
    pub(super) fn run(&mut self, loaded: &Loaded) -> Result<(), ChamberError> {
        while self.listener.is_some() || !self.jobs.is_empty() {
            let ready = self.poll().map_err(ChamberError::os("poll"))?;
            if ready.control {
                self.listener = None;
                self.orders.clear();
            }
            self.kill_the_dropped(&ready.dropped);
            self.reap(&ready.dead)?;
            self.read_orders(&ready.spoke, loaded)?;
            self.kill_at_deadlines();
            if ready.knocked {
                self.accept();
            }
        }
        Ok(())
    }

    /// Writes an event. A service that does not listen any more closes everything else too.
    pub(super) fn tell(&mut self, event: &Event) {
        let frame = frame::encode(event, b"");
        let mut rest = &frame[..];
        while !rest.is_empty() {
            match rustix::io::write(&self.control, rest) {
                Ok(written) => rest = &rest[written..],
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return self.listener = None,
            }
        }
    }

    fn poll(&self) -> io::Result<Ready> {
        // Once it is closed, the control connection would be ready for ever.
        let mut fds = Vec::new();
        fds.extend(self.listener.iter().map(|_| PollFd::new(&self.control, PollFlags::RDHUP)));
        fds.extend(self.orders.iter().map(|waiting| PollFd::new(&waiting.connection, PollFlags::IN)));
        fds.extend(self.jobs.iter().map(|job| PollFd::new(&job.pidfd, PollFlags::IN)));
        fds.extend(self.jobs.iter().map(|job| PollFd::new(&job.connection, PollFlags::RDHUP)));
        fds.extend(self.listener.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        match rustix::event::poll(&mut fds, self.time_left().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut fired = fds.iter().map(|fd| !fd.revents().is_empty());
        let listeners = usize::from(self.listener.is_some());
        let mut take = |count| fired.by_ref().take(count).collect::<Vec<bool>>();
        Ok(Ready {
            control: take(listeners) == [true],
            spoke: take(self.orders.len()),
            dead: take(self.jobs.len()),
            dropped: take(self.jobs.len()),
            knocked: take(listeners) == [true],
        })
    }

    /// Until the nearest deadline; for ever where there is none.
    fn time_left(&self) -> Option<Timespec> {
        let deadlines = self.jobs.iter().filter(|job| job.killed.is_none()).map(|job| job.deadline);
        let nearest = deadlines.chain(self.orders.iter().map(|waiting| waiting.until)).min()?;
        let left = nearest.saturating_duration_since(Instant::now());
        Timespec::try_from(left).ok()
    }

    fn kill_at_deadlines(&mut self) {
        let now = Instant::now();
        self.orders.retain(|waiting| waiting.until > now);
        for job in self.jobs.iter_mut().filter(|job| job.deadline <= now) {
            job.kill(End::TimedOut);
        }
    }

    fn kill_the_dropped(&mut self, dropped: &[bool]) {
        for (job, _) in self.jobs.iter_mut().zip(dropped).filter(|(_, dropped)| **dropped) {
            job.kill(End::Dropped);
        }
    }

    /// Tells the ends, and only then lets the connections close.
    fn reap(&mut self, dead: &[bool]) -> Result<(), ChamberError> {
        for index in (0..dead.len()).rev().filter(|index| dead[*index]) {
            let job = self.jobs.swap_remove(index);
            let (end, peak_bytes) = job.reap().map_err(ChamberError::os("reap a job process"))?;
            self.tell(&Event::Ended { ticket: job.ticket, end, peak_bytes });
        }
        Ok(())
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        // A connection that is gone before it is accepted is nobody's loss.
        let Ok((connection, _)) = listener.accept() else { return };
        if self.orders.len() + self.jobs.len() < self.jobs_max {
            let until = Instant::now() + ORDER_TIMEOUT;
            self.orders.push(Waiting { connection, order: [0; ORDER_BYTES], read: 0, until });
        }
    }

    fn read_orders(&mut self, spoke: &[bool], loaded: &Loaded) -> Result<(), ChamberError> {
        for index in (0..spoke.len().min(self.orders.len())).rev().filter(|index| spoke[*index]) {
            match self.orders[index].read() {
                Ok(None) => {}
                Ok(Some(order)) => {
                    let connection = self.orders.swap_remove(index).connection;
                    self.start(connection.into(), order, loaded)?;
                }
                Err(NoOrder) => drop(self.orders.swap_remove(index)),
            }
        }
        Ok(())
    }

    fn start(&mut self, connection: OwnedFd, order: Order, loaded: &Loaded) -> Result<(), ChamberError> {
        self.threads.assert_one()?;
        let deadline = Instant::now() + Duration::from_millis(order.limit_ms);
        let Ok(kept) = connection.try_clone() else { return Ok(()) };
        let chamber = rustix::process::getpid();
        // SAFETY: this process has one thread, so no lock is held by another; the child never returns.
        let pid = match unsafe { libc::fork() } {
            0 => process::run(connection, &order, chamber, loaded),
            pid => pid,
        };
        // A refused fork closes the connection, which the service sees as a fault of ours.
        let Some(child) = Pid::from_raw(pid).filter(|_| pid > 0) else { return Ok(()) };
        let pidfd = rustix::process::pidfd_open(child, PidfdFlags::empty())
            .map_err(|error| ChamberError::os("open a job process's descriptor")(error.into()))?;
        self.tell(&Event::Started { ticket: order.ticket, pid });
        let ticket = order.ticket;
        self.jobs.push(Running { ticket, pid: child, pidfd, connection: kept, deadline, killed: None });
        Ok(())
    }
}

/// What [`Watch::poll`] saw, in the order of the lists that it looked at.
struct Ready {
    control: bool,
    spoke: Vec<bool>,
    dead: Vec<bool>,
    dropped: Vec<bool>,
    knocked: bool,
}

/// The connection said something that is not an order, or closed.
struct NoOrder;

impl Waiting {
    /// Reads what is there without waiting, and not a byte of the frame that follows.
    fn read(&mut self) -> Result<Option<Order>, NoOrder> {
        let rest = &mut self.order[self.read..];
        match rustix::net::recv(&self.connection, rest, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(NoOrder),
            Ok((read, _)) => self.read += read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => return Err(NoOrder),
        }
        if self.read < ORDER_BYTES {
            return Ok(None);
        }
        Order::from_bytes(&self.order).map(Some).ok_or(NoOrder)
    }
}

impl Running {
    /// Kills the process, once; the first reason stands.
    fn kill(&mut self, why: End) {
        if self.killed.is_none() {
            self.killed = Some(why);
            // Fails only for a process that is dead already, which is what is wanted.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
    }

    /// How it ended, and the most memory that it had resident, in bytes.
    fn reap(&self) -> io::Result<(End, u64)> {
        let mut status = 0;
        // SAFETY: plain numbers, of which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both live here, and the process is our child, dead and not reaped.
        match unsafe { libc::wait4(self.pid.as_raw_pid(), &mut status, 0, &mut usage) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok((self.end(ExitStatus::from_raw(status)), usage.ru_maxrss.cast_unsigned() * 1024)),
        }
    }

    fn end(&self, status: ExitStatus) -> End {
        if let Some(code) = status.code() {
            return Exit::end(code);
        }
        match status.signal() {
            Some(libc::SIGKILL) => self.killed.unwrap_or(End::Killed),
            Some(libc::SIGXCPU | libc::SIGALRM) => End::TimedOut,
            // A trap is an abort of the compiler's making.
            Some(libc::SIGABRT | libc::SIGTRAP | libc::SIGFPE) => End::Aborted,
            Some(libc::SIGSYS | libc::SIGSEGV | libc::SIGBUS | libc::SIGILL) => End::Violation,
            Some(_) => End::Killed,
            None => End::Unknown,
        }
    }
}
