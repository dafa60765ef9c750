//! What a job may use, and whether this machine has it: that is checked before the first job, since a cgroup
//! that runs out of memory kills all of its processes at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;

use super::ServiceError;
use crate::frame::{Order, STACK_BYTES};
use crate::launcher::CHAMBERS_MAX;

/// What one job of a circuit may use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// How long its proof may take.
    pub time: Duration,
    /// How much memory it may take beyond what its process is born with and the stacks, in bytes.
    pub memory_bytes: u64,
    /// How many threads it proves with.
    pub threads: u32,
}

impl Limits {
    /// What the chamber is told.
    pub(super) fn order(self, ticket: u64) -> Order {
        let limit_ms = crate::clock::millis(self.time);
        Order { ticket, limit_ms, memory_bytes: self.memory_bytes, threads: self.threads }
    }

    /// One for each thread that proves, and one for the first.
    fn stack_bytes(self) -> u64 {
        u64::from(self.threads).saturating_add(1).saturating_mul(STACK_BYTES)
    }

    /// All that its process can ever have, when it is born with so many bytes.
    fn ceiling(self, birth_bytes: u64) -> u64 {
        birth_bytes.saturating_add(self.stack_bytes()).saturating_add(self.memory_bytes)
    }
}

/// What a service may take for itself: connections, and finished answers that wait for a broker.
const SERVICE_BYTES: u64 = 128 << 20;

/// What there is, and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    available: u64,
    slots: u64,
    /// The largest job of any circuit.
    job: Limits,
}

impl Budget {
    /// Of a service with so many slots, on a machine with so much memory.
    pub(super) fn new(available: u64, slots: usize, limits: impl Iterator<Item = Limits>) -> Self {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        let largest = limits.max_by_key(|limits| limits.memory_bytes);
        Budget { available, slots, job: largest.unwrap_or_default() }
    }

    /// With a chamber whose jobs are born with so many bytes: every slot may fill up to its ceiling, and so
    /// may the self-test of a chamber that takes over from another.
    pub(super) fn holds(&self, birth_bytes: u64) -> Result<(), ServiceError> {
        let job = self.job.ceiling(birth_bytes);
        let (jobs, chambers) = (self.slots.saturating_add(1), CHAMBERS_MAX as u64);
        let needed = jobs
            .saturating_mul(job)
            .saturating_add(chambers.saturating_mul(birth_bytes))
            .saturating_add(SERVICE_BYTES);
        if needed <= self.available {
            return Ok(());
        }
        let show = |bytes: u64| ByteSize(bytes).display().iec().to_string();
        let sum = format!(
            "{jobs} jobs ({} slots and a self-test) of {} each ({} that the chamber shares, {} of stacks, {} of \
             the largest circuit's ceiling), {chambers} chambers of {}, and {} for the service are {}",
            self.slots,
            show(job),
            show(birth_bytes),
            show(self.job.stack_bytes()),
            show(self.job.memory_bytes),
            show(birth_bytes),
            show(SERVICE_BYTES),
            show(needed),
        );
        Err(ServiceError::Memory { sum, available: show(self.available) })
    }
}

/// The memory that this process and its children may take, in bytes: the least of the machine's and of the
/// limits of the cgroups that it is in.
pub(super) fn available() -> u64 {
    let of_cgroups = cgroups().into_iter().filter_map(|folder| {
        let read = |name| std::fs::read_to_string(folder.join(name)).ok();
        // cgroups(7): version 2, else version 1. "max" is no limit.
        let limit = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
        limit.trim().parse::<u64>().ok()
    });
    let machine = rustix::system::sysinfo();
    of_cgroups.fold(machine.totalram.saturating_mul(u64::from(machine.mem_unit)), u64::min)
}

/// The folders of this process's cgroups and of those above it: `0::/path` of version 2, and
/// `<n>:memory:/path` of version 1.
fn cgroups() -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            _ if controllers.split(',').any(|name| name == "memory") => Path::new("/sys/fs/cgroup/memory"),
            _ => continue,
        };
        // Inside a container, its own path may be that of the host: then its root alone is there.
        let path = Path::new(path.trim_start_matches('/'));
        folders.extend(path.ancestors().map(|folder| root.join(folder)));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_does_not_fit_is_refused_with_its_sum() {
        let limits = |mib: u64| Limits { time: Duration::ZERO, memory_bytes: mib * MIB, threads: 2 };
        let budget = |available| Budget::new(available * MIB, 3, [limits(20), limits(200)].into_iter());
        // Four jobs of 50 + 6 + 200, two chambers of 50, and the service.
        let needed = 4 * 256 + 2 * 50 + 128;
        assert!(budget(needed).holds(50 * MIB).is_ok());
        let refused = budget(needed - 1).holds(50 * MIB).unwrap_err().to_string();
        for part in ["3 slots", "256.0 MiB", "50.0 MiB", "6.0 MiB", "200.0 MiB", "128.0 MiB", "1.2 GiB"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }

    #[test]
    fn a_machine_has_memory() {
        let available = available();
        assert!(available > 64 * MIB && available < 1 << 50, "{available}");
    }
}
