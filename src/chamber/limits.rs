//! What a process may use, and what may be known of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use super::ChamberError;
use crate::frame::{Order, STACK_BYTES};

/// Processor seconds that a job may use beyond its limit times its threads, before the kernel kills it.
const CPU_SLACK_SECONDS: u64 = 5;
/// File descriptors of a job process: its connection, the two standard streams, and room to spare.
const FILES_MAX: u64 = 16;
/// How long the threads that built the keys may take to be gone.
const THREADS_TIMEOUT: Duration = Duration::from_secs(10);
/// How much later than the chamber the kernel ends a job by its own clock, in seconds.
const ALARM_SLACK_SECONDS: u64 = 5;
/// How much less urgent proving is than keeping leases alive.
const NICENESS: i32 = 5;

/// Says how many threads this process has, also once it can open no file.
pub(super) struct ThreadCount(File);

impl ThreadCount {
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc/self/stat").map(ThreadCount)
    }

    /// proc_pid_stat(5): field 20, counted from the end of the command's name in parentheses.
    fn get(&self) -> io::Result<u64> {
        let mut buffer = [0; 1024];
        let length = self.0.read_at(&mut buffer, 0)?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let threads = fields.split_whitespace().nth(17).and_then(|field| field.parse().ok());
        threads.ok_or_else(|| io::Error::other("no thread count"))
    }

    /// A thread that has been joined is still counted for a moment, until the kernel has buried it.
    pub(super) fn wait_for_one_thread(&self) -> Result<(), ChamberError> {
        let until = Instant::now() + THREADS_TIMEOUT;
        while self.assert_one().is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.assert_one()
    }

    pub(super) fn assert_one(&self) -> Result<(), ChamberError> {
        match self.get().map_err(ChamberError::os("read the thread count"))? {
            1 => Ok(()),
            threads => Err(ChamberError::Threads(threads)),
        }
    }
}

/// What `RLIMIT_DATA` counts of this process, and a little more: private memory that can be written, with the
/// stack. proc_pid_statm(5): field 6, in pages.
pub(super) fn data_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(5).and_then(|field| field.parse::<u64>().ok());
    let bytes = pages.map(|pages| pages * rustix::param::page_size() as u64);
    bytes.ok_or_else(|| io::Error::other("no data size"))
}

/// No memory of this process is ever written to a file, or read by a process of the same user.
pub(super) fn no_core_dumps() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Has malloc find out what it wants to know of the machine while it may: when a thread's heap first shrinks,
/// glibc opens a file of /proc, and from the lock on that would be the end of the process.
pub(super) fn acquaint_malloc() {
    const BLOCK_BYTES: usize = 64 * 1024;
    std::thread::scope(|scope| {
        // More than it keeps, of blocks that come from a heap and not from the kernel.
        scope.spawn(|| drop(std::hint::black_box([(); 64].map(|()| vec![1_u8; BLOCK_BYTES]))));
    });
}

/// What `ps` and `top` show, at most 15 bytes. Best effort: nothing hangs on it.
pub(super) fn name_process(name: &std::ffi::CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Leaves it to the service when to end: a terminal's interrupt or end and a supervisor's stop reach the
/// whole group, and would end the jobs that the service means to wait for.
pub(crate) fn leave_stopping_to_the_service() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// The limits of a job process, set in it. It dies with the chamber, gains no privilege, opens few files, takes
/// no more memory than it was granted beyond its `birth_bytes`, and the kernel ends it should the chamber not.
pub(super) fn limit_job(order: &Order, chamber: rustix::process::Pid, birth_bytes: u64) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(chamber) {
        return Err(io::Error::other("the chamber died"));
    }
    rustix::thread::set_no_new_privs(true)?;
    let hard = |limit: u64| Rlimit { current: Some(limit), maximum: Some(limit) };
    let seconds = order.limit_ms.div_ceil(1000);
    let cpu = seconds.saturating_mul(u64::from(order.threads)).saturating_add(CPU_SLACK_SECONDS);
    // The soft limit is a signal that says why; the hard one cannot be blocked.
    rustix::process::setrlimit(
        Resource::Cpu,
        Rlimit { current: Some(cpu), maximum: Some(cpu.saturating_add(1)) },
    )?;
    rustix::process::setrlimit(Resource::Nofile, hard(FILES_MAX))?;
    let stacks = u64::from(order.threads).saturating_mul(STACK_BYTES);
    let memory = birth_bytes.saturating_add(stacks).saturating_add(order.memory_bytes);
    rustix::process::setrlimit(Resource::Data, hard(memory))?;
    // Which does not count the first thread's stack: that grows when somebody touches what lies below it.
    rustix::process::setrlimit(Resource::Stack, hard(STACK_BYTES))?;
    // Best effort: a container may forbid it, and nothing but latency hangs on it.
    let _ = rustix::process::nice(NICENESS);
    wake_at(seconds.saturating_add(ALARM_SLACK_SECONDS))?;
    no_core_dumps()
}

/// Has the kernel end this process by SIGALRM, should nobody else have done so.
fn wake_at(seconds: u64) -> io::Result<()> {
    let value = libc::timeval { tv_sec: seconds.min(i32::MAX as u64).cast_signed(), tv_usec: 0 };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: reads one structure that lives here, and writes none.
    match unsafe { libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
