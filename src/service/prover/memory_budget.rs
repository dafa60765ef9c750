//! The limits of a job process, and the memory budget of the machine.
//!
//! The budget is checked before the first job: a cgroup that runs out of memory kills all of its processes at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;

use crate::circuit::Descriptor;
use crate::config::ServiceConfig;
use crate::frame::{Order, STACK_BYTES};
use crate::launcher::CHAMBERS_MAX;
use crate::protocol::millis;

/// The limits of one job of a circuit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Wall-clock time of the proof.
    pub time: Duration,
    /// Memory beyond what the process is born with and the stacks, in bytes.
    pub memory_bytes: u64,
    /// Threads that prove.
    pub threads: u32,
}

impl Limits {
    /// Returns the limits of a circuit: the operator's, else the circuit's own.
    pub(crate) fn for_circuit(circuit: &Descriptor, config: &ServiceConfig) -> Self {
        let own = config.circuits.get(&circuit.id).cloned().unwrap_or_default();
        Limits {
            time: own.time_limit.unwrap_or(circuit.time_limit),
            memory_bytes: own.memory_limit.map_or(circuit.memory_bytes, |limit| limit.as_u64()),
            threads: config.service.threads,
        }
    }

    /// Returns the order that a chamber gets with a job.
    pub(super) fn order(self, ticket: u64) -> Order {
        let limit_ms = millis(self.time);
        Order { ticket, limit_ms, memory_bytes: self.memory_bytes, threads: self.threads }
    }

    /// Returns the size of all stacks: one for each thread that proves, and one for the first.
    fn stack_bytes(self) -> u64 {
        u64::from(self.threads).saturating_add(1).saturating_mul(STACK_BYTES)
    }

    /// Returns the most memory that its process can have, when it is born with `birth_bytes`.
    fn ceiling(self, birth_bytes: u64) -> u64 {
        birth_bytes.saturating_add(self.stack_bytes()).saturating_add(self.memory_bytes)
    }
}

/// Memory of the service itself, in bytes: connections, and finished answers that wait for a broker.
const SERVICE_BYTES: u64 = 128 << 20;

/// The memory does not hold all slots.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{sum}, and there are {available}: lower service.slots or a circuit's memory_limit, or give the service more \
     memory (set service.memory where the limit that was found is not the real one)"
)]
pub struct NotEnoughMemory {
    sum: String,
    available: String,
}

/// The memory budget of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryBudget {
    /// Memory of the machine, in bytes.
    available: u64,
    slots: u64,
    /// The largest job of any circuit.
    job: Limits,
}

impl MemoryBudget {
    /// Returns the budget for `slots` slots out of `available` bytes.
    pub(crate) fn new(available: u64, slots: usize, limits: impl Iterator<Item = Limits>) -> Self {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        // Any mix of circuits must fit, so every slot is counted with the largest.
        let largest = limits.max_by_key(|limits| limits.memory_bytes);
        MemoryBudget { available, slots, job: largest.unwrap_or_default() }
    }

    /// Checks that every slot, and one self-test of a chamber that takes over from another, fit when each job
    /// process starts at `birth_bytes`.
    ///
    /// # Errors
    /// When they do not fit, with the whole sum.
    pub(crate) fn check(&self, birth_bytes: u64) -> Result<(), NotEnoughMemory> {
        let job = self.job.ceiling(birth_bytes);
        let (jobs, chambers) = (self.slots.saturating_add(1), CHAMBERS_MAX as u64);
        let needed = jobs
            .saturating_mul(job)
            .saturating_add(chambers.saturating_mul(birth_bytes))
            .saturating_add(SERVICE_BYTES);
        if needed <= self.available {
            return Ok(());
        }
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
        Err(NotEnoughMemory { sum, available: show(self.available) })
    }
}

fn show(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// Returns the memory that this process and its children may take, in bytes: the least of the machine's and of the
/// limits of the cgroups that it is in.
pub(crate) fn available_bytes() -> u64 {
    let of_cgroups = cgroups().into_iter().filter_map(|folder| {
        let read = |name| std::fs::read_to_string(folder.join(name)).ok();
        // cgroups(7): version 2, else version 1. "max" is no limit.
        let limit = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
        limit.trim().parse::<u64>().ok()
    });
    let machine = rustix::system::sysinfo();
    of_cgroups.fold(machine.totalram.saturating_mul(u64::from(machine.mem_unit)), u64::min)
}

/// Returns the folders of this process's cgroups and of those above: `0::/path` of version 2, and
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
    fn a_budget_that_does_not_fit_is_refused_with_its_sum() {
        let limits = |mib: u64| Limits { time: Duration::ZERO, memory_bytes: mib * MIB, threads: 2 };
        let budget = |available| MemoryBudget::new(available * MIB, 3, [limits(20), limits(200)].into_iter());
        // Four jobs of 50 + 6 + 200, two chambers of 50, and the service.
        let needed = 4 * 256 + 2 * 50 + 128;
        assert!(budget(needed).check(50 * MIB).is_ok());
        let refused = budget(needed - 1).check(50 * MIB).unwrap_err().to_string();
        for part in ["3 slots", "256.0 MiB", "50.0 MiB", "6.0 MiB", "200.0 MiB", "128.0 MiB", "1.2 GiB"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }

    #[test]
    fn a_machine_has_memory() {
        let available = available_bytes();
        assert!(available > 64 * MIB && available < 1 << 50, "{available}");
    }
}
