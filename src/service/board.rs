//! What the service is doing at this moment, for its operator: which slots are busy with what and for how long,
//! how jobs have ended, which keys may be sealed to. It names no job: whoever knows a job's id can cancel it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::published::Published;
use super::readiness::{self, Readiness};
use crate::clock::millis;
use crate::envelope::Scheme;
use crate::job::{CircuitId, Deployment, JobSubject, KeyId, Lane, Tenant};
use crate::wire::Code;

/// How far back the throughput is looked at, in seconds.
const WINDOW_SECONDS: u64 = 60;

/// The page `/top.json`. It is as long as there are slots, codes and keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Top {
    /// The version of the program.
    pub(crate) program: String,
    /// Of which deployment.
    pub(crate) deployment: Deployment,
    /// How long it has been running, in seconds.
    pub(crate) up_seconds: u64,
    /// Why no jobs are taken; nothing, when they are.
    pub(crate) missing: Vec<String>,
    /// How many slots there are.
    pub(crate) slots: usize,
    /// The busy ones, the longest at work first.
    pub(crate) busy: Vec<Seat>,
    /// How many jobs were answered here.
    pub(crate) answered: u64,
    /// How many of them in the last minute.
    pub(crate) last_minute: u64,
    /// The codes of all answers that were made here.
    pub(crate) codes: Vec<Count>,
    /// The serial of the bundle that is served, and when it stops being good.
    pub(crate) bundle_serial: u64,
    pub(crate) bundle_expires_at: u64,
    /// The keys of that bundle.
    pub(crate) keys: Vec<ListedKey>,
}

/// A busy slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) tenant: Tenant,
    pub(crate) circuit: CircuitId,
    pub(crate) lane: Lane,
    pub(crate) attempt: u32,
    pub(crate) elapsed_ms: u64,
    /// How long a proof of this circuit and size usually takes here.
    pub(crate) expected_ms: Option<u64>,
}

/// How many answers had a code.
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
    pub(crate) seal_from: u64,
    pub(crate) seal_until: u64,
    pub(crate) open_until: u64,
}

/// Who sits where.
pub(super) struct Board {
    slots: usize,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    seats: BTreeMap<u64, (Seat, Instant)>,
    codes: HashMap<Code, u64>,
    /// Answers by second since the start, of the last minute.
    seconds: VecDeque<(u64, u64)>,
}

/// A job's place on the board, for as long as this is kept.
pub(super) struct Seated<'a> {
    board: &'a Board,
    number: u64,
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        self.board.lock().seats.remove(&self.number);
    }
}

impl Board {
    pub(super) fn new(slots: usize) -> Self {
        Board { slots, started: Instant::now(), state: Mutex::default() }
    }

    /// A slot has this job.
    pub(super) fn seat(&self, job: &JobSubject, attempt: u32, expected: Option<Duration>) -> Seated<'_> {
        let JobSubject { tenant, lane, circuit, .. } = job.clone();
        let seat = Seat { tenant, circuit, lane, attempt, elapsed_ms: 0, expected_ms: expected.map(millis) };
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.seats.insert(number, (seat, Instant::now()));
        Seated { board: self, number }
    }

    /// An answer with this code was stored here.
    pub(super) fn answered(&self, code: Code) {
        let now = self.started.elapsed().as_secs();
        let mut state = self.lock();
        *state.codes.entry(code).or_default() += 1;
        match state.seconds.back_mut() {
            Some((second, count)) if *second == now => *count += 1,
            _ => state.seconds.push_back((now, 1)),
        }
        forget_old(&mut state.seconds, now);
    }

    /// The page.
    pub(super) fn page(&self, published: &Published, readiness: &Readiness) -> Top {
        let signed = published.now();
        let mut state = self.lock();
        forget_old(&mut state.seconds, self.started.elapsed().as_secs());
        let seated = state
            .seats
            .values()
            .map(|(seat, since)| Seat { elapsed_ms: millis(since.elapsed()), ..seat.clone() });
        let count = |code: &Code| Some(Count { code: *code, count: *state.codes.get(code)? });
        let keys = signed.bundle.keys.iter().map(|key| ListedKey {
            id: key.id.clone(),
            scheme: key.scheme,
            seal_from: key.seal_from,
            seal_until: key.seal_until,
            open_until: key.open_until,
        });
        Top {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            deployment: signed.bundle.deployment.clone(),
            up_seconds: self.started.elapsed().as_secs(),
            missing: readiness
                .missing()
                .into_iter()
                .map(|missing| readiness::says(missing).to_owned())
                .collect(),
            slots: self.slots,
            busy: seated.collect(),
            answered: state.codes.values().sum(),
            last_minute: state.seconds.iter().map(|(_, count)| count).sum(),
            codes: Code::ALL.iter().filter_map(count).collect(),
            bundle_serial: signed.bundle.serial,
            bundle_expires_at: signed.bundle.expires_at,
            keys: keys.collect(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Whole after every call, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_old(seconds: &mut VecDeque<(u64, u64)>, now: u64) {
    while seconds.front().is_some_and(|(second, _)| second + WINDOW_SECONDS <= now) {
        seconds.pop_front();
    }
}

/// What the page is made of.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) board: Arc<Board>,
    pub(super) published: Arc<Published>,
    pub(super) readiness: Arc<Readiness>,
}

impl Page {
    /// The page, as JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let top = self.board.page(&self.published, &self.readiness);
        // Cannot panic: structs of numbers and strings.
        serde_json::to_vec(&top).expect("a page serialises")
    }
}
