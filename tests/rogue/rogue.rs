//! A program like `sealprove`, whose circuits misbehave while they prove: one way each, by a script
//! that their witness is. The tests run it as a chamber, and as a whole service.
//!
//! No proof system is behind them: a "proof" is a salted hash over the public inputs, which verifies.

mod circuit;
mod garbage;
mod hostile;
mod locked;
mod probe;
mod search;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sealprove::circuit::{Circuits, InvalidWitness};

use circuit::{Rogue, Script};

/// Wipes what is freed: a chamber starts with no other allocator.
#[global_allocator]
static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;

#[allow(clippy::disallowed_methods)] // One of these circuits leaves as no job process may.
fn main() -> ExitCode {
    if let Some(came) = locked::try_out(std::env::args()) {
        println!("{came}");
        return ExitCode::SUCCESS;
    }
    sealprove::main(
        Circuits::new()
            .with(Rogue::new("sleeps-v1", sleeps))
            .with(Rogue::new("spins-v1", spins))
            .with(Rogue::new("panics-v1", |script| panic!("the witness holds {}", script.secret)))
            .with(Rogue::new("aborts-v1", |_| std::process::abort()))
            .with(Rogue::new("exits-v1", |_| std::process::exit(0)))
            .with(Rogue::new("overflows-v1", |script| Some(overflows(script.ms).to_be_bytes().to_vec())))
            .with(Rogue::new("garbles-v1", garbage::say))
            .with(Rogue::new("counts-v1", circuit::count_decoded))
            .with(Rogue::new("draws-v1", probe::draw))
            .with(Rogue::new("probes-v1", probe::report).checking(probe::look_for_needles))
            .with(Rogue::new("breaks-v1", hostile::break_out))
            .with(Rogue::new("searches-v1", search::report))
            .with(Rogue::new("hides-v1", hides))
            .with(Rogue::new("refuses-v1", |_| None).checking(refuses))
            .with(Rogue::new("lies-v1", |_| None).lying())
            .with(Rogue::new("differs-v1", |_| None).building_other_keys()),
    )
}

fn sleeps(script: &Script) -> Option<Vec<u8>> {
    std::thread::sleep(Duration::from_millis(script.ms));
    None
}

fn spins(script: &Script) -> Option<Vec<u8>> {
    let until = Instant::now() + Duration::from_millis(script.ms);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    None
}

#[expect(unconditional_recursion, reason = "it is what this circuit is for")]
fn overflows(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 128]);
    overflows(depth + 1) + frame[127]
}

fn refuses(_: &Script) -> Result<(), InvalidWitness> {
    Err(InvalidWitness::at("script[7]", "expected a better one"))
}

/// Ignores and blocks every signal that can be, and never comes back.
fn hides(_: &Script) -> Option<Vec<u8>> {
    // SAFETY: plain system calls on a set that lives here; no handler of ours is ever run.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    loop {
        std::thread::sleep(Duration::from_millis(10));
    }
}
