//! Recovery times after each fault, from streams, journals and wire.

use std::collections::{BTreeMap, HashMap};

use super::broken::Broken;
use super::evidence::Evidence;
use super::faults::Injected;
use super::schedule::{Blow, Kind, Point};
use super::settings::ACK_WAIT;

/// Time that a dead service may cost a job beyond its lease, in milliseconds.
const DEAD_SERVICE_MORE_MS: u64 = 10_000;
/// Time after the death of a leader until everything works again, in milliseconds.
const DEAD_LEADER_MS: u64 = 15_000;

/// The meaning of recovery for a fault.
enum Measure {
    /// The jobs that it struck have their answers.
    Answers,
    /// The jobs that it struck are acknowledged.
    Acknowledgements,
    /// A job that was submitted after it has its answer.
    RoundTrip,
    /// The lane that it struck gives out a job, or the service that it struck is given one.
    Delivery,
    /// Nothing is broken by it.
    Nothing,
}

fn measure(kind: Kind) -> Measure {
    match kind {
        Kind::Service(_, Point::BeforeAck) | Kind::AcksSwallowed | Kind::StoredSwallowed => {
            Measure::Acknowledgements
        }
        Kind::Job(_) | Kind::Chamber(_) | Kind::Service(..) => Measure::Answers,
        Kind::Leader(_) | Kind::Connected(_) | Kind::AllBrokers(_) => Measure::RoundTrip,
        Kind::LameDuck | Kind::JobsFull | Kind::AnswersFull | Kind::DiskFull => Measure::RoundTrip,
        Kind::ConsumerDeleted | Kind::Delay | Kind::Cut | Kind::Stall => Measure::Delivery,
        Kind::Client => Measure::Nothing,
    }
}

/// The recovery times of a kind of fault.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) count: usize,
    /// Milliseconds, ascending; without those that nothing was broken by.
    pub(crate) took: Vec<u64>,
    /// From how many there was no recovery in the run.
    pub(crate) never: usize,
}

impl Times {
    /// The time that this share of all recoveries took at most.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let rank = (self.took.len() as f64 * share).ceil() as usize;
        self.took.get(rank.max(1) - 1).copied()
    }

    pub(crate) fn worst(&self) -> Option<u64> {
        self.took.last().copied()
    }
}

/// Measures every fault.
pub(crate) fn measure_all(injected: &[Injected], evidence: &Evidence) -> BTreeMap<String, Times> {
    let answered: HashMap<&str, u64> =
        evidence.answers.messages.iter().map(|answer| (answer.job(), answer.at)).collect();
    let mut by_kind: BTreeMap<String, Times> = BTreeMap::new();
    for fault in injected {
        let times = by_kind.entry(fault.kind.to_string()).or_default();
        times.count += 1;
        match took(fault, evidence, &answered) {
            Some(Some(took)) => times.took.push(took),
            Some(None) => times.never += 1,
            None => {}
        }
    }
    by_kind.values_mut().for_each(|times| times.took.sort_unstable());
    by_kind
}

/// Milliseconds to recovery; `Some(None)` where there was none, `None` where there was nothing to recover.
fn took(fault: &Injected, evidence: &Evidence, answered: &HashMap<&str, u64>) -> Option<Option<u64>> {
    let struck = |done: &dyn Fn(&str) -> Option<u64>| {
        let all: Option<Vec<u64>> = fault.jobs.iter().map(|job| done(job)).collect();
        all.map(|all| all.into_iter().max().unwrap_or(fault.since).saturating_sub(fault.since))
    };
    match measure(fault.kind) {
        Measure::Nothing => None,
        Measure::Answers | Measure::Acknowledgements if fault.jobs.is_empty() => None,
        Measure::Answers => Some(struck(&|job| answered.get(job).copied())),
        Measure::Acknowledgements => Some(struck(&|job| evidence.acknowledged.get(job).copied())),
        Measure::RoundTrip => {
            let proved = evidence
                .submissions
                .iter()
                .filter(|(_, job)| job.kind.must_be_proved() && job.at >= fault.since);
            let answers = proved.filter_map(|(job, _)| answered.get(job.as_str()));
            Some(answers.min().map(|at| at.saturating_sub(fault.since)))
        }
        Measure::Delivery => {
            let struck = evidence.deliveries.iter().filter(|delivery| {
                fault.lane.is_none_or(|lane| lane == delivery.lane)
                    && fault.service.is_none_or(|service| service == delivery.service)
            });
            let after = struck.filter(|delivery| delivery.at > fault.since);
            Some(after.map(|delivery| delivery.at - fault.since).min())
        }
    }
}

/// Returns the recoveries that took longer than they may.
pub(crate) fn too_slow(injected: &[Injected], evidence: &Evidence) -> Vec<Broken> {
    let times_of = |wanted: &dyn Fn(Kind) -> bool| {
        let those: Vec<Injected> = injected.iter().filter(|fault| wanted(fault.kind)).cloned().collect();
        let mut all = Times::default();
        for times in measure_all(&those, evidence).into_values() {
            all.took.extend(times.took);
        }
        all.took.sort_unstable();
        all
    };
    let mut slow = Vec::new();
    let dead_service_ms = u64::try_from(ACK_WAIT.as_millis()).unwrap_or(u64::MAX) + DEAD_SERVICE_MORE_MS;
    let dead_service = times_of(&|kind| matches!(kind, Kind::Service(Blow::Kill, _))).quantile(0.99);
    if let Some(took) = dead_service.filter(|took| *took >= dead_service_ms) {
        slow.push(Broken::of_all(format!(
            "recovery from a dead service took {took} ms (p99), at most {dead_service_ms}"
        )));
    }
    let dead_leader = times_of(&|kind| kind == Kind::Leader(Blow::Kill)).worst();
    if let Some(took) = dead_leader.filter(|took| *took >= DEAD_LEADER_MS) {
        slow.push(Broken::of_all(format!(
            "recovery from a dead leader took {took} ms, at most {DEAD_LEADER_MS}"
        )));
    }
    slow
}
