//! The prover: chambers, and what the service knows about proving in them.
//!
//! It takes a sealed job and returns the reply of its process, or the way in which the process ended. It has no
//! connection to the broker, and does not decide what becomes of the job.

mod locks;
mod memory_budget;
mod proving_times;
mod chamber_client;

mod served_bundle;

mod self_test;

mod supervisor;

mod handle;

pub use memory_budget::NotEnoughMemory;
pub use self_test::SelfTestError;
pub use served_bundle::ServeBundleError;
pub use supervisor::NoChamber;

pub(crate) use chamber_client::{ChamberClient, ChamberKeys, JobProcesses, NoReply, Reply};
pub(crate) use handle::Prover;
pub(crate) use locks::report_locks;
pub(crate) use memory_budget::{Limits, MemoryBudget, available_bytes};
pub(crate) use proving_times::ProvingTimes;
pub(crate) use self_test::{Sample, SelfTest, SelfTestResult, SelfTestResults};
pub(crate) use served_bundle::{ServableBundle, ServedBundle};
pub(crate) use supervisor::{ChamberParts, Supervisor};
