//! The cost of sealing and opening, by scheme and by size of the witness. Prints medians, and asserts nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sealprove::protocol::{Scheme, generate_key, open, seal};

/// Runs of each measurement.
const ROUNDS: usize = 200;

fn main() {
    println!("medians of {ROUNDS} runs");
    println!("{:<12} {:>10} {:>12} {:>12}", "scheme", "bytes", "seal", "open");
    for scheme in Scheme::ALL {
        let (private, public) = generate_key(scheme);
        let info = b"sealprove/1 job\nbench\n";
        for bytes in [1 << 10, 64 << 10, 512 << 10] {
            let witness = vec![7; bytes];
            let sealed = seal(scheme, &public, info, &witness).unwrap();
            let sealing = median(|| drop(black_box(seal(scheme, &public, info, &witness).unwrap())));
            let opening = median(|| drop(black_box(open(scheme, &private, info, &sealed.payload).unwrap())));
            println!("{:<12} {bytes:>10} {sealing:>12.1?} {opening:>12.1?}", scheme.as_str());
        }
    }
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times = [Duration::ZERO; ROUNDS];
    for time in &mut times {
        let start = Instant::now();
        run();
        *time = start.elapsed();
    }
    times.sort_unstable();
    times[ROUNDS / 2]
}
