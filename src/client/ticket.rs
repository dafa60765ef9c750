//! The ticket: all that a client needs to come back for its answer, tomorrow and from another shell.
//!
//! It holds the key to the answer, and is kept in a file that only its owner can read.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::circuit::PublicInputs;
use crate::protocol::{
    AnswerMode, AnswerSecret, Base64, Bundle, BundleCircuit, CircuitId, Deployment, JobHeader, JobId,
    JobSubject, KeyId, Lane, Sealed, Tenant, UnixSeconds, VERSION, VerifyingKeyDigest, VerifyingKeyPin,
};

/// A ticket cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The file.
    #[error("{step} the ticket {path}")]
    File {
        /// What was tried.
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What it is.
    #[error("{0} is a folder, not the file of a ticket")]
    Folder(PathBuf),
    /// What is in it.
    #[error("{0} is not a ticket of this version")]
    Malformed(PathBuf),
    /// Who can read it.
    #[error("others can read the ticket {0}, which holds the key to its answer: run chmod 600 on it")]
    Readable(PathBuf),
}

/// A submitted job, as its owner remembers it.
pub struct Ticket {
    header: JobHeader,
    deployment: Deployment,
    enc: Vec<u8>,
    answer_secret: AnswerSecret,
    public_inputs: Option<PublicInputs>,
    verifying_keys: Vec<VerifyingKeyDigest>,
    sealed_at: UnixSeconds,
}

/// The ticket's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    deployment: Deployment,
    tenant: Tenant,
    lane: Lane,
    circuit: CircuitId,
    job: JobId,
    key: KeyId,
    expires: UnixSeconds,
    answer: AnswerMode,
    verifying_key: Option<VerifyingKeyDigest>,
    /// The verifying keys that the bundle listed for the circuit: what an answer may name.
    verifying_keys: Vec<VerifyingKeyDigest>,
    enc: Base64,
    answer_secret: Base64,
    public_inputs: Option<Base64>,
    /// Unix seconds.
    sealed_at: UnixSeconds,
}

impl Ticket {
    pub(super) fn new(
        bundle: &Bundle,
        listed: &BundleCircuit,
        header: JobHeader,
        sealed: &Sealed,
        public_inputs: Option<Vec<u8>>,
    ) -> Self {
        let labelled = listed.verifying_keys.iter().map(|key| key.digest);
        Ticket {
            header,
            deployment: bundle.deployment.clone(),
            enc: sealed.enc.clone(),
            answer_secret: sealed.answer_secret.clone(),
            public_inputs: public_inputs.map(PublicInputs),
            verifying_keys: labelled.chain([listed.verifying_key]).collect(),
            sealed_at: UnixSeconds::now(),
        }
    }

    /// Everything that the job's seal binds.
    pub fn header(&self) -> &JobHeader {
        &self.header
    }

    /// Which job it is for.
    pub fn job(&self) -> &JobId {
        &self.header.subject.job
    }

    /// When it was sealed, in Unix seconds.
    pub fn sealed_at(&self) -> UnixSeconds {
        self.sealed_at
    }

    /// The public inputs that the client computed itself, where it knows the circuit.
    pub fn public_inputs(&self) -> Option<&PublicInputs> {
        self.public_inputs.as_ref()
    }

    /// Whether an answer may name this verifying key.
    pub fn takes_key(&self, digest: VerifyingKeyDigest) -> bool {
        self.header.verifying_key == VerifyingKeyPin::Any || self.verifying_keys.contains(&digest)
    }

    pub(super) fn info(&self) -> Vec<u8> {
        self.header.info(&self.deployment)
    }

    pub(super) fn enc(&self) -> &[u8] {
        &self.enc
    }

    pub(super) fn answer_secret(&self) -> AnswerSecret {
        self.answer_secret.clone()
    }

    /// Writes a new file that only its owner can read.
    ///
    /// # Errors
    /// When it exists already or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TicketError> {
        let failed = |source| TicketError::File { step: "write", path: path.to_owned(), source };
        // Cannot panic: a struct of numbers and strings.
        let json = serde_json::to_vec_pretty(&self.file()).expect("a ticket serialises");
        let json = zeroize::Zeroizing::new(json);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(&json).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Reads a file that only its owner can read.
    ///
    /// # Errors
    /// When it is not such a file, or not a ticket.
    pub fn read(path: &Path) -> Result<Self, TicketError> {
        let failed = |source| TicketError::File { step: "read", path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(TicketError::Folder(path.to_owned()));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(TicketError::Readable(path.to_owned()));
        }
        let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(failed)?);
        let malformed = || TicketError::Malformed(path.to_owned());
        let file: File = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        Self::from_file(file).ok_or_else(malformed)
    }

    fn file(&self) -> File {
        let JobSubject { tenant, lane, circuit, job } = self.header.subject.clone();
        File {
            version: VERSION.to_owned(),
            deployment: self.deployment.clone(),
            tenant,
            lane,
            circuit,
            job,
            key: self.header.key.clone(),
            expires: self.header.expires,
            answer: self.header.answer,
            verifying_key: self.header.verifying_key.into(),
            verifying_keys: self.verifying_keys.clone(),
            enc: Base64(self.enc.clone()),
            answer_secret: Base64(self.answer_secret.expose().to_vec()),
            public_inputs: self.public_inputs.clone().map(|inputs| Base64(inputs.0)),
            sealed_at: self.sealed_at,
        }
    }

    fn from_file(file: File) -> Option<Self> {
        if file.version != VERSION {
            return None;
        }
        let subject =
            JobSubject { tenant: file.tenant, lane: file.lane, circuit: file.circuit, job: file.job };
        let header = JobHeader {
            subject,
            key: file.key,
            expires: file.expires,
            answer: file.answer,
            verifying_key: file.verifying_key.into(),
        };
        Some(Ticket {
            header,
            deployment: file.deployment,
            enc: file.enc.0,
            answer_secret: AnswerSecret::from_bytes(file.answer_secret.0.try_into().ok()?),
            public_inputs: file.public_inputs.map(|inputs| PublicInputs(inputs.0)),
            verifying_keys: file.verifying_keys,
            sealed_at: file.sealed_at,
        })
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({})", self.job())
    }
}
