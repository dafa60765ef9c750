//! The machine: examines whether it has the memory that the configuration grants to jobs, and no swap.

use super::finding::Finding;
use crate::circuit::Circuits;
use crate::config::ServiceConfig;
use crate::protocol::Bundle;
use crate::service::prover::{Limits, MemoryBudget, available_bytes};

/// Examines memory and swap. The memory that jobs share with their chamber is left out, since only a chamber knows it.
pub fn examine(config: &ServiceConfig, bundle: Option<&Bundle>, circuits: &Circuits) -> Vec<Finding> {
    vec![examine_memory(config, bundle, circuits), examine_swap(std::fs::read_to_string("/proc/swaps").ok())]
}

fn examine_memory(config: &ServiceConfig, bundle: Option<&Bundle>, circuits: &Circuits) -> Finding {
    let what = "memory for all slots";
    let Some(bundle) = bundle else {
        return Finding::not_known(
            "limits",
            what,
            "the bundle, which lists the circuits, cannot be read; see above",
        );
    };
    let served = circuits.iter().filter(|(id, _)| bundle.circuit(id).is_some());
    let limits = served.map(|(_, circuit)| Limits::for_circuit(&circuit.descriptor(), config));
    let available = config.service.memory.map_or_else(available_bytes, |memory| memory.as_u64());
    let budget = MemoryBudget::new(available, config.service.slots, limits);
    match budget.check(0) {
        Ok(()) => {
            let how =
                "enough, without what jobs share with their chamber; the service adds that at its start";
            Finding::in_force("limits", what, how)
        }
        Err(cause) => Finding::not("limits", what, cause.to_string()),
    }
}

/// Examines swap: pages that hold keys are locked in memory, pages that hold witnesses are not.
fn examine_swap(swaps: Option<String>) -> Finding {
    let what = "no swap";
    match swaps.map(|swaps| swaps.lines().count()) {
        Some(0 | 1) => Finding::in_force("limits", what, "/proc/swaps is empty"),
        Some(_) => {
            let how =
                "there is swap, which may not be encrypted: `swapoff -a`, or MemorySwapMax=0 for the service";
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
    fn swap_is_found() {
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        assert_eq!(examine_swap(Some(head.to_owned())).standing, Standing::InForce);
        assert_eq!(examine_swap(Some(format!("{head}/swap file 1 0 -2\n"))).standing, Standing::NotKnown);
        assert_eq!(examine_swap(None).standing, Standing::NotKnown);
    }
}
