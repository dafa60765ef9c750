//! What a PCZT costs by its number of actions: the table in `docs/circuits/zcash-pczt-v1.md`.

use std::time::Instant;

use sealprove::circuit::Circuit;
use sealprove::circuits::zcash::{Sample, ZcashPczt};

/// Runs a step, and prints how long it took and the most memory that this process has used so far.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = run();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{what}: {:.3} s; {peak}", started.elapsed().as_secs_f64());
    result
}

fn main() {
    let circuit = ZcashPczt::default();
    timed("verifying keys", || circuit.build_verifying_key().map(drop)).expect("verifying keys");
    let keys = timed("proving keys", || circuit.build_proving_key()).expect("proving keys");
    for Sample { kind, actions, pczt } in Sample::ALL {
        let name = format!("{kind:?}, {actions} actions");
        let checked = timed(&format!("{name}: check"), || circuit.check(pczt)).expect("a valid sample");
        let proof = timed(&format!("{name}: prove"), || keys.prove(checked)).expect("a proof");
        timed(&format!("{name}: verify"), || keys.verify(&proof)).expect("a good proof");
        let output = proof.output.expect("a proved PCZT");
        println!(
            "  witness {}, proof {}, public inputs {}, output {}, redacted {} bytes",
            pczt.len(),
            proof.proof.len(),
            proof.public_inputs.0.len(),
            output.len(),
            circuit.redact(output.clone()).len(),
        );
    }
}
