//! Orphans: jobs whose chamber died before them.
//!
//! The kernel ends them, and their parent must reap them. On a machine the first process does that. In a container the first
//! process is the service, and each orphan would stay in the process table for as long as the container lives.

use std::io;

use rustix::process::{Pid, WaitOptions};

/// Makes this process the parent of its children's orphans.
pub(super) fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Reaps every dead child that this process has adopted. It reaps those that it started itself elsewhere.
pub(super) fn reap(was_started: impl Fn(Pid) -> bool) {
    for orphan in children().into_iter().filter(|child| !was_started(*child)) {
        // Fails for one that is not dead yet: the next step tries again.
        let _ = rustix::process::waitpid(Some(orphan), WaitOptions::NOHANG);
    }
}

/// Lists the children of this process, which has one thread. The list is empty if the kernel does not provide it.
fn children() -> Vec<Pid> {
    let list = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
