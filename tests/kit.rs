//! The kit that the tests of the whole path share: a real nats-server, the real program as real processes, and
//! the library's own client. Nothing is faked; what a test needs to know it reads from the log, from the
//! metrics page or from the streams.
//!
//! [`Lab`] is a deployment in a folder of its own, [`Service`] one `sealprove serve` in it, [`RawJob`] a
//! job message whose every byte is the test's to choose. All processes die with the value that holds
//! them.

mod lab;
pub(crate) mod manifests;
mod messages;
mod nats;
pub(crate) mod operator;
mod process;
mod raw;
mod service;

use std::time::{Duration, Instant};

pub(crate) use lab::{Lab, Setup};
pub(crate) use messages::assert_valid;
pub(crate) use nats::Nats;
pub(crate) use process::{
    Process, Ran, children_of, example, is_alive, is_stopped, kill, nats_server, own_test, rogue, sealprove,
};
pub(crate) use raw::{RawJob, Stored, unix_now};
pub(crate) use service::{Service, gone};

/// The circuit that most tests prove: its keys are built in a second, its proof is made in less.
pub(crate) const THRESHOLD: &str = "threshold-v1";

/// Time that a test waits for something that takes a moment. Plenty: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `look` finds something, and fails the test when it does not.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "waited {PATIENCE:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A witness of the threshold circuit for which the statement holds.
pub(crate) fn good_witness() -> Vec<u8> {
    sample(THRESHOLD)
}

/// The sample witness of a built-in circuit.
pub(crate) fn sample(circuit: &str) -> Vec<u8> {
    let circuits = sealprove::circuit::Circuits::built_in();
    circuits.get(&circuit.parse().unwrap()).expect("a built-in circuit").sample_witness()
}
