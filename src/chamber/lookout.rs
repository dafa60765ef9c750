//! While the keys are built: leaves the process as soon as no service waits for it any more.
//!
//! Building takes from a second to half a minute and cannot be interrupted, and until it is done nobody
//! else looks at the control connection. The lookout is a thread, and it is gone before the first fork.

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::ChamberError;

/// A thread that watches the control connection until it is called back.
pub(super) struct Lookout {
    thread: JoinHandle<()>,
    /// Its other end closes with this one, which calls the thread back.
    recall: OwnedFd,
}

impl Lookout {
    /// Leaves the process once the other end of `control` is closed.
    pub(super) fn post(control: &OwnedFd) -> Result<Self, ChamberError> {
        let failed = ChamberError::os("watch the control connection");
        let control = control.try_clone().map_err(&failed)?;
        let (recalled, recall) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let watch = move || {
            if is_abandoned(&control, &recalled) {
                // SAFETY: always. Other threads are in the middle of building: no destructor may run.
                unsafe { libc::_exit(0) }
            }
        };
        let thread = std::thread::Builder::new().name("lookout".to_owned()).spawn(watch).map_err(failed)?;
        Ok(Lookout { thread, recall })
    }

    /// Returns once the thread has ended.
    pub(super) fn call_back(self) {
        drop(self.recall);
        // It does not panic, and were it to, the chamber would go on without it.
        let _ = self.thread.join();
    }
}

/// Waits for the end of the service, or for being called back; says which it was.
fn is_abandoned(control: &OwnedFd, recalled: &OwnedFd) -> bool {
    loop {
        let mut fds = [PollFd::new(recalled, PollFlags::IN), PollFd::new(control, PollFlags::RDHUP)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => return fds[0].revents().is_empty(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
