//! Why a client could not do something: the step, the thing, the remedy.

use std::time::Duration;

use super::state::StateError;
use crate::circuit::InvalidWitness;
use crate::jetstream::{ConnectError, PublishError, ReadError};
use crate::protocol::{BundleError, CircuitId, SealError};

/// Why something could not be done. Each names its step; causes are in `source`.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No identity is pinned.
    #[error(
        "no identity is pinned: put the operator's `identity = \"ed25519:…\"` into the client configuration, \
         or trust the deployment on first use with `sealprove bundle trust`"
    )]
    NoIdentity,
    /// The bundle is not accepted.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Nobody serves a bundle, and none was kept.
    #[error("no service answers with its bundle, and none was kept from before; is a service running?")]
    NoBundle,
    /// The bundle does not list the circuit.
    #[error("the deployment does not prove {0}; `sealprove circuits` lists what it proves")]
    UnknownCircuit(CircuitId),
    /// The bundle has no key to seal to.
    #[error(
        "the bundle has no key of a scheme that this client's `schemes` allow for a job that expires then; \
         choose a nearer deadline, or ask the operator for a new bundle"
    )]
    NoKey,
    /// The circuit refuses the witness.
    #[error("check the witness: {0}")]
    Witness(#[from] InvalidWitness),
    /// The witness is larger than the bundle allows.
    #[error("the witness has {found} bytes, the deployment takes {most}")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The limit.
        most: u32,
    },
    /// It cannot be sealed.
    #[error("seal the witness: the bundle's key is not one")]
    Seal(#[from] SealError),
    /// The deadline is out of bounds.
    #[error("a job lives at least a second and at most 24 hours")]
    Lifetime,
    /// The queue is full, and stayed so.
    #[error(
        "the queue is full and nothing was accepted ({description}); try again in {}",
        humantime::format_duration(*retry_after)
    )]
    QueueFull {
        /// The broker's words.
        description: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Nobody answers a request to cancel.
    #[error("cancel the job: no service answers; is one running? A queued job can also just expire")]
    NoService,
    /// A service answered, and could not tell.
    #[error(
        "cancel the job: the service cannot reach its broker just now, so that nothing is known; try again"
    )]
    CancelUnknown,
    /// The broker refuses the job.
    #[error("submit the job: {0}")]
    Submit(#[source] PublishError),
    /// The broker cannot be read.
    #[error("ask the broker")]
    Read(#[from] ReadError),
    /// What was kept cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ClientError {
    /// Whether a job that could not be submitted is surely in no queue: its ticket will never have an answer.
    pub fn is_refusal(&self) -> bool {
        match self {
            ClientError::QueueFull { .. } => true,
            ClientError::Submit(error) => !matches!(error, PublishError::Unknown),
            _ => false,
        }
    }
}
