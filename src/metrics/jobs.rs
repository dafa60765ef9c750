//! How jobs ended, and where their time went.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec};

use super::book::{Book, Circuits, Label};
use super::labels::{Phase, Winner};
use crate::protocol::{CancelResult, CircuitId, Code, Lane, Outcome};

/// Upper bounds in seconds: a seal opens in a millisecond, a proof may take half an hour.
const SECONDS: [f64; 18] = [
    0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0,
];
const ATTEMPTS: [&str; 4] = ["1", "2", "3", "4+"];
/// What a sweeper answers.
const SWEPT: [Code; 2] = [Code::AttemptsExhausted, Code::Expired];

/// How did jobs end, and where did their time go?
pub struct Jobs {
    circuits: Circuits,
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

impl Jobs {
    pub(super) fn new(book: &Book) -> Self {
        let lane = || Label::of("lane", &Lane::ALL, Lane::as_str);
        let outcome = Label::of("outcome", &Outcome::ALL, Outcome::as_str);
        let code = |codes| Label::of("code", codes, Code::as_str);
        let phase = Label::of("phase", Phase::ALL, Phase::as_str);
        let attempt = Label::of("attempt", &ATTEMPTS, |attempt| attempt);
        let winner = Label::of("winner", Winner::ALL, Winner::as_str);
        let result = Label::of("result", &CancelResult::ALL, CancelResult::as_str);
        Jobs {
            circuits: book.circuits(),
            jobs: book.counters(
                ("sealprove_jobs_total", "How many jobs were answered here, by outcome?"),
                &[book.circuit(), lane(), outcome],
            ),
            answers: book.counters(
                ("sealprove_answers_total", "How many jobs were answered here, by code?"),
                &[book.circuit(), code(Code::ALL)],
            ),
            seconds: book.histograms(
                ("sealprove_job_seconds", "How long from submission to proof, for jobs proved here?"),
                &[book.circuit(), lane()],
                &SECONDS,
            ),
            phases: book.histograms(
                ("sealprove_phase_seconds", "Where does a job's time go?"),
                &[book.circuit(), phase],
                &SECONDS,
            ),
            deliveries: book.counters(
                ("sealprove_deliveries_total", "How many deliveries arrived here, by delivery attempt?"),
                &[attempt],
            ),
            handed_back: book
                .counter(("sealprove_handed_back_total", "How many deliveries went back to the queue?")),
            races_lost: book.counters(
                (
                    "sealprove_answer_races_lost_total",
                    "How many attempts were wasted here because another answer was stored first, by winner?",
                ),
                &[winner],
            ),
            cancels: book.counters(
                ("sealprove_cancels_total", "How many cancel requests were handled here, by result?"),
                &[result],
            ),
            swept: book.counters(
                ("sealprove_swept_total", "How many jobs did the sweeper answer, by code?"),
                &[code(&SWEPT)],
            ),
            not_jobs: book.counter((
                "sealprove_not_jobs_total",
                "How many messages on job subjects named no job and could not be answered?",
            )),
        }
    }

    /// A job's answer, of this code, is stored: ours.
    pub fn answered(&self, circuit: &CircuitId, lane: Lane, code: Code) {
        let circuit = self.circuits.name(circuit);
        self.jobs.with_label_values(&[circuit, lane.as_str(), code.outcome().as_str()]).inc();
        self.answers.with_label_values(&[circuit, code.as_str()]).inc();
    }

    /// A job has its proof, so long after its submission.
    pub fn proved(&self, circuit: &CircuitId, lane: Lane, took: Duration) {
        let labels = [self.circuits.name(circuit), lane.as_str()];
        self.seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A step of a job took so long.
    pub fn phase(&self, circuit: &CircuitId, phase: Phase, took: Duration) {
        let labels = [self.circuits.name(circuit), phase.as_str()];
        self.phases.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// The broker delivered a job for the `attempt`th time.
    pub fn delivered(&self, attempt: u32) {
        let index = (attempt.max(1) as usize).min(ATTEMPTS.len()) - 1;
        self.deliveries.with_label_values(&[ATTEMPTS[index]]).inc();
    }

    /// A delivery went back to the queue.
    pub fn handed_back(&self) {
        self.handed_back.inc();
    }

    /// Another answer was there already.
    pub fn race_lost(&self, winner: Winner) {
        self.races_lost.with_label_values(&[winner.as_str()]).inc();
    }

    /// A client asked to cancel a job.
    pub fn cancel(&self, result: CancelResult) {
        self.cancels.with_label_values(&[result.as_str()]).inc();
    }

    /// The sweeper answered a job so.
    pub fn swept(&self, code: Code) {
        self.swept.with_label_values(&[code.as_str()]).inc();
    }

    /// A message named no job.
    pub fn not_a_job(&self) {
        self.not_jobs.inc();
    }
}
