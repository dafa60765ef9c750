//! Circuits of an attacker's own, under the real lock: what each tries, and how it ends.
//!
//!     make hostile

use std::fmt::{self, Display, Formatter};

use sealprove::frame::End;
use sealprove::protocol::Code;
use serde_json::{Value, json};

use super::harness::{Chamber, MEMORY_BYTES, Sent, report};

const THREADS: u32 = 3;

/// The end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The process is dead.
    Ended(End),
    /// The kernel said no, by this error.
    Refused(i64),
    /// It was done, or part of it.
    Done(i64),
}

use Outcome::{Done, Ended, Refused};

const BROKE_A_RULE: Outcome = Ended(End::Violation);

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Ended(End::Violation) => write!(f, "killed; an alert"),
            Ended(end) => write!(f, "ended: {}", end.as_str()),
            Refused(errno) => {
                let errno = i32::try_from(*errno).unwrap_or(0);
                write!(f, "refused: {}", std::io::Error::from_raw_os_error(errno))
            }
            Done(result) => write!(f, "done: {result}"),
        }
    }
}

/// Attempts that break a rule, by theme: the process dies of the attempt.
const FORBIDDEN: [(&str, &[&str]); 7] = [
    (
        "files",
        &[
            "open a file",
            #[cfg(target_arch = "x86_64")]
            "open a file by the old call",
            "open a file by the new call",
            "open the memory of the chamber",
            "open a file by its handle",
            "look at a file",
            "make a file in memory",
            "make a folder",
            "ask by a ring",
            "watch files",
        ],
    ),
    (
        "network",
        &[
            "connect by TCP",
            "send by UDP",
            "connect to a Unix socket",
            "ask the kernel by a netlink socket",
            "make a pair of sockets",
            "make a pipe",
            "send a descriptor to the service",
            "receive a descriptor from the service",
            "send on its connection",
            "shut its connection",
            "connect its connection elsewhere",
        ],
    ),
    (
        "processes",
        &[
            "start a program",
            "start a program by its descriptor",
            #[cfg(target_arch = "x86_64")]
            "fork",
            #[cfg(target_arch = "x86_64")]
            "fork by vfork",
            "fork by clone",
            "fork by clone3",
            "start a thread",
            "be traced",
            "trace the chamber",
            "trace a sibling",
            "read the memory of the chamber",
            "write the memory of a sibling",
            "advise a sibling on its memory",
            "ask who the chamber is",
            "signal the chamber",
            "signal a sibling",
            "signal every process",
            "signal a thread of the chamber",
            "signal a thread of a sibling",
            "signal the chamber with a value",
            "open the chamber's process",
            "open a sibling's process",
            "signal by a descriptor",
            "take a descriptor of the chamber",
            "compare itself with the chamber",
            "reap a sibling",
            "make the chamber less urgent",
            "limit the chamber",
            "bind the chamber to a processor",
            "join another group",
            "leave its session",
        ],
    ),
    (
        "limits",
        &[
            "raise its limit of memory",
            "raise its limit of memory by the old call",
            "be dumpable",
            "outlive the chamber",
            "gain privileges",
            "take its filter off",
            "filter its own calls",
            "hold files",
            "stop its alarm",
            "set a timer",
            "be another user",
            "be another machine",
            "have a namespace of its own",
            "load a program into the kernel",
            "count events of the processor",
            "handle page faults",
            "add a key to the kernel's",
            "ignore a violation",
        ],
    ),
    (
        "memory",
        &[
            "map code",
            "make its stack code",
            "make code by a key",
            "map its log",
            "share memory by its number",
            "share memory by a queue",
            "lock memory",
            "poison memory",
            "take what is shared",
            "take what grows",
            "take and make it readable only",
            "take and put it out of reach",
            "take from the stack",
        ],
    ),
    (
        "descriptors",
        &[
            "read descriptor 1",
            "read descriptor 2",
            "read descriptor 3",
            "write to descriptor 1",
            "write to descriptor 3",
            "write to descriptor 4",
            "write to descriptor 15",
            "write to descriptor 16",
            "write to descriptor 255",
            "write to descriptor 1023",
            "read its log by position",
            "write its log by vector",
            "close its connection",
            "double its connection",
            "put its log in its connection's place",
            "change how its connection waits",
            "type into the terminal",
            "move bytes between descriptors",
            "shorten its log",
            "wait for its connection",
        ],
    ),
    (
        "itself, and other interfaces",
        &[
            #[cfg(target_arch = "x86_64")]
            "ask as a program of 32 bits",
            #[cfg(target_arch = "x86_64")]
            "ask as a program of x32",
            "ask for what there is not",
            "ask for less than there is",
            "kill itself",
            "say that it was never started",
            "touch what is not there",
            "write its own code",
            #[cfg(target_arch = "x86_64")]
            "halt the machine",
        ],
    ),
];

const NO_SUCH_CALL: i64 = 38;

/// Attempts that end otherwise.
const OTHERWISE: &[(&str, Outcome)] = &[
    ("take all at once", Ended(End::OutOfMemory)),
    ("take a little often", Ended(End::OutOfMemory)),
    ("take with several threads", Ended(End::OutOfMemory)),
    ("take what is granted", Done(1)),
    ("take by moving", Refused(NO_SUCH_CALL)),
    ("take by moving the stack", Refused(NO_SUCH_CALL)),
    // The kernel's way of refusing it is to leave the end where it is.
    ("take from the heap's end", Done(0)),
    ("ignore its alarms and outlive its limit", Ended(End::TimedOut)),
    // The operator may read this text; no code believes it.
    ("write to descriptor 2", Done(1)),
    ("trap", Ended(End::Aborted)),
    #[cfg(target_arch = "x86_64")]
    ("divide by nothing", Ended(End::Aborted)),
];

/// A chamber under attack, and an uninvolved job in it.
struct Attacked {
    chamber: Chamber,
    sibling: Sent,
    sibling_pid: i32,
}

impl Attacked {
    fn start() -> Self {
        let mut chamber = Chamber::start();
        let sibling = chamber.start_job("sleeps-v1", &json!({"ms": 600_000}));
        let sibling_pid = chamber.pid_of(sibling.ticket);
        Attacked { chamber, sibling, sibling_pid }
    }

    /// Has a job try something on one of its threads.
    fn try_on(&mut self, thread: u32, attempt: &str) -> Outcome {
        let chamber = self.chamber.pid();
        let script = json!({
            "attempt": attempt,
            "thread": thread,
            "chamber": chamber,
            "sibling": self.sibling_pid,
            "bytes": MEMORY_BYTES,
        });
        let mut job = self.chamber.job("breaks-v1", &script);
        (job.threads, job.limit_ms) = (THREADS, 20_000);
        if attempt.contains("outlive its limit") {
            job.limit_ms = 300;
        }
        let mut sent = self.chamber.send(&job);
        match self.chamber.end_of(sent.ticket) {
            End::Answered => {
                let (answer, _) = sent.answer();
                assert_eq!(answer.code(), Code::Ok, "{attempt}");
                let came = report(answer)["came"].as_i64().expect("what came of it");
                // Errors are from -4095 to -1 (syscall(2)).
                if (-4095..0).contains(&came) { Refused(-came) } else { Done(came) }
            }
            end => Ended(end),
        }
    }

    /// Nothing has come of it for anybody else.
    fn the_neighbour_is_unharmed(mut self) {
        assert!(super::harness::is_alive(self.sibling_pid), "the sibling is dead");
        assert!(self.chamber.is_running(), "the chamber is dead");
        let mut late = self.chamber.start_job("sleeps-v1", &json!({"ms": 10}));
        assert_eq!(late.answer().0.code(), Code::Ok);
        drop(self.sibling);
    }
}

#[test]
fn a_forbidden_act_ends_the_job_on_every_thread_and_no_other_job() {
    let mut attacked = Attacked::start();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (theme, attempts) in FORBIDDEN {
        println!("{theme}");
        for attempt in attempts {
            let outcomes: Vec<_> = (0..THREADS).map(|thread| attacked.try_on(thread, attempt)).collect();
            println!("  {attempt:45} {}", outcomes[0]);
            if outcomes != [BROKE_A_RULE; THREADS as usize] {
                wrong.push((attempt, outcomes));
            }
            tried += 1;
        }
    }
    println!("{tried} attempts, each on {THREADS} threads");
    assert!(wrong.is_empty(), "{wrong:#?}");
    attacked.the_neighbour_is_unharmed();
}

#[test]
fn every_other_attempt_ends_as_listed_on_every_thread() {
    let mut attacked = Attacked::start();
    let mut wrong = Vec::new();
    for (attempt, wanted) in OTHERWISE {
        let outcomes: Vec<_> = (0..THREADS).map(|thread| attacked.try_on(thread, attempt)).collect();
        println!("  {attempt:45} {}", outcomes[0]);
        if outcomes != [*wanted; THREADS as usize] {
            wrong.push((attempt, outcomes));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    attacked.the_neighbour_is_unharmed();
}

/// Beyond the ceiling of its order it gets what its pool's stacks have left; it lacks what
/// it has taken itself.
#[test]
fn a_job_gets_its_granted_memory_and_no_more() {
    const SLACK: i64 = 8 << 20;
    let mut attacked = Attacked::start();
    let granted = i64::try_from(MEMORY_BYTES).unwrap();
    let Done(taken) = attacked.try_on(0, "take by mapping") else { panic!("it can say how much it got") };
    println!("granted {granted} bytes, taken {taken}");
    assert!((granted - SLACK..=granted + SLACK).contains(&taken), "{taken}");
    attacked.the_neighbour_is_unharmed();
}

fn search(chamber: &mut Chamber, compares: bool) -> Value {
    let needle = hex::encode(chamber.key.expose());
    let decoy =
        hex::encode(sealprove::protocol::generate_key(sealprove::protocol::Scheme::X25519).0.expose());
    let script = json!({"needle": needle, "decoy": decoy, "compares": compares});
    let mut sent = chamber.start_job("searches-v1", &script);
    let found = report(sent.answer().0);
    assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    println!("{found}");
    assert!(found["bytes"].as_u64().unwrap() > 1_000_000, "{found}");
    // Once on its heap, once in pages of its own.
    assert!(found["decoy"].as_u64().unwrap() >= 2, "what is there is found: {found}");
    assert_eq!((&found["needle"], &found["halves"]), (&json!(0), &json!(0)), "{found}");
    found
}

#[test]
fn a_hostile_circuit_searches_all_its_memory_and_finds_no_key() {
    let mut chamber = Chamber::start();
    for _ in 0..3 {
        search(&mut chamber, false);
    }
    assert_eq!(chamber.prove("sleeps-v1", &json!({})).1, End::Answered);
}

/// Without locks the kernel says what is mapped: the search under the lock misses none of it.
#[test]
fn the_hostile_search_misses_no_memory() {
    let found = search(&mut Chamber::unlocked(), true);
    assert_eq!(found["missed"], 0, "{found}");
}
