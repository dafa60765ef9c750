//! What the locks and the wiping allocator cost a job: the same jobs, in turn, in a chamber that has them and
//! in one that has neither. Prints medians, and asserts nothing.
//!
//! This program is the second chamber: the same library with the system's allocator, started with
//! `--sandbox off`.

#[allow(dead_code, reason = "the tests' own end of a chamber, of which a bench needs little")]
#[path = "../tests/chamber/harness.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sealprove::circuit::Circuits;
use sealprove::frame::End;

use harness::Chamber;

/// Jobs of each kind in each chamber.
const ROUNDS: usize = 40;
const THREADS: u32 = 1;
/// A circuit whose proof is nothing: what is left of its job is the way to the proof and back.
const NOTHING: (&str, &[u8]) = ("doctor-v1", b"nothing");
const PROOF: &str = "threshold-v1";

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|argument| argument == "chamber") {
        return sealprove::main(Circuits::built_in());
    }
    let circuits = [PROOF, NOTHING.0];
    let start = |program: &Path, sandbox: &str| {
        Chamber::start_program(program, &circuits, 4, |command, _| {
            command.args(["--sandbox", sandbox]);
        })
    };
    let itself = std::env::current_exe().expect("the path of this program");
    let mut locked = start(&PathBuf::from(env!("CARGO_BIN_EXE_sealprove")), "on");
    let mut bare = start(&itself, "off");

    let circuit = Circuits::built_in();
    let proof = circuit.get(&PROOF.parse().expect("a name")).expect("a built-in circuit").sample_witness();
    println!("medians of {ROUNDS} jobs in each chamber, in turn, {THREADS} thread");
    println!("{:<44} {:>10} {:>10} {:>8}", "", "bare", "locked", "ratio");
    compare("from the frame to the answer, without a proof", &mut bare, &mut locked, NOTHING);
    compare(&format!("the same with a proof of {PROOF}"), &mut bare, &mut locked, (PROOF, &proof));
    ExitCode::SUCCESS
}

fn compare(what: &str, bare: &mut Chamber, locked: &mut Chamber, job: (&str, &[u8])) {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(took(bare, job));
        with.push(took(locked, job));
    }
    let [without, with] = [without, with].map(median);
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    println!("{what:<44} {:>10} {:>10} {ratio:>8.3}", ms(without), ms(with));
}

/// From the order to the last byte of the answer. Sealing is not in it.
fn took(chamber: &mut Chamber, (circuit, witness): (&str, &[u8])) -> Duration {
    let mut job = chamber.job_of_bytes(circuit, witness);
    job.threads = THREADS;
    let started = Instant::now();
    let mut sent = chamber.send(&job);
    sent.reply().expect("an answer");
    let took = started.elapsed();
    assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
