//! The machine: whether it has what the configuration promises to jobs.

use super::finding::Finding;
use crate::circuit::Circuits;
use crate::config::ServiceConfig;
use crate::protocol::Bundle;
use crate::service::prover::{Limits, MemoryBudget, available_bytes};

/// Adds up what jobs may take, but for what every job shares with its chamber, which only a chamber knows.
pub fn examine(config: &ServiceConfig, bundle: Option<&Bundle>, circuits: &Circuits) -> Vec<Finding> {
    vec![of_memory(config, bundle, circuits), of_swap(std::fs::read_to_string("/proc/swaps").ok())]
}

fn of_memory(config: &ServiceConfig, bundle: Option<&Bundle>, circuits: &Circuits) -> Finding {
    let what = "memory for all slots";
    let Some(bundle) = bundle else {
        return Finding::not_known("limits", what, "the bundle says which circuits are served; see above");
    };
    let served = circuits.iter().filter(|(id, _)| bundle.circuit(id).is_some());
    let limits = served.map(|(_, circuit)| Limits::for_circuit(&circuit.descriptor(), config));
    let available = config.service.memory.map_or_else(available_bytes, |memory| memory.as_u64());
    let budget = MemoryBudget::new(available, config.service.slots, limits);
    match budget.check(0) {
        Ok(()) => {
            let how =
                "it adds up, before what a job shares with its chamber; the service adds that at its start";
            Finding::in_force("limits", what, how)
        }
        Err(cause) => Finding::not("limits", what, cause.to_string()),
    }
}

/// Key pages are locked, and witnesses are not.
fn of_swap(swaps: Option<String>) -> Finding {
    let what = "no swap";
    match swaps.map(|swaps| swaps.lines().count()) {
        Some(0 | 1) => Finding::in_force("limits", what, "/proc/swaps is empty"),
        Some(_) => {
            let how = "there is swap, and whether it is encrypted cannot be seen: `swapoff -a`, or \
                       MemorySwapMax=0 for the service";
            Finding::not_known("limits", what, how)
        }
        None => Finding::not_known("limits", what, "/proc/swaps cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::doctor::Standing;

    #[test]
    fn swap_is_seen() {
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        assert_eq!(of_swap(Some(head.to_owned())).standing, Standing::InForce);
        assert_eq!(of_swap(Some(format!("{head}/swap file 1 0 -2\n"))).standing, Standing::NotKnown);
        assert_eq!(of_swap(None).standing, Standing::NotKnown);
    }
}
