//! Metrics of the chamber: its starts, its keys, its proving times, its limits and its locks.

use std::time::Duration;

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::registry::{CircuitLabels, Label, Registry};
use crate::frame::{Locks, StartCause};
use crate::protocol::CircuitId;

const READY: &str = "ready";
const DESTROYED: &str = "destroyed";
const SMALLEST: &str = "smallest";
const LARGEST: &str = "largest";

/// Metrics of the chamber.
pub struct ChamberMetrics {
    circuits: CircuitLabels,
    starts: IntCounterVec,
    keys: IntGaugeVec,
    build_seconds: GaugeVec,
    self_test_seconds: GaugeVec,
    time_limits: GaugeVec,
    memory_limits: IntGaugeVec,
    locks: IntGaugeVec,
}

impl ChamberMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let circuit = || registry.circuits().own();
        let process = Label::new("process", ["service", "chamber"]);
        let lock = Label::new("lock", ["seccomp", "landlock"]);
        ChamberMetrics {
            circuits: registry.circuits(),
            starts: registry.counters(
                ("sealprove_chamber_starts_total", "How many chambers were started, by reason?"),
                &[Label::new("reason", StartCause::ALL)],
            ),
            keys: registry.gauges(
                (
                    "sealprove_chamber_keys",
                    "How many private keys does the chamber hold, and how many destroyed ones does it know?",
                ),
                &[Label::new("state", [READY, DESTROYED])],
            ),
            build_seconds: registry.gauges_f64(
                ("sealprove_circuit_build_seconds", "How long did it take to build this circuit's keys?"),
                &[circuit()],
            ),
            self_test_seconds: registry.gauges_f64(
                (
                    "sealprove_self_test_seconds",
                    "How long did the last self-test of this circuit prove, by witness? 0 if there was none.",
                ),
                &[circuit(), Label::new("witness", [SMALLEST, LARGEST])],
            ),
            time_limits: registry.gauges_f64(
                ("sealprove_circuit_time_limit_seconds", "After how long is a proof of this circuit killed?"),
                &[circuit()],
            ),
            memory_limits: registry.gauges(
                (
                    "sealprove_circuit_memory_limit_bytes",
                    "How much memory may a proof of this circuit use beyond what its process starts with?",
                ),
                &[circuit()],
            ),
            locks: registry.gauges(
                (
                    "sealprove_locks",
                    "Which locks are in force? Landlock's version, or 0 if there is none; seccomp 1 or 0.",
                ),
                &[process, lock],
            ),
        }
    }

    /// Counts the start of a chamber.
    pub fn started(&self, reason: StartCause) {
        self.starts.with_label_values(&[reason.as_str()]).inc();
    }

    /// Sets the number of keys that the ready chamber has, and of destroyed ones that it knows.
    pub fn keys(&self, ready: usize, destroyed: usize) {
        for (state, count) in [(READY, ready), (DESTROYED, destroyed)] {
            self.keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Sets the time that building a circuit's keys took.
    pub fn built(&self, circuit: &CircuitId, took: Duration) {
        // A circuit that the bundle does not list has no series.
        if self.circuits.has(circuit) {
            self.build_seconds.with_label_values(&[circuit.as_str()]).set(took.as_secs_f64());
        }
    }

    /// Sets the proving time of a circuit's self-test, with its largest or its smallest witness.
    pub fn self_tested(&self, circuit: &CircuitId, is_largest: bool, took: Duration) {
        if self.circuits.has(circuit) {
            let labels = [circuit.as_str(), if is_largest { LARGEST } else { SMALLEST }];
            self.self_test_seconds.with_label_values(&labels).set(took.as_secs_f64());
        }
    }

    /// Sets the limits of a proof of this circuit.
    pub fn limited(&self, circuit: &CircuitId, time: Duration, memory_bytes: u64) {
        if self.circuits.has(circuit) {
            self.time_limits.with_label_values(&[circuit.as_str()]).set(time.as_secs_f64());
            let memory_bytes = i64::try_from(memory_bytes).unwrap_or(i64::MAX);
            self.memory_limits.with_label_values(&[circuit.as_str()]).set(memory_bytes);
        }
    }

    /// Sets the locks of a process, which is the service or its chamber.
    pub fn locked(&self, process: &'static str, locks: Locks) {
        self.locks.with_label_values(&[process, "seccomp"]).set(i64::from(locks.calls));
        self.locks.with_label_values(&[process, "landlock"]).set(i64::from(locks.files));
    }
}
