//! The launcher: starts chambers for a service that has locked itself out of the keys.
//!
//! A process that a locked one starts inherits its locks, so a service cannot start a process that reads keys. Before it
//! locks itself it starts the launcher, which accepts connections: each becomes the control connection of a new chamber.
//! The launcher parses no byte, holds no key, and names no network. It reaps its chambers, kills those that outlive their
//! service, and removes their sockets. It also tells the service when keys or bundle have changed on disk.
//!
//! ```text
//! service ── connects ──▶ launcher ── starts ──▶ chamber ── forks ──▶ jobs
//!    └──────────── that connection is the chamber's control ──┘
//! ```
//!
//! The first connection stands for the service's life: when it closes, the launcher ends its chambers and itself. On the
//! second the launcher sends its notices.

mod changes;
mod orphans;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use tracing::{error, info, warn};

use changes::ChangeWatcher;
pub use changes::{Notice, Watched};

/// Limit of chambers at once: one that works, and one that takes over from it.
pub const CHAMBERS_MAX: usize = 2;
/// Time in which a chamber must end once its service is gone.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Name of the launcher's socket, in its folder.
const SOCKET: &str = "launcher.sock";
/// Name of the copy of a changed bundle, in the folder.
const BUNDLE: &str = "bundle.json";

/// The service's end of the launcher.
#[derive(Debug)]
pub struct Launcher {
    folder: PathBuf,
    /// The launcher lives as long as this connection. The first process of the machine or container reaps it.
    life: UnixStream,
    notices: UnixStream,
}

impl Launcher {
    /// Starts a launcher, which lives as long as the returned value. It starts chambers of this program with these
    /// arguments, and watches for changes.
    ///
    /// # Errors
    /// When the folder for sockets cannot be created, or the process cannot be started.
    pub fn start(watched: &Watched, chamber: &[OsString]) -> io::Result<Self> {
        // Its mode is 0700, so no other user can connect to a socket in it.
        let folder = tempfile::Builder::new().prefix("sealprove-").tempdir()?;
        let socket = folder.path().join(SOCKET);
        let listener = UnixListener::bind(&socket)?;
        let life = UnixStream::connect(&socket)?;
        let notices = UnixStream::connect(&socket)?;
        let mut command = program();
        command.arg("launcher").arg("--folder").arg(folder.path());
        command.arg("--keys").arg(&watched.keys).arg("--bundle").arg(&watched.bundle);
        command.arg("--").args(chamber);
        // A credential in the environment must not reach the key side.
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "SEALPROVE_LOG"));
        command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).spawn()?;
        // From here on the folder is the launcher's to remove.
        Ok(Launcher { folder: folder.keep(), life, notices })
    }

    /// Ends the launcher with its chambers, and returns when they are gone. Blocks for up to ten seconds.
    pub fn finish(&self) {
        // Best effort: the connection also closes when this process ends.
        let _ = self.life.shutdown(Shutdown::Write);
        let _ = self.life.set_read_timeout(Some(STOP_TIMEOUT * 2));
        let _ = (&self.life).read(&mut [0]);
    }

    /// Returns the socket to connect to for a new chamber. The connection becomes its control connection.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Returns the connection on which [`Notice`]s arrive, one byte each.
    ///
    /// # Errors
    /// When the operating system cannot duplicate the descriptor.
    pub fn notices(&self) -> io::Result<UnixStream> {
        self.notices.try_clone()
    }

    /// Returns the folder of sockets and of the bundle's copy. The launcher removes it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of the bundle's copy, which exists once the bundle has changed.
    pub fn bundle(&self) -> PathBuf {
        self.folder.join(BUNDLE)
    }
}

/// Returns a command for this program, even if an upgrade has replaced its file. The name is what `ps` shows.
fn program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sealprove");
    command
}

/// Runs the launcher until its service is gone and its last chamber has ended.
///
/// # Errors
/// When an operation of the operating system fails.
pub fn run(folder: PathBuf, watched: Watched, chamber: Vec<OsString>, listener: OwnedFd) -> io::Result<()> {
    crate::chamber::ignore_stop_signals();
    let changes = ChangeWatcher::new(watched, folder.join(BUNDLE));
    orphans::adopt()?;
    let folder = Folder(folder);
    let listener = UnixListener::from(listener);
    let (life, _) = listener.accept()?;
    let (notices, _) = listener.accept()?;
    // The launcher must not block on a service that does not read.
    notices.set_nonblocking(true)?;
    let mut launcher = LauncherProcess {
        folder,
        changes,
        chamber,
        listener,
        life,
        notices,
        chambers: Vec::new(),
        started: 0,
    };
    while launcher.is_needed() {
        launcher.step()?;
    }
    Ok(())
}

/// The folder of sockets, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: it contains only sockets of processes that are gone, and a public bundle.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The launcher process.
struct LauncherProcess {
    folder: Folder,
    changes: ChangeWatcher,
    chamber: Vec<OsString>,
    listener: UnixListener,
    life: UnixStream,
    notices: UnixStream,
    chambers: Vec<RunningChamber>,
    /// Number of chambers started so far, for the names of their sockets.
    started: usize,
}

/// A chamber that this launcher has started.
struct RunningChamber {
    child: Child,
    pidfd: OwnedFd,
    /// The launcher's copy of the chamber's control connection. It shows when the service hangs up, and keeps the service
    /// from reading the end of the connection before the chamber is reaped.
    control: UnixStream,
    socket: PathBuf,
    /// Time at which it is killed, set once its service has hung up.
    kill_at: Option<Instant>,
}

impl LauncherProcess {
    fn is_needed(&self) -> bool {
        self.has_service() || !self.chambers.is_empty()
    }

    /// Returns whether the service lives: it closes the first connection, or shuts it down, when it ends.
    fn has_service(&self) -> bool {
        !has_event(&self.life, PollFlags::RDHUP)
    }

    fn step(&mut self) -> io::Result<()> {
        let has_connection = self.wait()?;
        self.chambers.retain_mut(|chamber| !chamber.has_ended());
        orphans::reap(|pid| self.chambers.iter().any(|chamber| chamber.pid() == pid));
        if has_connection && self.has_service() {
            self.accept()?;
        }
        if self.has_service() {
            self.report_changes();
        }
        Ok(())
    }

    fn report_changes(&mut self) {
        for notice in self.changes.check() {
            info!(?notice, "changed on disk");
            // Fails if the service has left hundreds of notices unread, and any of those makes it look.
            let _ = (&self.notices).write(&[notice.to_byte()]);
        }
    }

    /// Waits for an event or the nearest deadline. Returns whether there is a connection to accept.
    fn wait(&self) -> io::Result<bool> {
        let mut fds = Vec::new();
        // A connection that has hung up is left out: it would wake every poll from then on.
        if self.has_service() {
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
            fds.push(PollFd::new(&self.life, PollFlags::RDHUP));
        }
        let attended = self.chambers.iter().filter(|chamber| chamber.kill_at.is_none());
        fds.extend(attended.map(|chamber| PollFd::new(&chamber.control, PollFlags::empty())));
        fds.extend(self.chambers.iter().map(|chamber| PollFd::new(&chamber.pidfd, PollFlags::IN)));
        match rustix::event::poll(&mut fds, self.time_left().as_ref()) {
            Ok(_) => Ok(fds.first().is_some_and(|first| first.revents().contains(PollFlags::IN))),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the time until a chamber must be killed or changes are checked, or `None` if neither is due.
    fn time_left(&self) -> Option<Timespec> {
        let kill_at = self.chambers.iter().filter_map(|chamber| chamber.kill_at).min();
        let until_kill = kill_at.map(|kill_at| kill_at.saturating_duration_since(Instant::now()));
        let until_check = self.has_service().then(|| self.changes.time_left());
        let left = until_kill.into_iter().chain(until_check).min()?;
        Timespec::try_from(left).ok()
    }

    fn accept(&mut self) -> io::Result<()> {
        let (control, _) = self.listener.accept()?;
        if self.chambers.len() >= CHAMBERS_MAX {
            // The connection closes here, which the service sees.
            warn!(chambers = self.chambers.len(), "refusing to start another chamber: limit reached");
            return Ok(());
        }
        match self.start(control) {
            Ok(chamber) => self.chambers.push(chamber),
            Err(cause) => error!(%cause, "the chamber cannot be started"),
        }
        Ok(())
    }

    fn start(&mut self, control: UnixStream) -> io::Result<RunningChamber> {
        self.started += 1;
        let socket = self.folder.0.join(format!("chamber-{}.sock", self.started));
        let theirs = OwnedFd::from(control.try_clone()?);
        let mut command = program();
        command.arg("chamber").arg("--listen").arg(&socket).args(&self.chamber);
        let mut child = command.env_clear().stdin(theirs).stdout(Stdio::null()).spawn()?;
        match open_pidfd(&child) {
            Ok(pidfd) => Ok(RunningChamber { child, pidfd, control, socket, kill_at: None }),
            // A chamber whose end the launcher cannot watch must not run.
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

impl RunningChamber {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills the chamber if it is overdue, and reaps it if it is dead. Returns whether it is gone.
    fn has_ended(&mut self) -> bool {
        if self.kill_at.is_none() && has_hung_up(&self.control) {
            self.kill_at = Some(Instant::now() + STOP_TIMEOUT);
        }
        if self.kill_at.is_some_and(|kill_at| kill_at <= Instant::now()) {
            warn!("the chamber did not end in time and is killed");
            let _ = self.child.kill();
            // Leaves time to die, before it is tried again.
            self.kill_at = Some(Instant::now() + STOP_TIMEOUT);
        }
        let Ok(Some(status)) = self.child.try_wait() else { return false };
        if !status.success() && !has_hung_up(&self.control) {
            error!(%status, "the chamber ended by itself");
        }
        // The chamber bound the socket and may have died before it could remove it.
        let _ = std::fs::remove_file(&self.socket);
        true
    }
}

fn open_pidfd(child: &Child) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}

/// Returns whether the other end is closed for both directions. Closed for one, it only asks the chamber to take no more
/// jobs.
fn has_hung_up(connection: &UnixStream) -> bool {
    has_event(connection, PollFlags::HUP)
}

/// Returns whether a connection has an event at this moment.
fn has_event(connection: &UnixStream, event: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(connection.as_fd(), event)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(event)
}
