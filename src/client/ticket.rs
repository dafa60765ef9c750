//! The ticket: all that a client needs to collect its answer later, from another process.
//!
//! It holds the key to the answer, and is kept in a file that only its owner can read.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::circuit::PublicInputs;
use crate::private_file;
use crate::protocol::{
    AnswerMode, AnswerSecret, Base64, Bundle, BundleCircuit, CircuitId, Deployment, JobHeader, JobId,
    JobSubject, KeyId, Lane, Sealed, Tenant, UnixSeconds, VERSION, VerifyingKeyDigest, VerifyingKeyPin,
};

/// A ticket cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The file cannot be read or written.
    #[error("{step} the ticket {path}")]
    File {
        /// The step: read or write.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The path is a folder.
    #[error("{0} is a folder, not the file of a ticket")]
    Folder(PathBuf),
    /// The contents are not a ticket.
    #[error("{0} is not a ticket of this version")]
    Malformed(PathBuf),
    /// Others can read the file.
    #[error("others can read the ticket {0}, which holds the key to its answer: run chmod 600 on it")]
    Readable(PathBuf),
}

/// The owner's record of a submitted job.
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
    /// The verifying keys that the bundle listed for the circuit, and that an answer may name.
    verifying_keys: Vec<VerifyingKeyDigest>,
    enc: Base64,
    answer_secret: Base64,
    public_inputs: Option<Base64>,
    /// Time of the sealing.
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

    /// The header, which the job's seal binds.
    pub fn header(&self) -> &JobHeader {
        &self.header
    }

    /// The job that it is for.
    pub fn job(&self) -> &JobId {
        &self.header.subject.job
    }

    /// Time of the sealing.
    pub fn sealed_at(&self) -> UnixSeconds {
        self.sealed_at
    }

    /// The public inputs that the client computed itself, if it knows the circuit.
    pub fn public_inputs(&self) -> Option<&PublicInputs> {
        self.public_inputs.as_ref()
    }

    /// Returns whether an answer may name this verifying key.
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
    /// When the file already exists or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TicketError> {
        // Cannot panic: a struct of numbers and strings.
        let json = serde_json::to_vec_pretty(&self.file()).expect("a ticket serialises");
        let json = zeroize::Zeroizing::new(json);
        private_file::write_new(path, &json).map_err(|source| TicketError::File {
            step: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a file that only its owner can read.
    ///
    /// # Errors
    /// When others can read the file, or it is not a ticket.
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
