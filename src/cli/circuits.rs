//! The circuits of this build.

use std::sync::Arc;

use super::exit::{Exit, Failure};
use crate::circuit::{Circuit, Circuits};
use crate::protocol::{BundleCircuit, CircuitId};

/// Finds the circuit that an argument names.
pub(crate) fn find<'a>(circuits: &'a Circuits, id: &CircuitId) -> Result<&'a Arc<dyn Circuit>, Failure> {
    circuits.get(id).ok_or_else(|| {
        let names: Vec<&str> = circuits.iter().map(|(id, _)| id.as_str()).collect();
        Failure::new(Exit::Usage, format!("this build has no circuit {id}; it has {}", names.join(", ")))
    })
}

/// Keeps the circuits that an argument names; without names, all.
pub(crate) fn select(circuits: &Circuits, names: &[CircuitId]) -> Result<Circuits, Failure> {
    for id in names {
        find(circuits, id)?;
    }
    Ok(circuits.clone().retain(|id| names.is_empty() || names.contains(id)))
}

/// Describes the circuits as a bundle lists them.
pub(crate) fn describe(circuits: &Circuits) -> Vec<BundleCircuit> {
    circuits.iter().map(|(_, circuit)| BundleCircuit::from(&circuit.descriptor())).collect()
}
