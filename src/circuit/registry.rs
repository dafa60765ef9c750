//! The circuits of a program, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::interface::Circuit;
use crate::protocol::CircuitId;

/// The circuits of a program, by name.
// Sorted by name, so that every listing of the circuits has the same order.
#[derive(Clone, Default)]
pub struct Circuits(BTreeMap<CircuitId, Arc<dyn Circuit>>);

impl Circuits {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a circuit. It replaces one of the same name.
    #[must_use]
    pub fn with(mut self, circuit: impl Circuit) -> Self {
        self.0.insert(circuit.descriptor().id, Arc::new(circuit));
        self
    }

    /// Returns the circuit of that name.
    pub fn get(&self, id: &CircuitId) -> Option<&Arc<dyn Circuit>> {
        self.0.get(id)
    }

    /// Iterates over all circuits, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&CircuitId, &Arc<dyn Circuit>)> {
        self.0.iter()
    }

    /// Keeps the circuits for whose name `keep` returns `true`.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(&CircuitId) -> bool) -> Self {
        self.0.retain(|id, _| keep(id));
        self
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
