//! The chamber: why it is started, what it holds, how fast it proves, and how it is locked.

use std::time::Duration;

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::book::{Book, Circuits, Label};
use crate::frame::Locks;
use crate::frame::StartCause;
use crate::protocol::CircuitId;

const READY: &str = "ready";
const DESTROYED: &str = "destroyed";
const SMALLEST: &str = "smallest";
const LARGEST: &str = "largest";

/// Who holds the keys, and how is it locked?
pub struct Chambers {
    circuits: Circuits,
    starts: IntCounterVec,
    keys: IntGaugeVec,
    build_seconds: GaugeVec,
    self_test_seconds: GaugeVec,
    time_limits: GaugeVec,
    memory_limits: IntGaugeVec,
    locks: IntGaugeVec,
}

impl Chambers {
    pub(super) fn new(book: &Book) -> Self {
        let circuit = || book.circuits().own();
        let process = Label::of("process", &["service", "chamber"], |process| process);
        let lock = Label::of("lock", &["seccomp", "landlock"], |lock| lock);
        Chambers {
            circuits: book.circuits(),
            starts: book.counters(
                ("sealprove_chamber_starts_total", "How many chambers were started, by reason?"),
                &[Label::of("reason", StartCause::ALL, StartCause::as_str)],
            ),
            keys: book.gauges(
                (
                    "sealprove_chamber_keys",
                    "How many private keys does the chamber hold, and how many destroyed ones does it know?",
                ),
                &[Label::of("state", &[READY, DESTROYED], |state| state)],
            ),
            build_seconds: book.gauges_f64(
                ("sealprove_circuit_build_seconds", "How long did it take to build this circuit's keys?"),
                &[circuit()],
            ),
            self_test_seconds: book.gauges_f64(
                (
                    "sealprove_self_test_seconds",
                    "How long did the last self-test of this circuit prove, by witness? 0 if there was none.",
                ),
                &[circuit(), Label::of("witness", &[SMALLEST, LARGEST], |witness| witness)],
            ),
            time_limits: book.gauges_f64(
                ("sealprove_circuit_time_limit_seconds", "After how long is a proof of this circuit killed?"),
                &[circuit()],
            ),
            memory_limits: book.gauges(
                (
                    "sealprove_circuit_memory_limit_bytes",
                    "How much memory may a proof of this circuit use beyond what its process starts with?",
                ),
                &[circuit()],
            ),
            locks: book.gauges(
                (
                    "sealprove_locks",
                    "Which locks are in force? Landlock's version, or 0 if there is none; seccomp 1 or 0.",
                ),
                &[process, lock],
            ),
        }
    }

    /// A chamber is being started.
    pub fn started(&self, reason: StartCause) {
        self.starts.with_label_values(&[reason.as_str()]).inc();
    }

    /// The chamber that is ready has so many keys, and knows of so many that were destroyed.
    pub fn keys(&self, ready: usize, destroyed: usize) {
        for (state, count) in [(READY, ready), (DESTROYED, destroyed)] {
            self.keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Building a circuit's keys took so long.
    pub fn built(&self, circuit: &CircuitId, took: Duration) {
        if self.circuits.has(circuit) {
            self.build_seconds.with_label_values(&[circuit.as_str()]).set(took.as_secs_f64());
        }
    }

    /// A circuit's self-test proved for so long.
    pub fn self_tested(&self, circuit: &CircuitId, is_largest: bool, took: Duration) {
        if self.circuits.has(circuit) {
            let labels = [circuit.as_str(), if is_largest { LARGEST } else { SMALLEST }];
            self.self_test_seconds.with_label_values(&labels).set(took.as_secs_f64());
        }
    }

    /// A proof of this circuit may take so long, and so much.
    pub fn limited(&self, circuit: &CircuitId, time: Duration, memory_bytes: u64) {
        if self.circuits.has(circuit) {
            self.time_limits.with_label_values(&[circuit.as_str()]).set(time.as_secs_f64());
            let memory_bytes = i64::try_from(memory_bytes).unwrap_or(i64::MAX);
            self.memory_limits.with_label_values(&[circuit.as_str()]).set(memory_bytes);
        }
    }

    /// The service or its chamber is locked so.
    pub fn locked(&self, process: &'static str, locks: Locks) {
        self.locks.with_label_values(&[process, "seccomp"]).set(i64::from(locks.calls));
        self.locks.with_label_values(&[process, "landlock"]).set(i64::from(locks.files));
    }
}
