//! Watching the service while the keys are built.
//!
//! Building takes from a second to half a minute and cannot be interrupted, and the event loop does not run yet. Without
//! the watcher, a chamber whose service is gone would build on. It is a thread that ends before the first fork.

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::error::ChamberError;

/// A thread that watches the control connection until it is stopped.
pub(super) struct ParentWatcher {
    thread: JoinHandle<()>,
    /// Write end of a pipe. Closing it stops the thread.
    stop: OwnedFd,
}

impl ParentWatcher {
    /// Starts the thread, which ends this process once the service has closed `control`.
    pub(super) fn spawn(control: &OwnedFd) -> Result<Self, ChamberError> {
        let failed = ChamberError::os("watch the control connection");
        let control = control.try_clone().map_err(&failed)?;
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let thread = std::thread::Builder::new()
            .name("parent-watcher".to_owned())
            .spawn(move || {
                if has_service_gone(&control, &stopped) {
                    // SAFETY: always sound. Other threads are building, so no destructor may run.
                    unsafe { libc::_exit(0) }
                }
            })
            .map_err(failed)?;
        Ok(ParentWatcher { thread, stop })
    }

    /// Returns once the thread has ended.
    pub(super) fn stop(self) {
        drop(self.stop);
        // Fails only if the thread has panicked, and then it is gone as well.
        let _ = self.thread.join();
    }
}

/// Waits until the service has closed the connection, or the thread is stopped. Returns whether it was the service.
fn has_service_gone(control: &OwnedFd, stopped: &OwnedFd) -> bool {
    loop {
        let mut fds = [PollFd::new(stopped, PollFlags::IN), PollFd::new(control, PollFlags::RDHUP)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => return fds[0].revents().is_empty(),
            Err(rustix::io::Errno::INTR) => {}
            // Without the watcher the chamber still ends, once its keys are built.
            Err(_) => return false,
        }
    }
}
