//! The chamber: the key side. One process, one thread: it loads the private keys, builds every proving
//! key once, and then forks a process for each job.
//!
//! It accepts a connection, reads an [`Order`](crate::frame::Order), forks, and from then on only watches: the
//! job process's death, the service's end of the connection, the deadline. It never reads a sealed
//! frame, it draws nothing from a generator, and it names no network library. Proving cannot be
//! interrupted, but a process can be killed; fork gives the process its keys without building them.
//!
//! While the keys are built there are more threads: those that build, and a lookout that ends the process
//! when its service ends. Then the chamber locks itself, and can open nothing any more: new keys or circuits
//! mean a new chamber.
//!
//! **Architecture Invariant:** the chamber forks only while it has one thread, and locks itself before it
//! accepts its first connection.

mod stack;
mod allocator;
mod keys;
mod limits;
mod lookout;
mod process;
mod watch;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Instant;

use crate::circuit::{BuildError, Circuit, Circuits, Descriptor, ProvingKey};
use crate::config::Sandbox;
use crate::frame::{Event, Locks, ReadyCircuit};
use crate::protocol::{CircuitId, Deployment};
use crate::sandbox::{self, LockError};

pub use allocator::WipingAllocator;
pub(crate) use limits::leave_stopping_to_the_service;

/// What a chamber is started with.
#[derive(Debug)]
pub struct Config {
    /// The deployment that every seal is bound to.
    pub deployment: Deployment,
    /// Where the private keys are.
    pub keys: PathBuf,
    /// The socket that it listens on; its folder belongs to the service alone.
    pub listen: PathBuf,
    /// How many job processes there may be at once.
    pub jobs_max: usize,
    /// Whether it locks itself and its jobs.
    pub sandbox: Sandbox,
}

/// Why a chamber did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ChamberError {
    /// A private key could not be loaded.
    #[error("load the private keys in {path}: {reason}")]
    Keys {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        reason: String,
    },
    /// A circuit's keys could not be built.
    #[error("build the keys of {circuit}")]
    Build {
        /// Which circuit.
        circuit: CircuitId,
        /// Why.
        source: BuildError,
    },
    /// A circuit built other keys than it pins.
    #[error(
        "circuit {circuit} pins the verifying keys {pinned}, but built {built}: a change of circuit is a new name"
    )]
    Pinned {
        /// Which circuit.
        circuit: CircuitId,
        /// What its descriptor says.
        pinned: String,
        /// What came out.
        built: String,
    },
    /// The program's allocator is another.
    #[error(
        "this program does not wipe the memory that it frees: declare `#[global_allocator] static ALLOCATOR: \
         sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;` in its main file"
    )]
    Allocator,
    /// It cannot be locked.
    #[error("lock the chamber")]
    Lock(#[from] LockError),
    /// There are threads where there must be none.
    #[error("the chamber has {0} threads and forks only with one")]
    Threads(u64),
    /// The operating system refused something.
    #[error("{step}")]
    Os {
        /// What was tried.
        step: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

impl ChamberError {
    fn os(step: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| ChamberError::Os { step, source }
    }
}

/// Everything that a job process gets by fork.
struct Loaded {
    deployment: Deployment,
    keys: keys::LockedKeys,
    circuits: BTreeMap<CircuitId, LoadedCircuit>,
    sandbox: Sandbox,
    /// The memory that a job process is born with, in bytes.
    birth_bytes: u64,
}

struct LoadedCircuit {
    circuit: std::sync::Arc<dyn Circuit>,
    descriptor: Descriptor,
    proving_key: Box<dyn ProvingKey>,
    built_ms: u64,
}

/// Runs a chamber until the service closes `control` and the last job has ended.
///
/// # Errors
/// Why it could not start or go on.
pub fn run(config: &Config, circuits: &Circuits, control: OwnedFd) -> Result<(), ChamberError> {
    leave_stopping_to_the_service();
    limits::name_process(c"sealprove-chamb");
    limits::no_core_dumps().map_err(ChamberError::os("turn core dumps off"))?;
    if config.sandbox == Sandbox::On && !allocator::is_in_force() {
        return Err(ChamberError::Allocator);
    }
    limits::acquaint_malloc();
    let threads = limits::ThreadCount::open().map_err(ChamberError::os("open the thread count"))?;
    let lookout = lookout::Lookout::post(&control)?;
    let mut loaded = Loaded {
        deployment: config.deployment.clone(),
        keys: keys::LockedKeys::load(&config.keys)?,
        circuits: build_all(circuits)?,
        sandbox: config.sandbox,
        birth_bytes: 0,
    };
    lookout.call_back();
    threads.wait_for_one_thread()?;
    loaded.birth_bytes = limits::data_bytes().map_err(ChamberError::os("measure this process"))?;

    let listener = UnixListener::bind(&config.listen);
    let listener = listener.map_err(ChamberError::os("bind the chamber's socket"))?;
    let mut watch = watch::Watch::new(listener, control, config.jobs_max, threads)?;
    let locks = match config.sandbox {
        Sandbox::On => sandbox::lock_chamber()?,
        Sandbox::Off => Locks::default(),
    };
    watch.tell(&ready(&loaded, config, locks));
    watch.run(&loaded)
}

/// Builds every proving key in a pool of threads that is gone when this returns.
fn build_all(circuits: &Circuits) -> Result<BTreeMap<CircuitId, LoadedCircuit>, ChamberError> {
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

fn build(circuit: &std::sync::Arc<dyn Circuit>) -> Result<LoadedCircuit, ChamberError> {
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
    let built_ms = crate::protocol::millis(started.elapsed());
    Ok(LoadedCircuit { circuit: circuit.clone(), descriptor, proving_key, built_ms })
}

fn ready(loaded: &Loaded, config: &Config, locks: Locks) -> Event {
    let circuit = |circuit: &LoadedCircuit| ReadyCircuit {
        id: circuit.descriptor.id.clone(),
        verifying_key: circuit.descriptor.verifying_key(),
        built_ms: circuit.built_ms,
    };
    Event::Ready {
        keys: loaded.keys.ready(),
        destroyed: loaded.keys.destroyed().to_vec(),
        circuits: loaded.circuits.values().map(circuit).collect(),
        listen: config.listen.clone(),
        locks,
        birth_bytes: loaded.birth_bytes,
    }
}
