//! The keys and circuits that a job process gets by fork.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::error::ChamberError;
use super::keys::LockedKeys;
use crate::circuit::{Circuit, Circuits, Descriptor, ProvingKey};
use crate::config::Sandbox;
use crate::frame::ReadyCircuit;
use crate::protocol::{CircuitId, Deployment, millis};

/// Everything that a chamber has loaded and its job processes inherit.
pub(super) struct Loaded {
    pub(super) deployment: Deployment,
    pub(super) keys: LockedKeys,
    pub(super) circuits: BTreeMap<CircuitId, LoadedCircuit>,
    pub(super) sandbox: Sandbox,
    /// Memory that a job process is born with, in bytes.
    pub(super) birth_bytes: u64,
}

/// A circuit with its keys.
pub(super) struct LoadedCircuit {
    pub(super) circuit: Arc<dyn Circuit>,
    pub(super) descriptor: Descriptor,
    pub(super) proving_key: Box<dyn ProvingKey>,
    pub(super) built_ms: u64,
}

impl LoadedCircuit {
    /// Describes the circuit for the service.
    pub(super) fn ready(&self) -> ReadyCircuit {
        ReadyCircuit {
            id: self.descriptor.id.clone(),
            verifying_key: self.descriptor.verifying_key(),
            built_ms: self.built_ms,
        }
    }
}

/// Builds every proving key, in a pool of threads that ends when this returns: the chamber forks with one thread.
pub(super) fn build_all(circuits: &Circuits) -> Result<BTreeMap<CircuitId, LoadedCircuit>, ChamberError> {
    rayon::ThreadPoolBuilder::new()
        .build_scoped(
            |thread| thread.run(),
            |pool| {
                pool.install(|| {
                    circuits.iter().map(|(id, circuit)| Ok((id.clone(), build(circuit)?))).collect()
                })
            },
        )
        .map_err(|error| ChamberError::Os {
            step: "start threads to build keys",
            source: std::io::Error::other(error),
        })?
}

fn build(circuit: &Arc<dyn Circuit>) -> Result<LoadedCircuit, ChamberError> {
    let descriptor = circuit.descriptor();
    let started = Instant::now();
    let proving_key = circuit
        .build_proving_key()
        .map_err(|source| ChamberError::Build { circuit: descriptor.id.clone(), source })?;
    let built = proving_key.verifying_keys();
    if built != descriptor.verifying_keys {
        let (pinned, built) = (format!("{:?}", descriptor.verifying_keys), format!("{built:?}"));
        return Err(ChamberError::Pinned { circuit: descriptor.id, pinned, built });
    }
    let built_ms = millis(started.elapsed());
    Ok(LoadedCircuit { circuit: circuit.clone(), descriptor, proving_key, built_ms })
}
