//! Events: what the chamber reports on its control connection.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::end::End;
use crate::protocol::{BadName, CircuitId, KeyId, Scheme, VerifyingKeyDigest};

/// An event in the life of a chamber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChamberEvent {
    /// The keys are loaded and every proving key is built.
    Ready {
        /// Private keys that the chamber has.
        keys: Vec<ReadyKey>,
        /// Keys that were destroyed.
        destroyed: Vec<KeyId>,
        /// Circuits that the chamber has, with the verifying keys that were built.
        circuits: Vec<ReadyCircuit>,
        /// Socket on which it takes jobs.
        listen: PathBuf,
        /// Locks of the chamber, and of every job.
        locks: Locks,
        /// Memory that every job process is born with, in bytes.
        birth_bytes: u64,
    },
    /// A process was forked for an order.
    Started {
        /// Number of the order.
        ticket: u64,
        /// Process id.
        pid: i32,
    },
    /// A process is dead and reaped.
    Ended {
        /// Number of the order.
        ticket: u64,
        /// The way in which it ended.
        end: End,
        /// Largest resident set of the process, in bytes, with its memory at birth.
        peak_bytes: u64,
    },
}

/// A private key that the chamber can open seals with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyKey {
    /// Id of the key.
    pub id: KeyId,
    /// Scheme of seals to it.
    pub scheme: Scheme,
}

/// A circuit that the chamber can prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyCircuit {
    /// Name of the circuit.
    pub id: CircuitId,
    /// Digest that headers and bundle pin.
    pub verifying_key: VerifyingKeyDigest,
    /// Time that building its keys took, in milliseconds.
    pub built_ms: u64,
}

/// The locks that are in force in a process, as the sandbox closed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Locks {
    /// True if system calls are filtered (seccomp).
    pub calls: bool,
    /// Version of Landlock that restricts files. It restricts TCP from 4 on, and signals and abstract sockets from 6 on.
    /// 0 if the kernel has none.
    pub files: u32,
}

impl Locks {
    /// The first version of Landlock that restricts everything that the sandbox asks for.
    pub const FILES_WHOLE: u32 = 6;
}

closed_set! {
    /// The cause for which a chamber is started.
    pub StartCause, "cause of a start" {
        /// It is the first chamber of a service.
        Start = "start",
        /// The previous chamber ended by itself.
        Ended = "ended",
        /// A job broke a rule in the previous chamber.
        RuleBroken = "rule_broken",
        /// The keys on disk have changed.
        KeysChanged = "keys_changed",
    }
}
