//! Metrics of jobs: their outcomes, their times, their deliveries.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec};

use super::labels::{Phase, Winner};
use super::registry::{CircuitLabels, Label, Registry};
use crate::protocol::{CancelResult, CircuitId, Code, Lane, Outcome};

/// Upper bounds of the buckets, in seconds: a seal opens in a millisecond, a proof may take half an hour.
const SECONDS: [f64; 18] = [
    0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0,
];
/// Labels of delivery attempts.
const ATTEMPTS: [&str; 4] = ["1", "2", "3", "4+"];
/// Codes of a sweeper's answers.
const SWEPT: [Code; 2] = [Code::AttemptsExhausted, Code::Expired];

/// Metrics of jobs.
pub struct JobMetrics {
    circuits: CircuitLabels,
    jobs: IntCounterVec,
    answers: IntCounterVec,
    seconds: HistogramVec,
    phases: HistogramVec,
    deliveries: IntCounterVec,
    handed_back: IntCounter,
    races_lost: IntCounterVec,
    cancels: IntCounterVec,
    swept: IntCounterVec,
    not_jobs: IntCounter,
}

impl JobMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let lane = || Label::new("lane", Lane::ALL);
        JobMetrics {
            circuits: registry.circuits(),
            jobs: registry.counters(
                ("sealprove_jobs_total", "How many jobs were answered here, by outcome?"),
                &[registry.circuit(), lane(), Label::new("outcome", Outcome::ALL)],
            ),
            answers: registry.counters(
                ("sealprove_answers_total", "How many jobs were answered here, by code?"),
                &[registry.circuit(), Label::new("code", Code::ALL)],
            ),
            seconds: registry.histograms(
                ("sealprove_job_seconds", "How long from submission to proof, for jobs proved here?"),
                &[registry.circuit(), lane()],
                &SECONDS,
            ),
            phases: registry.histograms(
                ("sealprove_phase_seconds", "Where does a job's time go?"),
                &[registry.circuit(), Label::new("phase", Phase::ALL)],
                &SECONDS,
            ),
            deliveries: registry.counters(
                ("sealprove_deliveries_total", "How many deliveries arrived here, by delivery attempt?"),
                &[Label::new("attempt", ATTEMPTS)],
            ),
            handed_back: registry
                .counter(("sealprove_handed_back_total", "How many deliveries went back to the queue?")),
            races_lost: registry.counters(
                (
                    "sealprove_answer_races_lost_total",
                    "How many attempts were wasted here because another answer was stored first, by winner?",
                ),
                &[Label::new("winner", Winner::ALL)],
            ),
            cancels: registry.counters(
                ("sealprove_cancels_total", "How many cancel requests were handled here, by result?"),
                &[Label::new("result", CancelResult::ALL)],
            ),
            swept: registry.counters(
                ("sealprove_swept_total", "How many jobs did the sweeper answer, by code?"),
                &[Label::new("code", SWEPT)],
            ),
            not_jobs: registry.counter((
                "sealprove_not_jobs_total",
                "How many messages on job subjects named no job and could not be answered?",
            )),
        }
    }

    /// Counts an answer of this service that is stored.
    pub fn answered(&self, circuit: &CircuitId, lane: Lane, code: Code) {
        let circuit = self.circuits.name(circuit);
        self.jobs.with_label_values(&[circuit, lane.as_str(), code.outcome().as_str()]).inc();
        self.answers.with_label_values(&[circuit, code.as_str()]).inc();
    }

    /// Counts a proof of this service, and the time since the job's submission.
    pub fn proved(&self, circuit: &CircuitId, lane: Lane, took: Duration) {
        let labels = [self.circuits.name(circuit), lane.as_str()];
        self.seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Observes the duration of a step of a job.
    pub fn phase(&self, circuit: &CircuitId, phase: Phase, took: Duration) {
        let labels = [self.circuits.name(circuit), phase.as_str()];
        self.phases.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Counts the `attempt`th delivery of a job.
    pub fn delivered(&self, attempt: u32) {
        // Attempts from four on share a label, as their number has no bound.
        let index = (attempt.max(1) as usize).min(ATTEMPTS.len()) - 1;
        self.deliveries.with_label_values(&[ATTEMPTS[index]]).inc();
    }

    /// Counts a delivery that went back to the queue.
    pub fn handed_back(&self) {
        self.handed_back.inc();
    }

    /// Counts an answer of this service that was late.
    pub fn race_lost(&self, winner: Winner) {
        self.races_lost.with_label_values(&[winner.as_str()]).inc();
    }

    /// Counts a request to cancel, by its result.
    pub fn cancel(&self, result: CancelResult) {
        self.cancels.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts an answer of the sweeper.
    pub fn swept(&self, code: Code) {
        self.swept.with_label_values(&[code.as_str()]).inc();
    }

    /// Counts a message that names no job.
    pub fn not_a_job(&self) {
        self.not_jobs.inc();
    }
}
