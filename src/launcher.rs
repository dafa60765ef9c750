//! The launcher: starts chambers for a service that has locked itself out of the keys.
//!
//! What a locked process starts is locked as well, so a service cannot start a process that reads keys.
//! Before it locks itself it starts this one, which hears nothing but connections: each of them becomes the
//! control connection of a new chamber. It parses no byte, holds no key, and knows no network. It reaps its
//! chambers, kills those that outlive their service, and clears their sockets away; and it tells the service
//! when keys or bundle have changed on disk.
//!
//! ```text
//! service ── connects ──▶ launcher ── starts ──▶ chamber ── forks ──▶ jobs
//!    └──────────── that connection is the chamber's control ──┘
//! ```
//!
//! The first connection is the service's own life: when it closes, the launcher ends its chambers and itself. On
//! the second the launcher says what has changed.

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

use changes::Changes;
pub use changes::{Notice, Watched};

/// How many chambers there may be at once: one at work, and one that takes over from it.
pub const CHAMBERS_MAX: usize = 2;
/// How long a chamber may take to end once its service is gone.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The launcher's socket, in its folder.
const SOCKET: &str = "launcher.sock";
/// A changed bundle, in its folder.
const BUNDLE: &str = "bundle.json";

/// The service's end.
#[derive(Debug)]
pub struct Launcher {
    folder: PathBuf,
    /// The launcher lives as long as this connection, and is reaped by whoever adopts it.
    life: UnixStream,
    notices: UnixStream,
}

impl Launcher {
    /// Starts a launcher, which starts chambers of this very program with these arguments and looks for
    /// changes, for as long as what this returns is kept.
    ///
    /// # Errors
    /// When a folder for sockets cannot be made, or the process not be started.
    pub fn start(watched: &Watched, chamber: &[OsString]) -> io::Result<Self> {
        // Others cannot look into it, nor connect to what lies in it.
        let folder = tempfile::Builder::new().prefix("sealprove-").tempdir()?;
        let socket = folder.path().join(SOCKET);
        let listener = UnixListener::bind(&socket)?;
        let life = UnixStream::connect(&socket)?;
        let notices = UnixStream::connect(&socket)?;
        let mut command = program();
        command.arg("launcher").arg("--folder").arg(folder.path());
        command.arg("--keys").arg(&watched.keys).arg("--bundle").arg(&watched.bundle);
        command.arg("--").args(chamber);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "SEALPROVE_LOG"));
        command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).spawn()?;
        // From here on the folder is the launcher's to remove.
        Ok(Launcher { folder: folder.keep(), life, notices })
    }

    /// Has it end its chambers and itself, and returns when they are gone. Blocks, for seconds at the most.
    pub fn finish(&self) {
        // Whatever fails here, it is on its way: this end closes with this process.
        let _ = self.life.shutdown(Shutdown::Write);
        let _ = self.life.set_read_timeout(Some(STOP_TIMEOUT * 2));
        let _ = (&self.life).read(&mut [0]);
    }

    /// Where to connect for a new chamber; the connection is its control.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Where [`Notice`]s come in, a byte each.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub fn notices(&self) -> io::Result<UnixStream> {
        self.notices.try_clone()
    }

    /// The folder of sockets and of what the launcher lays there. Who starts chambers owns it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the bundle lies once it has changed.
    pub fn bundle(&self) -> PathBuf {
        self.folder.join(BUNDLE)
    }
}

/// This very program, also when its file has been replaced by an upgrade. `ps` shows its name.
fn program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sealprove");
    command
}

/// The launcher itself, until its service is gone and its last chamber has ended.
///
/// # Errors
/// When the operating system refuses it something.
pub fn run(folder: PathBuf, watched: Watched, chamber: Vec<OsString>, listener: OwnedFd) -> io::Result<()> {
    crate::chamber::leave_stopping_to_the_service();
    let changes = Changes::of(watched, folder.join(BUNDLE));
    orphans::adopt()?;
    let folder = Folder(folder);
    let listener = UnixListener::from(listener);
    let (life, _) = listener.accept()?;
    let (notices, _) = listener.accept()?;
    // A service that does not read is not waited for.
    notices.set_nonblocking(true)?;
    let mut launching =
        Launching { folder, changes, chamber, listener, life, notices, chambers: Vec::new(), started: 0 };
    while launching.is_needed() {
        launching.step()?;
    }
    Ok(())
}

/// The folder of sockets, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: nothing but sockets of processes that are gone lies in it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Launching {
    folder: Folder,
    changes: Changes,
    chamber: Vec<OsString>,
    listener: UnixListener,
    life: UnixStream,
    notices: UnixStream,
    chambers: Vec<Running>,
    started: usize,
}

/// A chamber.
struct Running {
    child: Child,
    pidfd: OwnedFd,
    /// Its end of its control connection: hangs up when the service does, and keeps the end of the
    /// connection back from the service until the chamber is reaped.
    control: UnixStream,
    socket: PathBuf,
    /// When it is killed; set once its service has hung up.
    until: Option<Instant>,
}

impl Launching {
    fn is_needed(&self) -> bool {
        self.has_service() || !self.chambers.is_empty()
    }

    /// Until the service has closed its life, or has said that it will.
    fn has_service(&self) -> bool {
        !shows(&self.life, PollFlags::RDHUP)
    }

    fn step(&mut self) -> io::Result<()> {
        let knocked = self.wait()?;
        self.chambers.retain_mut(|chamber| !chamber.has_ended());
        orphans::reap(|pid| self.chambers.iter().any(|chamber| chamber.pid() == pid));
        if knocked && self.has_service() {
            self.accept()?;
        }
        if self.has_service() {
            self.tell_changes();
        }
        Ok(())
    }

    fn tell_changes(&mut self) {
        for notice in self.changes.look() {
            info!(?notice, "changed on disk");
            // A service that cannot take one byte has not read hundreds, any of which says the same.
            let _ = (&self.notices).write(&[notice.to_byte()]);
        }
    }

    /// Until something happens; says whether a connection is wanted.
    fn wait(&self) -> io::Result<bool> {
        let mut fds = Vec::new();
        // What has hung up is ready for ever.
        if self.has_service() {
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
            fds.push(PollFd::new(&self.life, PollFlags::RDHUP));
        }
        let waiting = self.chambers.iter().filter(|chamber| chamber.until.is_none());
        fds.extend(waiting.map(|chamber| PollFd::new(&chamber.control, PollFlags::empty())));
        fds.extend(self.chambers.iter().map(|chamber| PollFd::new(&chamber.pidfd, PollFlags::IN)));
        let nearest = self.chambers.iter().filter_map(|chamber| chamber.until).min();
        let left = nearest.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.into_iter().chain(self.has_service().then(|| self.changes.left())).min();
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(_) => Ok(fds.first().is_some_and(|first| first.revents().contains(PollFlags::IN))),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let (control, _) = self.listener.accept()?;
        if self.chambers.len() >= CHAMBERS_MAX {
            // The service sees the connection end.
            warn!(chambers = self.chambers.len(), "no more chambers than that");
            return Ok(());
        }
        match self.start(control) {
            Ok(chamber) => self.chambers.push(chamber),
            Err(cause) => error!(%cause, "the chamber cannot be started"),
        }
        Ok(())
    }

    fn start(&mut self, control: UnixStream) -> io::Result<Running> {
        self.started += 1;
        let socket = self.folder.0.join(format!("chamber-{}.sock", self.started));
        let theirs = OwnedFd::from(control.try_clone()?);
        let mut command = program();
        command.arg("chamber").arg("--listen").arg(&socket).args(&self.chamber);
        let mut child = command.env_clear().stdin(theirs).stdout(Stdio::null()).spawn()?;
        match open_pidfd(&child) {
            Ok(pidfd) => Ok(Running { child, pidfd, control, socket, until: None }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reaps it, if it is dead; kills it, if it should be.
    fn has_ended(&mut self) -> bool {
        if self.until.is_none() && has_hung_up(&self.control) {
            self.until = Some(Instant::now() + STOP_TIMEOUT);
        }
        if self.until.is_some_and(|until| until <= Instant::now()) {
            warn!("the chamber does not end by itself");
            let _ = self.child.kill();
            // Once is enough; what is left is to reap it.
            self.until = Some(Instant::now() + STOP_TIMEOUT);
        }
        let Ok(Some(status)) = self.child.try_wait() else { return false };
        if !status.success() && !has_hung_up(&self.control) {
            error!(%status, "the chamber ended by itself");
        }
        let _ = std::fs::remove_file(&self.socket);
        true
    }
}

fn open_pidfd(child: &Child) -> io::Result<OwnedFd> {
    // Cannot panic: a child's process id is positive.
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process id");
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Whether the other end is closed, and not only for one direction: that is a chamber's order to take no more
/// jobs.
fn has_hung_up(connection: &UnixStream) -> bool {
    shows(connection, PollFlags::HUP)
}

fn shows(connection: &UnixStream, event: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(connection.as_fd(), event)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(event)
}
