//! Activity of the service at this moment, for its operator: the busy slots, the outcomes of jobs, the keys that
//! clients may seal to. It names no job, since a job's id is enough to cancel it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::readiness::{self, Readiness};
use crate::protocol::{
    BundleKey, CircuitId, Code, Deployment, JobId, JobSubject, KeyId, Lane, Scheme, Tenant, UnixSeconds,
    millis,
};
use crate::service::prover::{JobProcesses, SelfTestResult, SelfTestResults, ServedBundle};

/// Window of the throughput, in seconds.
const WINDOW_SECONDS: u64 = 60;

/// The document at `/top.json`. Its size is bounded by the numbers of slots, codes and keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Version of the program.
    pub(crate) program: String,
    /// Name of the deployment.
    pub(crate) deployment: Deployment,
    /// Time since the start, in seconds.
    pub(crate) up_seconds: u64,
    /// Reasons why no jobs are taken; empty when they are.
    pub(crate) missing: Vec<String>,
    /// Number of slots.
    pub(crate) slots: usize,
    /// The busy slots, the longest at work first.
    pub(crate) busy: Vec<BusySlot>,
    /// Self-tests of the first chamber. It proves the largest witnesses beside its first jobs.
    pub(crate) self_tests: Vec<SelfTestResult>,
    /// Jobs answered here since the start.
    pub(crate) answered: u64,
    /// Jobs answered here in the last minute.
    pub(crate) last_minute: u64,
    /// Answers made here since the start, by code.
    pub(crate) codes: Vec<Count>,
    /// Serial of the served bundle.
    pub(crate) bundle_serial: u64,
    /// End of the served bundle.
    pub(crate) bundle_expires_at: UnixSeconds,
    /// Keys of the served bundle.
    pub(crate) keys: Vec<ListedKey>,
}

impl From<&BundleKey> for ListedKey {
    fn from(key: &BundleKey) -> Self {
        ListedKey {
            id: key.id.clone(),
            scheme: key.scheme,
            seal_from: key.seal_from,
            seal_until: key.seal_until,
            open_until: key.open_until,
        }
    }
}

/// A busy slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BusySlot {
    pub(crate) tenant: Tenant,
    pub(crate) circuit: CircuitId,
    pub(crate) lane: Lane,
    pub(crate) attempt: u32,
    pub(crate) elapsed_ms: u64,
    /// Typical time of a proof of this circuit and size here, in milliseconds.
    pub(crate) expected_ms: Option<u64>,
    /// Id of the job process; `None` until it has started.
    pub(crate) pid: Option<i32>,
}

/// Number of answers with one code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) code: Code,
    pub(crate) count: u64,
}

/// A key as the bundle lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ListedKey {
    pub(crate) id: KeyId,
    pub(crate) scheme: Scheme,
    pub(crate) seal_from: UnixSeconds,
    pub(crate) seal_until: UnixSeconds,
    pub(crate) open_until: UnixSeconds,
}

/// The busy slots and the answers of this service.
pub(crate) struct Activity {
    slots: usize,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    busy: BTreeMap<u64, RunningJob>,
    codes: HashMap<Code, u64>,
    /// Answers by second since the start, of the last minute.
    seconds: VecDeque<(u64, u64)>,
}

/// A job that runs.
struct RunningJob {
    slot: BusySlot,
    since: Instant,
    /// Finds the process. It is not shown: a reader of the page could cancel by it.
    job: JobId,
}

impl RunningJob {
    fn show(&self, processes: &JobProcesses) -> BusySlot {
        let (elapsed_ms, pid) = (millis(self.since.elapsed()), processes.pid(&self.job));
        BusySlot { elapsed_ms, pid, ..self.slot.clone() }
    }
}

/// A busy slot, for as long as this value is kept.
pub(crate) struct BusyGuard {
    activity: Arc<Activity>,
    number: u64,
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.activity.state.lock().busy.remove(&self.number);
    }
}

impl Activity {
    /// Creates the activity of a service with `slots` free slots.
    pub(crate) fn new(slots: usize) -> Self {
        Activity { slots, started: Instant::now(), state: Mutex::default() }
    }

    /// Marks a slot as busy with this job.
    pub(crate) fn begin(
        self: &Arc<Self>,
        job: &JobSubject,
        attempt: u32,
        expected: Option<Duration>,
    ) -> BusyGuard {
        let JobSubject { tenant, lane, circuit, job } = job.clone();
        let expected_ms = expected.map(millis);
        let slot = BusySlot { tenant, circuit, lane, attempt, elapsed_ms: 0, expected_ms, pid: None };
        let running = RunningJob { slot, since: Instant::now(), job };
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.busy.insert(number, running);
        BusyGuard { activity: self.clone(), number }
    }

    /// Counts an answer that was stored here.
    pub(crate) fn answered(&self, code: Code) {
        let now = self.started.elapsed().as_secs();
        let mut state = self.state.lock();
        *state.codes.entry(code).or_default() += 1;
        match state.seconds.back_mut() {
            Some((second, count)) if *second == now => *count += 1,
            _ => state.seconds.push_back((now, 1)),
        }
        forget_old(&mut state.seconds, now);
    }

    /// Returns a snapshot for `/top.json`.
    fn snapshot(&self, page: &ActivityPage) -> Snapshot {
        let bundle = &page.bundle.current().bundle;
        let mut state = self.state.lock();
        forget_old(&mut state.seconds, self.started.elapsed().as_secs());
        Snapshot {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            deployment: bundle.deployment.clone(),
            up_seconds: self.started.elapsed().as_secs(),
            missing: page
                .readiness
                .missing()
                .into_iter()
                .map(|missing| readiness::explain(missing).to_owned())
                .collect(),
            slots: self.slots,
            busy: state.busy.values().map(|running| running.show(&page.processes)).collect(),
            self_tests: page.self_tests.get(),
            answered: state.codes.values().sum(),
            last_minute: state.seconds.iter().map(|(_, count)| count).sum(),
            // In the protocol's order: the map has none, and the lines of the page would jump.
            codes: Code::ALL
                .iter()
                .filter_map(|code| Some(Count { code: *code, count: *state.codes.get(code)? }))
                .collect(),
            bundle_serial: bundle.serial,
            bundle_expires_at: bundle.expires_at,
            keys: bundle.keys.iter().map(ListedKey::from).collect(),
        }
    }
}

fn forget_old(seconds: &mut VecDeque<(u64, u64)>, now: u64) {
    while seconds.front().is_some_and(|(second, _)| second + WINDOW_SECONDS <= now) {
        seconds.pop_front();
    }
}

/// The sources of `/top.json`.
#[derive(Clone)]
pub(crate) struct ActivityPage {
    pub(crate) activity: Arc<Activity>,
    pub(crate) bundle: Arc<ServedBundle>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) self_tests: Arc<SelfTestResults>,
    pub(crate) processes: Arc<JobProcesses>,
}

impl ActivityPage {
    /// Returns the page as JSON.
    pub(crate) fn json(&self) -> Vec<u8> {
        let snapshot = self.activity.snapshot(self);
        // Cannot panic: structs of numbers and strings.
        serde_json::to_vec(&snapshot).expect("a snapshot serialises")
    }
}
