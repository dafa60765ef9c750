//! The schedule: which fault comes when. A pure function of seed, duration and the kinds of faults.
//!
//! Kinds are dealt like cards: every round has each kind once, in an order of its own, so that a long run
//! has all of them many times. After each there is room for its recovery to be measured by itself.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// A blow at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT after a while.
    Freeze,
}

/// The point of a job's path at which its service is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// The job's message has reached the service.
    BeforeStart,
    /// The service has said that it proves.
    WhileProving,
    /// The service has sent the answer, and the broker has not got it.
    BeforeAnswer,
    /// The answer is stored, the service has sent the acknowledgement, and the broker has not got it.
    BeforeAck,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Job(Blow),
    Chamber(Blow),
    Service(Blow, Point),
    /// The leader of a stream.
    Leader(Blow),
    /// The broker that a service is connected to.
    Connected(Blow),
    AllBrokers(Blow),
    LameDuck,
    ConsumerDeleted,
    JobsFull,
    AnswersFull,
    DiskFull,
    /// Everything between a service and its broker is late.
    Delay,
    /// The connections of a service are cut.
    Cut,
    /// The connections of a service stay up, and nothing passes.
    Stall,
    /// A service's acknowledgements of jobs do not arrive.
    AcksSwallowed,
    /// The broker's acknowledgements of answers do not arrive.
    StoredSwallowed,
    Client,
}

use Blow::{Freeze, Kill};
use Kind::{AllBrokers, Chamber, Connected, Job, Leader, Service};
use Point::{BeforeAck, BeforeAnswer, BeforeStart, WhileProving};

/// Every kind with its name, and the seconds until the next fault may come.
const KINDS: [(Kind, &str, u64); 29] = [
    (Job(Kill), "job-killed", 5),
    (Job(Freeze), "job-frozen", 9),
    (Chamber(Kill), "chamber-killed", 8),
    (Chamber(Freeze), "chamber-frozen", 10),
    (Service(Kill, BeforeStart), "service-killed-before-start", 19),
    (Service(Kill, WhileProving), "service-killed-while-proving", 19),
    (Service(Kill, BeforeAnswer), "service-killed-before-answer", 19),
    (Service(Kill, BeforeAck), "service-killed-before-ack", 19),
    (Service(Freeze, BeforeStart), "service-frozen-before-start", 23),
    (Service(Freeze, WhileProving), "service-frozen-while-proving", 23),
    (Service(Freeze, BeforeAnswer), "service-frozen-before-answer", 23),
    (Service(Freeze, BeforeAck), "service-frozen-before-ack", 23),
    (Leader(Kill), "leader-killed", 17),
    (Leader(Freeze), "leader-frozen", 22),
    (Connected(Kill), "connected-broker-killed", 17),
    (Connected(Freeze), "connected-broker-frozen", 22),
    (AllBrokers(Kill), "all-brokers-killed", 24),
    (AllBrokers(Freeze), "all-brokers-frozen", 20),
    (Kind::LameDuck, "lame-duck-restart", 24),
    (Kind::ConsumerDeleted, "consumer-deleted", 8),
    (Kind::JobsFull, "job-stream-full", 12),
    (Kind::AnswersFull, "answer-stream-full", 14),
    (Kind::DiskFull, "disk-full", 32),
    (Kind::Delay, "connection-delayed", 10),
    (Kind::Cut, "connection-cut", 8),
    (Kind::Stall, "connection-stalled", 20),
    (Kind::AcksSwallowed, "acks-swallowed", 12),
    (Kind::StoredSwallowed, "publish-acks-swallowed", 14),
    (Kind::Client, "client-killed", 3),
];

/// A run that is too short for every kind has these, at these seconds, over and over: what needs no root,
/// with light faults in the time that a lease takes to run out.
const SHORT: [(u64, Kind); 12] = [
    (1, Service(Kill, BeforeAnswer)),
    (4, Kind::Client),
    (8, Job(Kill)),
    (17, Service(Freeze, BeforeAnswer)),
    (22, Kind::StoredSwallowed),
    (38, Service(Kill, BeforeAck)),
    (42, Kind::Cut),
    (46, Chamber(Kill)),
    (53, Leader(Kill)),
    (65, Kind::ConsumerDeleted),
    (67, Kind::Delay),
    (68, Kind::AcksSwallowed),
];
/// Period of the short run's faults.
const SHORT_ROUND: Duration = Duration::from_secs(75);

impl Kind {
    /// All kinds.
    pub(crate) fn all() -> impl Iterator<Item = Kind> {
        KINDS.iter().map(|(kind, _, _)| *kind)
    }

    fn entry(self) -> &'static (Kind, &'static str, u64) {
        KINDS.iter().find(|(kind, _, _)| *kind == self).expect("every kind is in the table")
    }

    /// Returns the time after its start in which nothing else happens.
    fn room(self) -> Duration {
        Duration::from_secs(self.entry().2)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.entry().1)
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = KINDS.iter().find(|(_, name, _)| *name == text);
        let names = || KINDS.map(|(_, name, _)| name).join(" ");
        found
            .map(|(kind, _, _)| *kind)
            .ok_or_else(|| format!("no fault is called {text}; there are {}", names()))
    }
}

/// The most that is added to the room after a fault.
const JITTER: Duration = Duration::from_secs(1);

/// A fault of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Time from the start of the run.
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    /// Random number that decides the details: which service, how long.
    pub(crate) pick: u64,
}

/// The faults of a run: the named kinds, else all, where there is time for each of them, else the short
/// run's.
pub(crate) fn plan(seed: u64, duration: Duration, named: &[Kind]) -> Vec<Planned> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let random = ChaCha8Rng::from_seed(key);
    if !named.is_empty() {
        dealt(random, duration, named)
    } else if is_long(duration) {
        dealt(random, duration, &KINDS.map(|(kind, _, _)| kind))
    } else {
        short(random, duration)
    }
}

/// Checks whether there is time for every kind.
pub(crate) fn is_long(duration: Duration) -> bool {
    duration >= Kind::all().map(|kind| kind.room() + JITTER).sum::<Duration>()
}

/// Round after round, each in an order of its own, one fault at a time.
fn dealt(mut random: ChaCha8Rng, duration: Duration, deck: &[Kind]) -> Vec<Planned> {
    let (mut at, mut planned) = (Duration::from_secs(1), Vec::new());
    loop {
        let mut round = deck.to_vec();
        for last in (1..round.len()).rev() {
            round.swap(last, below(&mut random, last + 1));
        }
        for kind in round {
            if at + kind.room() > duration {
                return planned;
            }
            planned.push(Planned { at, kind, pick: random.next_u64() });
            at += kind.room() + JITTER.mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX));
        }
    }
}

fn short(mut random: ChaCha8Rng, duration: Duration) -> Vec<Planned> {
    let rounds = (0..).map(|round| SHORT_ROUND * round);
    let all = rounds.flat_map(|start| SHORT.map(|(at, kind)| (start + Duration::from_secs(at), kind)));
    let fitting = all.take_while(|(at, kind)| *at + kind.room().min(SHORT_ROOM) <= duration);
    fitting.map(|(at, kind)| Planned { at, kind, pick: random.next_u64() }).collect()
}

/// Time that a fault of the short run gets at its end: the rest is waited for after the run.
const SHORT_ROOM: Duration = Duration::from_secs(6);

fn below(random: &mut ChaCha8Rng, bound: usize) -> usize {
    usize::try_from(random.next_u64() % bound as u64).expect("an index")
}
