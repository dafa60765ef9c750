//! Limits of a process, and its protection from other processes of the same user.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use super::error::ChamberError;
use crate::frame::{Order, STACK_BYTES};

/// Processor time of a job beyond its limit times its threads, before the kernel kills it, in seconds.
const CPU_SLACK_SECONDS: u64 = 5;
/// File descriptors of a job process: its connection, the two standard streams, and some to spare.
const FILES_MAX: u64 = 16;
/// Time in which the threads that built the keys must have ended.
const THREADS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which the kernel ends a job that the chamber has not ended at its limit, in seconds.
const ALARM_SLACK_SECONDS: u64 = 5;
/// Niceness of proving: keeping leases alive is more urgent.
const NICENESS: i32 = 5;

/// The number of threads of this process. The file is opened early, since a locked process can open none.
pub(super) struct ThreadCount(File);

impl ThreadCount {
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc/self/stat").map(ThreadCount)
    }

    /// Reads field 20 of proc_pid_stat(5). Fields are counted from the end of the command's name, which stands in
    /// parentheses and may contain anything.
    fn get(&self) -> io::Result<u64> {
        let mut buffer = [0; 1024];
        let length = self.0.read_at(&mut buffer, 0)?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let threads = fields.split_whitespace().nth(17).and_then(|field| field.parse().ok());
        threads.ok_or_else(|| io::Error::other("no thread count"))
    }

    /// Waits until this process has one thread. A thread that has been joined is still counted until the kernel has
    /// removed it.
    pub(super) fn wait_for_one_thread(&self) -> Result<(), ChamberError> {
        let until = Instant::now() + THREADS_TIMEOUT;
        while self.assert_one().is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.assert_one()
    }

    /// Checks that this process has one thread.
    pub(super) fn assert_one(&self) -> Result<(), ChamberError> {
        match self.get().map_err(ChamberError::os("read the thread count"))? {
            1 => Ok(()),
            threads => Err(ChamberError::Threads(threads)),
        }
    }
}

/// Returns the memory of this process that `RLIMIT_DATA` counts, in bytes: private and writable memory, here with the
/// stack. It is field 6 of proc_pid_statm(5), in pages.
pub(super) fn data_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(5).and_then(|field| field.parse::<u64>().ok());
    let bytes = pages.map(|pages| pages * rustix::param::page_size() as u64);
    bytes.ok_or_else(|| io::Error::other("no data size"))
}

/// Forbids that memory of this process is written to a core file, or read by a process of the same user.
pub(super) fn forbid_dumps() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Has malloc read what it needs to know of the machine while it may. When the heap of a thread first shrinks, glibc opens
/// a file of /proc, and a locked process would be killed for that.
pub(super) fn warm_malloc_up() {
    const BLOCK_BYTES: usize = 64 * 1024;
    std::thread::scope(|scope| {
        // More memory than malloc keeps, in blocks small enough to come from a heap and not from the kernel.
        scope.spawn(|| drop(std::hint::black_box([(); 64].map(|()| vec![1_u8; BLOCK_BYTES]))));
    });
}

/// Sets the name that `ps` and `top` show, of at most 15 bytes. Best effort: nothing depends on it.
pub(super) fn name_process(name: &std::ffi::CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Ignores the signals that ask for a stop, and leaves the decision to the service. A terminal or a supervisor signals the
/// whole process group, and that would end jobs that the service still waits for.
pub(crate) fn ignore_stop_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Sets the limits of this job process. It dies with the chamber, gains no privilege, opens few files, takes no more memory
/// than the order grants beyond its `birth_bytes`, and is ended by the kernel if the chamber fails to end it.
pub(super) fn limit_job(order: &Order, chamber: rustix::process::Pid, birth_bytes: u64) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The chamber may have died before that call.
    if rustix::process::getppid() != Some(chamber) {
        return Err(io::Error::other("the chamber died"));
    }
    rustix::thread::set_no_new_privs(true)?;
    let seconds = order.limit_ms.div_ceil(1000);
    let cpu = seconds.saturating_mul(u64::from(order.threads)).saturating_add(CPU_SLACK_SECONDS);
    // The soft limit sends SIGXCPU, which tells the chamber why. The hard one kills, and cannot be blocked.
    rustix::process::setrlimit(
        Resource::Cpu,
        Rlimit { current: Some(cpu), maximum: Some(cpu.saturating_add(1)) },
    )?;
    rustix::process::setrlimit(Resource::Nofile, hard(FILES_MAX))?;
    let stacks = u64::from(order.threads).saturating_mul(STACK_BYTES);
    let memory = birth_bytes.saturating_add(stacks).saturating_add(order.memory_bytes);
    rustix::process::setrlimit(Resource::Data, hard(memory))?;
    // RLIMIT_DATA does not count the first thread's stack, which grows when code touches what lies below it.
    rustix::process::setrlimit(Resource::Stack, hard(STACK_BYTES))?;
    // Best effort: a container may forbid it, and only latency depends on it.
    let _ = rustix::process::nice(NICENESS);
    end_after(seconds.saturating_add(ALARM_SLACK_SECONDS))?;
    forbid_dumps()
}

fn hard(limit: u64) -> Rlimit {
    Rlimit { current: Some(limit), maximum: Some(limit) }
}

/// Has the kernel end this process by SIGALRM after this time, should the chamber not have done so.
fn end_after(seconds: u64) -> io::Result<()> {
    let value = libc::timeval { tv_sec: seconds.min(i32::MAX as u64).cast_signed(), tv_usec: 0 };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: the call reads one structure that lives here, and writes none.
    match unsafe { libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
