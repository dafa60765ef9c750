//! Errors of a client: the step, the thing, the remedy.

use std::time::Duration;

use super::state::StateError;
use crate::circuit::InvalidWitness;
use crate::jetstream::{ConnectError, PublishError, ReadError};
use crate::protocol::{BundleError, CircuitId, SealError};

/// A client could not do something. The text names the step; the causes are in `source`.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection to the broker.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No identity is pinned.
    #[error(
        "no identity is pinned: put the operator's `identity = \"ed25519:…\"` into the client configuration, \
         or trust the deployment on first use with `sealprove bundle trust`"
    )]
    NoIdentity,
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No service serves a bundle, and no bundle was kept.
    #[error("no service answers with its bundle, and none was kept from before; is a service running?")]
    NoBundle,
    /// The bundle does not list the circuit.
    #[error("the deployment does not prove {0}; `sealprove circuits` lists what it proves")]
    UnknownCircuit(CircuitId),
    /// The bundle has no key to seal to.
    #[error(
        "the bundle has no key of a scheme that this client's `schemes` allow for a job with this deadline; \
         choose a nearer deadline, or ask the operator for a new bundle"
    )]
    NoKey,
    /// The circuit refuses the witness.
    #[error("check the witness")]
    Witness(#[from] InvalidWitness),
    /// The witness is larger than the bundle allows.
    #[error("the witness has {found} bytes, the deployment takes {most}")]
    TooLarge {
        /// Its size, in bytes.
        found: usize,
        /// The limit, in bytes.
        most: u32,
    },
    /// The witness cannot be sealed.
    #[error("seal the witness: the bundle's public key is invalid")]
    Seal(#[from] SealError),
    /// The lifetime is out of bounds.
    #[error("a job lives at least a second and at most 24 hours")]
    Lifetime,
    /// The queue stayed full.
    #[error(
        "the queue is full and nothing was accepted ({description}); try again in {} s",
        retry_after.as_secs()
    )]
    QueueFull {
        /// The broker's description.
        description: String,
        /// Wait before the next attempt, in whole seconds.
        retry_after: Duration,
    },
    /// No service answers a cancel request.
    #[error("cancel the job: no service answers; is one running? A queued job can also just expire")]
    NoService,
    /// A service answered that it does not know whether the job is cancelled.
    #[error("cancel the job: the service cannot reach its broker, so nothing is known; try again")]
    CancelUnknown,
    /// The broker did not accept the job.
    #[error("submit the job")]
    Submit(#[source] PublishError),
    /// The broker cannot be read.
    #[error("ask the broker")]
    Read(#[from] ReadError),
    /// The state folder cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ClientError {
    /// Returns whether a job that could not be submitted is certainly in no queue, so that its ticket will never have
    /// an answer.
    pub fn is_refusal(&self) -> bool {
        match self {
            ClientError::QueueFull { .. } => true,
            ClientError::Submit(error) => !matches!(error, PublishError::Unknown),
            _ => false,
        }
    }
}
