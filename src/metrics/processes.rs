//! Metrics of the slots, and of the processes that prove in them.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::registry::{CircuitLabels, Label, Registry};
use crate::frame::End;
use crate::protocol::CircuitId;

const FREE: &str = "free";
const BUSY: &str = "busy";
const MIB: f64 = 1_048_576.0;
/// Upper bounds of the buckets, in bytes: from the memory of a process at birth to a prover of some GiB.
const BYTES: [f64; 10] = [
    32.0 * MIB,
    64.0 * MIB,
    128.0 * MIB,
    256.0 * MIB,
    512.0 * MIB,
    1024.0 * MIB,
    2048.0 * MIB,
    4096.0 * MIB,
    8192.0 * MIB,
    16384.0 * MIB,
];

/// Metrics of the slots and of the job processes.
pub struct ProcessMetrics {
    circuits: CircuitLabels,
    slots: IntGaugeVec,
    exits: IntCounterVec,
    peaks: HistogramVec,
}

impl ProcessMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        ProcessMetrics {
            circuits: registry.circuits(),
            slots: registry.gauges(
                ("sealprove_slots", "How many slots are busy, and how many are free?"),
                &[Label::new("state", [FREE, BUSY])],
            ),
            exits: registry.counters(
                (
                    "sealprove_process_exits_total",
                    "How did job processes end, including those of self-tests?",
                ),
                &[registry.circuit(), Label::new("cause", End::ALL)],
            ),
            peaks: registry.histograms(
                (
                    "sealprove_process_peak_bytes",
                    "How much memory did a job process use at its peak, including what it started with?",
                ),
                &[registry.circuit()],
                &BYTES,
            ),
        }
    }

    /// Sets the number of slots, all of which are free.
    pub fn slots(&self, slots: usize) {
        self.slots.with_label_values(&[BUSY]).set(0);
        self.slots.with_label_values(&[FREE]).set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// Counts a free slot as busy. A slot that waits for a job is free.
    pub fn slot_taken(&self) {
        self.slots.with_label_values(&[FREE]).dec();
        self.slots.with_label_values(&[BUSY]).inc();
    }

    /// Counts a busy slot as free.
    pub fn slot_freed(&self) {
        self.slots.with_label_values(&[BUSY]).dec();
        self.slots.with_label_values(&[FREE]).inc();
    }

    /// Counts an ended job process, by its circuit and end, and its largest resident set in bytes.
    #[allow(clippy::cast_precision_loss)] // Its buckets are powers of two.
    pub fn ended(&self, circuit: &CircuitId, end: End, peak_bytes: u64) {
        let circuit = self.circuits.name(circuit);
        self.exits.with_label_values(&[circuit, end.as_str()]).inc();
        self.peaks.with_label_values(&[circuit]).observe(peak_bytes as f64);
    }
}
