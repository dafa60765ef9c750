//! The chamber: the key side. One process with one thread, which loads the private keys, builds every proving key once,
//! and then forks a process for each job.
//!
//! For each connection it reads an [`Order`](crate::frame::Order) and forks. From then on it only watches: the death of the
//! job process, the service's end of the connection, the deadline. It never reads a sealed frame, draws nothing from a
//! generator, and names no network library. Proving cannot be interrupted, but a process can be killed; and fork gives it
//! the keys without building them again.
//!
//! While the keys are built there are more threads: those that build, and one that ends the process when its service ends.
//! Then the chamber locks itself and can open no file any more, so new keys or circuits need a new chamber.
//!
//! **Architecture Invariant:** the chamber forks only while it has one thread, and locks itself before it accepts its
//! first connection.

mod error;
mod exit;
mod stack;

mod allocator;
mod keys;
mod limits;

mod loaded;
mod parent_watcher;

mod process;

mod event_loop;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::circuit::Circuits;
use crate::config::Sandbox;
use crate::frame::{ChamberEvent, Locks};
use crate::protocol::Deployment;
use crate::sandbox;
use event_loop::EventLoop;
use keys::LockedKeys;
use loaded::{Loaded, LoadedCircuit};
use parent_watcher::ParentWatcher;

pub use allocator::WipingAllocator;
pub use error::ChamberError;
pub(crate) use limits::ignore_stop_signals;

/// The configuration of a chamber.
#[derive(Debug)]
pub struct Config {
    /// Deployment, which every seal binds.
    pub deployment: Deployment,
    /// Folder of the private keys.
    pub keys: PathBuf,
    /// Socket that it listens on. Its folder belongs to the service alone.
    pub listen: PathBuf,
    /// Limit of job processes at once.
    pub jobs_max: usize,
    /// Switch of the locks of the chamber and its jobs.
    pub sandbox: Sandbox,
}

/// Runs a chamber until the service closes `control` and the last job has ended.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run(config: &Config, circuits: &Circuits, control: OwnedFd) -> Result<(), ChamberError> {
    ignore_stop_signals();
    limits::name_process(c"sealprove-chamb");
    limits::forbid_dumps().map_err(ChamberError::os("turn core dumps off"))?;
    if config.sandbox == Sandbox::On && !allocator::is_in_force() {
        return Err(ChamberError::Allocator);
    }
    limits::warm_malloc_up();
    let threads = limits::ThreadCount::open().map_err(ChamberError::os("open the thread count"))?;
    let watcher = ParentWatcher::spawn(&control)?;
    let mut loaded = Loaded {
        deployment: config.deployment.clone(),
        keys: LockedKeys::load(&config.keys)?,
        circuits: loaded::build_all(circuits)?,
        sandbox: config.sandbox,
        birth_bytes: 0,
    };
    watcher.stop();
    threads.wait_for_one_thread()?;
    // Measured last: every job process inherits all that is allocated by now.
    loaded.birth_bytes = limits::data_bytes().map_err(ChamberError::os("measure this process"))?;

    let listener = UnixListener::bind(&config.listen);
    let listener = listener.map_err(ChamberError::os("bind the chamber's socket"))?;
    let mut events = EventLoop::new(listener, control, config.jobs_max, threads)?;
    let locks = match config.sandbox {
        Sandbox::On => sandbox::lock_chamber()?,
        Sandbox::Off => Locks::default(),
    };
    events.send(&ready(&loaded, config, locks));
    events.run(&loaded)
}

fn ready(loaded: &Loaded, config: &Config, locks: Locks) -> ChamberEvent {
    ChamberEvent::Ready {
        keys: loaded.keys.ready(),
        destroyed: loaded.keys.destroyed().to_vec(),
        circuits: loaded.circuits.values().map(LoadedCircuit::ready).collect(),
        listen: config.listen.clone(),
        locks,
        birth_bytes: loaded.birth_bytes,
    }
}
