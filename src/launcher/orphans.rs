//! Jobs whose chamber died before them. The kernel ends them, and somebody has to take note: on a machine the
//! first process does, but in a container that is the service itself, and each of them would stay in the
//! table of processes for as long as the container lives.

use std::io;

use rustix::process::{Pid, WaitOptions};

/// From here on the orphans of this process's children are its own children.
pub(super) fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Reaps every child that is dead and was adopted. Whom it started itself, it reaps itself.
pub(super) fn reap(was_started: impl Fn(Pid) -> bool) {
    for orphan in children().into_iter().filter(|child| !was_started(*child)) {
        // Not dead yet, or nobody's any more: the next step looks again.
        let _ = rustix::process::waitpid(Some(orphan), WaitOptions::NOHANG);
    }
}

/// The children of this process, which has one thread; none, where the kernel does not list them.
fn children() -> Vec<Pid> {
    let list = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
