//! What the service counts. One struct, one method an event; labels come from closed sets, and every
//! value is there from the start.
//!
//! Never a label: a job, a subject, a tenant, the text of an error.

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::frame::{End, Locks};
use crate::job::{CircuitId, Lane};
use crate::wire::{CancelResult, Code, Outcome};

/// The circuit label of a job whose circuit is not here.
const OTHER: &str = "other";
/// Upper bounds in seconds: from a queue that is empty to a proof of half an hour.
const SECONDS: [f64; 16] =
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0];
const ATTEMPTS: [&str; 4] = ["1", "2", "3", "4+"];
/// What a sweeper answers.
const SWEPT: [Code; 2] = [Code::AttemptsExhausted, Code::Expired];

/// A step of a job's path whose duration is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// From the broker's timestamp to the attempt's start.
    Queued,
    /// Opening the seal.
    Opened,
    /// Decoding and checking the witness.
    Checked,
    /// Proving.
    Proved,
    /// Verifying the own proof.
    Verified,
    /// Sealing the answer.
    Sealed,
    /// From the answer in hand to the job acknowledged.
    Settled,
}

impl Phase {
    const ALL: [Phase; 7] = [
        Phase::Queued,
        Phase::Opened,
        Phase::Checked,
        Phase::Proved,
        Phase::Verified,
        Phase::Sealed,
        Phase::Settled,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Opened => "opened",
            Phase::Checked => "checked",
            Phase::Proved => "proved",
            Phase::Verified => "verified",
            Phase::Sealed => "sealed",
            Phase::Settled => "settled",
        }
    }
}

/// Something that the connection to the broker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerEvent {
    /// It is there.
    Connected,
    /// It is gone.
    Disconnected,
    /// It is given up for good, and another one is made.
    Closed,
    /// The server will stop and says so.
    LameDuck,
    /// A request went unanswered.
    RequestFailed,
    /// A lease could not be prolonged.
    LeaseFailed,
    /// A consumer was gone and was made again.
    ConsumerRestored,
    /// The server refused something, or we are too slow.
    Error,
}

impl BrokerEvent {
    const ALL: [BrokerEvent; 8] = [
        BrokerEvent::Connected,
        BrokerEvent::Disconnected,
        BrokerEvent::Closed,
        BrokerEvent::LameDuck,
        BrokerEvent::RequestFailed,
        BrokerEvent::LeaseFailed,
        BrokerEvent::ConsumerRestored,
        BrokerEvent::Error,
    ];

    fn as_str(self) -> &'static str {
        match self {
            BrokerEvent::Connected => "connected",
            BrokerEvent::Disconnected => "disconnected",
            BrokerEvent::Closed => "closed",
            BrokerEvent::LameDuck => "lame_duck",
            BrokerEvent::RequestFailed => "request_failed",
            BrokerEvent::LeaseFailed => "lease_failed",
            BrokerEvent::ConsumerRestored => "consumer_restored",
            BrokerEvent::Error => "error",
        }
    }
}

/// What became of a line of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditLine {
    /// It is written.
    Written,
    /// It could not be written, and is tried again.
    Retried,
    /// There was no room to keep it until it could be.
    Lost,
}

impl AuditLine {
    const ALL: [AuditLine; 3] = [AuditLine::Written, AuditLine::Retried, AuditLine::Lost];

    fn as_str(self) -> &'static str {
        match self {
            AuditLine::Written => "written",
            AuditLine::Retried => "retried",
            AuditLine::Lost => "lost",
        }
    }
}

/// The service's counters.
pub struct Metrics {
    registry: Registry,
    circuits: Vec<CircuitId>,
    jobs: IntCounterVec,
    phases: HistogramVec,
    slots: IntGaugeVec,
    deliveries: IntCounterVec,
    process_exits: IntCounterVec,
    races_lost: IntCounter,
    not_jobs: IntCounter,
    handed_back: IntCounter,
    cancels: IntCounterVec,
    swept: IntCounterVec,
    answers_filled: Gauge,
    tenants_without_room: IntGauge,
    broker_events: IntCounterVec,
    chamber_starts: IntCounter,
    ready: IntGauge,
    build_seconds: GaugeVec,
    self_test_seconds: GaugeVec,
    locks: IntGaugeVec,
    audit_lines: IntCounterVec,
}

impl Metrics {
    /// All counters, at zero, for these circuits.
    ///
    /// # Panics
    /// When a name or a label below is not one that Prometheus takes: a test would have shown it.
    pub fn new(circuits: Vec<CircuitId>) -> Self {
        let registry = Registry::new();
        let build = gauges(&registry, "sealprove_build_info", "Which build is this? Always 1.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Metrics {
            jobs: counters(
                &registry,
                "sealprove_jobs_total",
                "How many jobs were answered here, and how did they end?",
                &["circuit", "lane", "outcome"],
            ),
            phases: histograms(
                &registry,
                "sealprove_phase_seconds",
                "Where does the time of a job go?",
                &["circuit", "phase"],
            ),
            slots: gauges(
                &registry,
                "sealprove_slots",
                "How many slots are busy, how many free?",
                &["state"],
            ),
            deliveries: counters(
                &registry,
                "sealprove_deliveries_total",
                "How often did the broker deliver a job, and at which attempt?",
                &["attempt"],
            ),
            process_exits: counters(
                &registry,
                "sealprove_process_exits_total",
                "How did job processes end?",
                &["cause"],
            ),
            races_lost: counter(
                &registry,
                "sealprove_answer_races_lost_total",
                "How often was work thrown away here, since somebody else's answer was there first?",
            ),
            not_jobs: counter(
                &registry,
                "sealprove_not_jobs_total",
                "How many messages on job subjects name no job, so that nobody can be answered?",
            ),
            handed_back: counter(
                &registry,
                "sealprove_handed_back_total",
                "How many deliveries went back to the queue?",
            ),
            cancels: counters(
                &registry,
                "sealprove_cancels_total",
                "How many jobs were clients asking to cancel here, and what came of it?",
                &["result"],
            ),
            swept: counters(
                &registry,
                "sealprove_swept_total",
                "How many jobs did the sweeper answer that no delivery would have answered, and how?",
                &["code"],
            ),
            answers_filled: gauge_f64(
                &registry,
                "sealprove_answer_stream_filled_ratio",
                "How full is the fullest answer stream? From 0.9 on its tenant's intake stops.",
            ),
            tenants_without_room: gauge(
                &registry,
                "sealprove_tenants_without_room",
                "How many tenants get no job taken, because their answer stream is full?",
            ),
            broker_events: counters(
                &registry,
                "sealprove_broker_events_total",
                "What happened to the connection to the broker?",
                &["event"],
            ),
            chamber_starts: counter(
                &registry,
                "sealprove_chamber_starts_total",
                "How often was a chamber started?",
            ),
            ready: gauge(&registry, "sealprove_ready", "Are keys built and is the broker there?"),
            build_seconds: gauges_f64(
                &registry,
                "sealprove_circuit_build_seconds",
                "How long did building a circuit's keys take?",
                &["circuit"],
            ),
            self_test_seconds: gauges_f64(
                &registry,
                "sealprove_self_test_seconds",
                "How long did the last self-test of a circuit prove, with its smallest and its largest witness?",
                &["circuit", "witness"],
            ),
            locks: gauges(
                &registry,
                "sealprove_locks",
                "Which locks are closed? Landlock's version, or 0 where the kernel has none; seccomp 1 or 0.",
                &["process", "lock"],
            ),
            audit_lines: counters(
                &registry,
                "sealprove_audit_lines_total",
                "Is the audit log whole? Lines written, writes tried again, and lines lost.",
                &["result"],
            ),
            registry,
            circuits,
        };
        metrics.begin_at_zero();
        metrics
    }

    fn begin_at_zero(&self) {
        let circuits = self.circuits.iter().map(CircuitId::as_str).chain([OTHER]);
        for circuit in circuits {
            for (lane, outcome) in
                Lane::ALL.iter().flat_map(|lane| Outcome::ALL.iter().map(move |outcome| (lane, outcome)))
            {
                self.jobs.with_label_values(&[circuit, lane.as_str(), outcome.as_str()]);
            }
            for phase in Phase::ALL {
                self.phases.with_label_values(&[circuit, phase.as_str()]);
            }
        }
        ["service", "chamber"].iter().for_each(|process| self.locked(process, Locks::default()));
        CancelResult::ALL.iter().for_each(|result| drop(self.cancels.with_label_values(&[result.as_str()])));
        SWEPT.iter().for_each(|code| drop(self.swept.with_label_values(&[code.as_str()])));
        ATTEMPTS.iter().for_each(|attempt| drop(self.deliveries.with_label_values(&[*attempt])));
        End::ALL.iter().for_each(|end| drop(self.process_exits.with_label_values(&[end.as_str()])));
        AuditLine::ALL.iter().for_each(|line| drop(self.audit_lines.with_label_values(&[line.as_str()])));
        BrokerEvent::ALL
            .iter()
            .for_each(|event| drop(self.broker_events.with_label_values(&[event.as_str()])));
    }

    fn circuit<'a>(&self, circuit: &'a CircuitId) -> &'a str {
        if self.circuits.contains(circuit) { circuit.as_str() } else { OTHER }
    }

    /// A job's answer is stored and the job is acknowledged.
    pub fn answered(&self, circuit: &CircuitId, lane: Lane, outcome: Outcome) {
        self.jobs.with_label_values(&[self.circuit(circuit), lane.as_str(), outcome.as_str()]).inc();
    }

    /// A step of a job took so long.
    pub fn phase(&self, circuit: &CircuitId, phase: Phase, took: Duration) {
        self.phases.with_label_values(&[self.circuit(circuit), phase.as_str()]).observe(took.as_secs_f64());
    }

    /// There are so many slots, all free.
    pub fn slots(&self, slots: usize) {
        self.slots.with_label_values(&["busy"]).set(0);
        self.slots.with_label_values(&["free"]).set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// A slot got a job. One that only waits for a job is free.
    pub fn slot_taken(&self) {
        self.slots.with_label_values(&["free"]).dec();
        self.slots.with_label_values(&["busy"]).inc();
    }

    /// A slot's job is over.
    pub fn slot_freed(&self) {
        self.slots.with_label_values(&["busy"]).dec();
        self.slots.with_label_values(&["free"]).inc();
    }

    /// The broker delivered a job for the `attempt`th time.
    pub fn delivered(&self, attempt: u32) {
        let index = (attempt.max(1) as usize).min(ATTEMPTS.len()) - 1;
        self.deliveries.with_label_values(&[ATTEMPTS[index]]).inc();
    }

    /// A job process ended.
    pub fn process_ended(&self, end: End) {
        self.process_exits.with_label_values(&[end.as_str()]).inc();
    }

    /// Somebody else's answer was there already.
    pub fn race_lost(&self) {
        self.races_lost.inc();
    }

    /// A message named no job.
    pub fn not_a_job(&self) {
        self.not_jobs.inc();
    }

    /// A delivery went back to the queue.
    pub fn handed_back(&self) {
        self.handed_back.inc();
    }

    /// A client asked to cancel a job.
    pub fn cancel(&self, result: CancelResult) {
        self.cancels.with_label_values(&[result.as_str()]).inc();
    }

    /// The sweeper answered a job so.
    pub fn swept(&self, code: Code) {
        self.swept.with_label_values(&[code.as_str()]).inc();
    }

    /// The fullest answer stream is so full, and so many tenants get no job taken.
    pub fn answer_streams(&self, filled: f64, tenants_without_room: usize) {
        self.answers_filled.set(filled);
        self.tenants_without_room.set(i64::try_from(tenants_without_room).unwrap_or(i64::MAX));
    }

    /// Something happened to the connection to the broker.
    pub fn broker(&self, event: BrokerEvent) {
        self.broker_events.with_label_values(&[event.as_str()]).inc();
    }

    /// A chamber is being started.
    pub fn chamber_started(&self) {
        self.chamber_starts.inc();
    }

    /// Whether the service takes jobs.
    pub fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Building a circuit's keys took so long.
    pub fn built(&self, circuit: &CircuitId, took: Duration) {
        self.build_seconds.with_label_values(&[self.circuit(circuit)]).set(took.as_secs_f64());
    }

    /// A circuit's self-test proved for so long.
    pub fn self_tested(&self, circuit: &CircuitId, is_largest: bool, took: Duration) {
        let witness = if is_largest { "largest" } else { "smallest" };
        let labels = [self.circuit(circuit), witness];
        self.self_test_seconds.with_label_values(&labels).set(took.as_secs_f64());
    }

    /// The service or its chamber is locked so.
    pub fn locked(&self, process: &'static str, locks: Locks) {
        self.locks.with_label_values(&[process, "seccomp"]).set(i64::from(locks.calls));
        self.locks.with_label_values(&[process, "landlock"]).set(i64::from(locks.files));
    }

    /// Something became of a line of the audit log.
    pub fn audit(&self, line: AuditLine) {
        self.audit_lines.with_label_values(&[line.as_str()]).inc();
    }

    /// The page that Prometheus scrapes.
    pub fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        // Cannot panic: writing to a vector, and every family has a name.
        TextEncoder::new().encode(&self.registry.gather(), &mut page).expect("metrics encode");
        page
    }
}

/// Registers a metric. Cannot panic: names and labels are the constants above.
fn register<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.expect("a well-formed metric");
    registry.register(Box::new(metric.clone())).expect("a metric of a new name");
    metric
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::new(name, help))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help))
}

fn gauge_f64(registry: &Registry, name: &str, help: &str) -> Gauge {
    register(registry, Gauge::new(name, help))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn gauges_f64(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    register(registry, GaugeVec::new(Opts::new(name, help), labels))
}

fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    register(registry, HistogramVec::new(options, labels))
}
