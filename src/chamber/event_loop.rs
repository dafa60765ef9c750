//! The chamber's event loop: accept, read an order, fork, watch, kill, reap.
//!
//! It has one thread and never blocks but in poll(2), so that every deadline is kept.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::error::ChamberError;
use super::limits::ThreadCount;
use super::loaded::Loaded;
use super::process;
use crate::frame::{self, ChamberEvent, End, ORDER_BYTES, Order};

/// Time in which a connection must send its order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// The event loop, with everything that it watches.
pub(super) struct EventLoop {
    /// `None` once no more jobs are taken.
    listener: Option<UnixListener>,
    control: OwnedFd,
    threads: ThreadCount,
    jobs_max: usize,
    orders: Vec<PendingOrder>,
    jobs: Vec<JobProcess>,
}

/// A connection whose order has not arrived whole.
struct PendingOrder {
    connection: UnixStream,
    order: [u8; ORDER_BYTES],
    read: usize,
    until: Instant,
}

/// A job process.
struct JobProcess {
    ticket: u64,
    pid: Pid,
    pidfd: OwnedFd,
    /// The chamber's copy of the job's connection. It shows when the service closes its end, and keeps the service from
    /// reading the end of the file before the process is reaped and its end reported.
    connection: OwnedFd,
    deadline: Instant,
    killed: Option<End>,
}

impl EventLoop {
    pub(super) fn new(
        listener: UnixListener,
        control: OwnedFd,
        jobs_max: usize,
        threads: ThreadCount,
    ) -> Result<Self, ChamberError> {
        listener.set_nonblocking(true).map_err(ChamberError::os("make the chamber's socket non-blocking"))?;
        Ok(EventLoop {
            listener: Some(listener),
            control,
            threads,
            jobs_max,
            orders: Vec::new(),
            jobs: Vec::new(),
        })
    }

    /// Runs until the service has closed the control connection and the last job has ended.
    pub(super) fn run(&mut self, loaded: &Loaded) -> Result<(), ChamberError> {
        while self.listener.is_some() || !self.jobs.is_empty() {
            let polled = self.poll().map_err(ChamberError::os("poll"))?;
            if polled.is_stopped {
                self.listener = None;
                self.orders.clear();
            }
            // In this order: each list is changed only after what poll saw of it is used.
            self.kill_dropped(&polled.dropped);
            self.reap(&polled.dead)?;
            self.read_orders(&polled.readable, loaded)?;
            self.kill_overdue();
            if polled.has_connection {
                self.accept();
            }
        }
        Ok(())
    }

    /// Sends an event to the service. If that fails the service is gone, and the chamber stops.
    pub(super) fn send(&mut self, event: &ChamberEvent) {
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

    fn poll(&self) -> io::Result<Polled> {
        // A closed control connection is left out: it would wake every poll from then on.
        let mut fds = Vec::new();
        fds.extend(self.listener.iter().map(|_| PollFd::new(&self.control, PollFlags::RDHUP)));
        fds.extend(self.orders.iter().map(|order| PollFd::new(&order.connection, PollFlags::IN)));
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
        Ok(Polled {
            is_stopped: take(listeners) == [true],
            readable: take(self.orders.len()),
            dead: take(self.jobs.len()),
            dropped: take(self.jobs.len()),
            has_connection: take(listeners) == [true],
        })
    }

    /// Returns the time until the nearest deadline, or `None` if there is none.
    fn time_left(&self) -> Option<Timespec> {
        let deadlines = self.jobs.iter().filter(|job| job.killed.is_none()).map(|job| job.deadline);
        let nearest = deadlines.chain(self.orders.iter().map(|order| order.until)).min()?;
        let left = nearest.saturating_duration_since(Instant::now());
        Timespec::try_from(left).ok()
    }

    fn kill_overdue(&mut self) {
        let now = Instant::now();
        self.orders.retain(|order| order.until > now);
        for job in self.jobs.iter_mut().filter(|job| job.deadline <= now) {
            job.kill(End::TimedOut);
        }
    }

    fn kill_dropped(&mut self, dropped: &[bool]) {
        for (job, _) in self.jobs.iter_mut().zip(dropped).filter(|(_, dropped)| **dropped) {
            job.kill(End::Dropped);
        }
    }

    /// Reports the ends of dead processes, and only then closes their connections: the service reads the end of a job
    /// before the end of its connection.
    fn reap(&mut self, dead: &[bool]) -> Result<(), ChamberError> {
        for index in (0..dead.len()).rev().filter(|index| dead[*index]) {
            let job = self.jobs.swap_remove(index);
            let (end, peak_bytes) = job.reap().map_err(ChamberError::os("reap a job process"))?;
            self.send(&ChamberEvent::Ended { ticket: job.ticket, end, peak_bytes });
        }
        Ok(())
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        // Fails if the service has closed the connection meanwhile.
        let Ok((connection, _)) = listener.accept() else { return };
        // A connection above the limit is closed.
        if self.orders.len() + self.jobs.len() < self.jobs_max {
            let until = Instant::now() + ORDER_TIMEOUT;
            self.orders.push(PendingOrder { connection, order: [0; ORDER_BYTES], read: 0, until });
        }
    }

    fn read_orders(&mut self, readable: &[bool], loaded: &Loaded) -> Result<(), ChamberError> {
        // From the end, since `swap_remove` moves the last one. There are fewer orders than poll saw after a stop.
        let known = readable.len().min(self.orders.len());
        for index in (0..known).rev().filter(|index| readable[*index]) {
            match self.orders[index].read() {
                Ok(None) => {}
                Ok(Some(order)) => {
                    let connection = self.orders.swap_remove(index).connection;
                    self.start(connection.into(), order, loaded)?;
                }
                Err(NotAnOrder) => drop(self.orders.swap_remove(index)),
            }
        }
        Ok(())
    }

    fn start(&mut self, connection: OwnedFd, order: Order, loaded: &Loaded) -> Result<(), ChamberError> {
        self.threads.assert_one()?;
        let deadline = Instant::now() + Duration::from_millis(order.limit_ms);
        let Ok(kept) = connection.try_clone() else { return Ok(()) };
        let chamber = rustix::process::getpid();
        // SAFETY: this process has one thread, so no other holds a lock, and the child never returns.
        let pid = match unsafe { libc::fork() } {
            0 => process::run(connection, &order, chamber, loaded),
            pid => pid,
        };
        // A failed fork closes the connection, and the service tries the job again.
        let Some(child) = Pid::from_raw(pid).filter(|_| pid > 0) else { return Ok(()) };
        let pidfd = rustix::process::pidfd_open(child, PidfdFlags::empty())
            .map_err(|error| ChamberError::os("open a job process's descriptor")(error.into()))?;
        self.send(&ChamberEvent::Started { ticket: order.ticket, pid });
        let ticket = order.ticket;
        self.jobs.push(JobProcess { ticket, pid: child, pidfd, connection: kept, deadline, killed: None });
        Ok(())
    }
}

/// The result of [`EventLoop::poll`]. Each list has the order of the list that was polled.
struct Polled {
    /// The service has closed the control connection.
    is_stopped: bool,
    /// Connections with bytes of an order.
    readable: Vec<bool>,
    /// Processes that are dead.
    dead: Vec<bool>,
    /// Processes whose connection the service has closed.
    dropped: Vec<bool>,
    /// A connection can be accepted.
    has_connection: bool,
}

/// A connection that sent something other than an order, or closed.
struct NotAnOrder;

impl PendingOrder {
    /// Reads the bytes that have arrived, and none of the frame that follows the order.
    fn read(&mut self) -> Result<Option<Order>, NotAnOrder> {
        let rest = &mut self.order[self.read..];
        match rustix::net::recv(&self.connection, rest, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(NotAnOrder),
            Ok((read, _)) => self.read += read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => return Err(NotAnOrder),
        }
        if self.read < ORDER_BYTES {
            return Ok(None);
        }
        Order::from_bytes(&self.order).map(Some).ok_or(NotAnOrder)
    }
}

impl JobProcess {
    /// Kills the process, once. The first reason is reported.
    fn kill(&mut self, why: End) {
        if self.killed.is_none() {
            self.killed = Some(why);
            // Fails only for a process that is dead already.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
    }

    /// Reaps the process. Returns the way in which it ended, and its largest resident set in bytes.
    fn reap(&self) -> io::Result<(End, u64)> {
        let mut status = 0;
        // SAFETY: a struct of plain numbers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both structures live here. The process is a child, dead and not reaped, so this does not block.
        match unsafe { libc::wait4(self.pid.as_raw_pid(), &mut status, 0, &mut usage) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok((self.end(ExitStatus::from_raw(status)), usage.ru_maxrss.cast_unsigned() * 1024)),
        }
    }

    fn end(&self, status: ExitStatus) -> End {
        if let Some(code) = status.code() {
            return End::from_exit_status(code);
        }
        match status.signal() {
            Some(libc::SIGKILL) => self.killed.unwrap_or(End::Killed),
            Some(libc::SIGXCPU | libc::SIGALRM) => End::TimedOut,
            // Compilers abort by a trap, and a division by zero in C raises SIGFPE.
            Some(libc::SIGABRT | libc::SIGTRAP | libc::SIGFPE) => End::Aborted,
            Some(libc::SIGSYS | libc::SIGSEGV | libc::SIGBUS | libc::SIGILL) => End::Violation,
            Some(_) => End::Killed,
            None => End::Unknown,
        }
    }
}
