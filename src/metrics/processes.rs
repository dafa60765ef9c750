//! Slots, and the processes that prove in them.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::book::{Book, Circuits, Label};
use crate::frame::End;
use crate::protocol::CircuitId;

const FREE: &str = "free";
const BUSY: &str = "busy";
const MIB: f64 = 1_048_576.0;
/// Upper bounds in bytes: what a process is born with, to a prover of some GiB.
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

/// What do slots and job processes do?
pub struct Processes {
    circuits: Circuits,
    slots: IntGaugeVec,
    exits: IntCounterVec,
    peaks: HistogramVec,
}

impl Processes {
    pub(super) fn new(book: &Book) -> Self {
        Processes {
            circuits: book.circuits(),
            slots: book.gauges(
                ("sealprove_slots", "How many slots are busy, and how many are free?"),
                &[Label::of("state", &[FREE, BUSY], |state| state)],
            ),
            exits: book.counters(
                (
                    "sealprove_process_exits_total",
                    "How did job processes end, including those of self-tests?",
                ),
                &[book.circuit(), Label::of("cause", &End::ALL, End::as_str)],
            ),
            peaks: book.histograms(
                (
                    "sealprove_process_peak_bytes",
                    "How much memory did a job process use at its peak, including what it started with?",
                ),
                &[book.circuit()],
                &BYTES,
            ),
        }
    }

    /// There are so many slots, all free.
    pub fn slots(&self, slots: usize) {
        self.slots.with_label_values(&[BUSY]).set(0);
        self.slots.with_label_values(&[FREE]).set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// A slot got a job. One that only waits for a job is free.
    pub fn slot_taken(&self) {
        self.slots.with_label_values(&[FREE]).dec();
        self.slots.with_label_values(&[BUSY]).inc();
    }

    /// A slot's job is over.
    pub fn slot_freed(&self) {
        self.slots.with_label_values(&[BUSY]).dec();
        self.slots.with_label_values(&[FREE]).inc();
    }

    /// A job process ended.
    #[allow(clippy::cast_precision_loss)] // Its buckets are powers of two.
    pub fn ended(&self, circuit: &CircuitId, end: End, peak_bytes: u64) {
        let circuit = self.circuits.name(circuit);
        self.exits.with_label_values(&[circuit, end.as_str()]).inc();
        self.peaks.with_label_values(&[circuit]).observe(peak_bytes as f64);
    }
}
