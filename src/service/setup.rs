//! Setup: everything that must happen before the process locks itself, while it still has one thread.
//!
//! Here a service reads its bundle and starts the only process that it ever starts. It connects to nothing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::audit::{Sink, SinkError};
use crate::circuit::Circuits;
use crate::config::{Sandbox, ServiceConfig};
use crate::frame::Locks;
use crate::launcher::{Launcher, Watched};
use crate::protocol::{Bundle, BundleCircuit, CircuitId, Tenant};
use crate::sandbox::{self, LockError, Readable};
use crate::service::prover::{self, Limits, Sample, ServableBundle, ServeBundleError};

/// Connections of a chamber that wait for their order, beyond one for each slot.
const CONNECTIONS_SPARE: usize = 8;

/// A service cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The bundle's file cannot be read.
    #[error("read the bundle {path}; make one with `sealprove bundle sign`")]
    ReadBundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The bundle cannot be served.
    #[error(transparent)]
    Bundle(#[from] ServeBundleError),
    /// A tenant's table names a circuit that is not served.
    #[error("tenants.{tenant}.circuits names {circuit}, which the bundle does not list")]
    TenantAhead {
        /// The tenant of that table.
        tenant: Tenant,
        /// The circuit.
        circuit: CircuitId,
    },
    /// The audit log cannot be started.
    #[error(transparent)]
    Audit(#[from] SinkError),
    /// The launcher cannot be started.
    #[error("start the launcher of chambers")]
    Launcher(#[source] std::io::Error),
    /// This process cannot be locked.
    #[error("lock the service")]
    Lock(#[from] LockError),
}

/// A locked service that has not connected to anything yet.
#[derive(Debug)]
pub struct Setup {
    pub(crate) config: ServiceConfig,
    pub(crate) bundle: ServableBundle,
    /// Circuits that the chamber builds, as a bundle lists them.
    pub(crate) circuits: Vec<BundleCircuit>,
    pub(crate) limits: HashMap<CircuitId, Limits>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) launcher: Launcher,
    /// Memory of the machine, in bytes.
    pub(crate) available_bytes: u64,
    pub(crate) locks: Locks,
    pub(crate) audit_sink: Option<Sink>,
}

impl Setup {
    /// Reads the bundle, starts the launcher and the audit log, and locks this process: from here on it can neither
    /// read a key nor start a program. It must have one thread.
    ///
    /// # Errors
    /// When the bundle cannot be served, a process cannot be started, or a lock does not close.
    pub fn new(config: ServiceConfig, circuits: &Circuits) -> Result<Self, SetupError> {
        let bundle = read_bundle(&config)?;
        let circuits = served_circuits(circuits, &bundle.bundle, &config)?;
        let limits: HashMap<_, _> = circuits
            .iter()
            .map(|(id, circuit)| (id.clone(), Limits::for_circuit(&circuit.descriptor(), &config)))
            .collect();
        // The audit log's folder is made here: the lock allows writing only inside it.
        let audit_sink = Sink::create(&config.audit)?;
        let watched = Watched { keys: config.keys.clone(), bundle: config.bundle.clone() };
        // A process inherits the locks of the one that starts it, and a chamber must read keys. So the process that
        // starts chambers is started before the lock.
        let launcher = Launcher::start(&watched, &chamber_arguments(&config, &bundle.bundle, &limits))
            .map_err(SetupError::Launcher)?;
        // Measured before the lock, which closes /proc and the folders of cgroups.
        let available_bytes =
            config.service.memory.map_or_else(prover::available_bytes, |memory| memory.as_u64());
        let locks = match config.service.sandbox {
            Sandbox::On => {
                let audit_folder = audit_sink.as_ref().and_then(Sink::folder);
                sandbox::lock_service(&readable(&config).and(&launcher.bundle()).filling(audit_folder))?
            }
            Sandbox::Off => Locks::default(),
        };
        Ok(Setup {
            samples: Sample::of_all(&circuits, &limits),
            circuits: circuits
                .iter()
                .map(|(_, circuit)| BundleCircuit::from(&circuit.descriptor()))
                .collect(),
            config,
            bundle,
            limits,
            launcher,
            available_bytes,
            locks,
            audit_sink,
        })
    }
}

/// Reads the first bundle that is served.
fn read_bundle(config: &ServiceConfig) -> Result<ServableBundle, SetupError> {
    let path = config.bundle.clone();
    let bytes = std::fs::read(&path).map_err(|source| SetupError::ReadBundle { path, source })?;
    Ok(ServableBundle::read(&bytes)?)
}

/// Returns the circuits that the bundle or the configuration names: a circuit that the bundle no longer lists may still
/// have jobs in the queue.
fn served_circuits(
    circuits: &Circuits,
    bundle: &Bundle,
    config: &ServiceConfig,
) -> Result<Circuits, SetupError> {
    let served =
        circuits.clone().retain(|id| bundle.circuit(id).is_some() || config.circuits.contains_key(id));
    // Such a tenant's jobs would all be refused, and the operator would hear of it from the tenant.
    match config.tenants.unserved(|id| served.get(id).is_some()) {
        Some((tenant, circuit)) => {
            Err(SetupError::TenantAhead { tenant: tenant.clone(), circuit: circuit.clone() })
        }
        None => Ok(served),
    }
}

/// Returns the arguments that every chamber is started with.
fn chamber_arguments(
    config: &ServiceConfig,
    bundle: &Bundle,
    circuits: &HashMap<CircuitId, Limits>,
) -> Vec<OsString> {
    // More connections than slots: self-tests run beside jobs.
    let jobs_max = config.service.slots + CONNECTIONS_SPARE;
    let mut arguments: Vec<OsString> = vec!["--keys".into(), config.keys.clone().into()];
    arguments.extend(["--deployment".into(), bundle.deployment.as_str().into()]);
    arguments.extend(["--jobs-max".into(), jobs_max.to_string().into()]);
    arguments.extend(["--sandbox".into(), config.service.sandbox.as_str().into()]);
    arguments.extend(circuits.keys().flat_map(|id| ["--circuit".into(), id.as_str().into()]));
    arguments
}

/// Returns the files of the configuration that a service reads again when it reconnects.
fn readable(config: &ServiceConfig) -> Readable {
    let tls = config.nats.tls.iter().flat_map(|tls| [&tls.ca, &tls.certificate, &tls.key]);
    let files = [&config.nats.credentials, &config.nats.nkey].into_iter().chain(tls).flatten();
    files.fold(Readable::without(&config.keys), |readable, file| readable.and(file))
}
