//! Exit codes, and the failures that lead to them.

use std::error::Error;
use std::fmt;

use crate::causes::with_causes;
use crate::client::{AnswerError, ClientError};
use crate::jetstream::ConnectError;
use crate::protocol::{Code, Outcome};

/// The exit code of a command, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Proved, verified, or otherwise done.
    Done = 0,
    /// A local failure: a file, a proof that does not verify.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// Final: the same witness would be refused again.
    Refused = 3,
    /// The service failed; the same witness may succeed as a new job.
    Retryable = 4,
    /// The broker or the service cannot be reached.
    Unreachable = 5,
    /// There is no answer yet.
    NotYet = 6,
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match (code.outcome(), code.retryable()) {
            (Outcome::Proved, _) => Exit::Done,
            (_, true) => Exit::Retryable,
            (_, false) => Exit::Refused,
        }
    }
}

/// The result of a command.
pub(crate) type CliResult = Result<Exit, Failure>;

/// A command failed. It shows as the error, its causes, and a hint on a line of its own.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    cause: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure { exit, cause: cause.into(), hint: None }
    }

    /// Adds a line below the error.
    pub(crate) fn with_hint(self, hint: String) -> Self {
        Failure { hint: Some(hint), ..self }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(&*self.cause))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n{hint}"))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::Connect(ConnectError::Broker { .. })
            | ClientError::NoBundle
            | ClientError::Read(_)
            | ClientError::Submit(_)
            | ClientError::NoService => Exit::Unreachable,
            ClientError::Witness(_) | ClientError::TooLarge { .. } | ClientError::UnknownCircuit(_) => {
                Exit::Refused
            }
            ClientError::QueueFull { .. } | ClientError::CancelUnknown => Exit::Retryable,
            ClientError::Lifetime => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, error)
    }
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        let exit = match error {
            AnswerError::NoProof { code, .. } => Exit::from(code),
            AnswerError::NotInThisBuild(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, error)
    }
}

/// Errors that end a command with [`Exit::Failed`].
macro_rules! fails_here {
    ($($(#[$cfg:meta])? $error:ty),* $(,)?) => {
        $($(#[$cfg])? impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::new(Exit::Failed, error)
            }
        })*
    };
}
fails_here!(
    std::io::Error,
    crate::client::TicketError,
    crate::config::ConfigError,
    crate::protocol::BundleError,
    crate::operator::keyring::KeyringError,
    crate::operator::key_folder::KeyFolderError,
    #[cfg(feature = "service")]
    crate::service::SetupError,
    #[cfg(feature = "service")]
    crate::service::NoChamber,
    #[cfg(feature = "service")]
    crate::service::RunError,
    #[cfg(feature = "service")]
    crate::chamber::ChamberError,
);
