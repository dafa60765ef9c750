//! A job on the client's side: how it is submitted, sealed, answered and cancelled.

use std::time::Duration;

use super::ticket::Ticket;
use crate::protocol::{Answer, AnswerMode, Code, Lane};

/// Options of a submission.
#[derive(Debug, Clone)]
pub struct SubmitOptions {
    /// The queue that the job waits in.
    pub lane: Lane,
    /// Whether the answer is sealed.
    pub answer: AnswerMode,
    /// Time from the submission to the deadline, at most 24 hours.
    pub lifetime: Duration,
    /// How long to wait for room in a full queue.
    pub patience: Duration,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        SubmitOptions {
            lane: Lane::Standard,
            answer: AnswerMode::Sealed,
            lifetime: Duration::from_secs(60 * 60),
            patience: Duration::from_secs(60),
        }
    }
}

/// A job that is sealed and not yet submitted.
#[derive(Debug)]
pub struct SealedJob {
    /// The ticket that collects its answer.
    pub ticket: Ticket,
    pub(super) payload: Vec<u8>,
}

impl SealedJob {
    /// Returns `enc ‖ ciphertext`, as it is published.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// The result of looking for a job's answer.
#[derive(Debug)]
pub enum Collected {
    /// No answer yet. A replica that lags also says this.
    NotYet,
    /// The answer, from the process that opened the job.
    Answer(Box<Answer>),
    /// A message on the answer's subject that is not shown to be the answer. Its code, if it has one, is a hint.
    Unauthenticated(Option<Code>),
    /// No answer ten minutes after the deadline: a defect of the service.
    Lost,
    /// The time for which answers are kept is over.
    Gone,
}

/// The result of a cancel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// `CANCELLED` is the job's one answer, and no process proves it any more.
    Cancelled,
    /// Too late: the job has an answer, with this code if it is a code of this protocol.
    Answered(Option<Code>),
    /// There is neither such a job nor an answer to it.
    NotFound,
}
