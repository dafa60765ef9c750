//! The one answer of a job: stored by compare-and-set on an empty subject, or found.
//!
//! [`Settled`] is the evidence that the answer is there, made here alone, from two things: a publish that the broker
//! acknowledged, or an answer read from the stream's leader. Everything else means "try again".

use async_nats::Client;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM};

use super::leader;
use super::message::{ReadError, StoredMessage};
use super::names::answers_stream;
use super::publish::{PublishError, header_map, publish};
use crate::protocol::{
    Answer, AnswerHeader, AnswerMode, Code, H_TRACE, JobId, JobSubject, Subjects, Tenant, Timings,
    TraceParent,
};

/// An answer that is not stored yet.
pub(crate) struct Offer {
    pub(crate) header: AnswerHeader,
    pub(crate) payload: Vec<u8>,
}

/// Evidence that a job has its one answer in the stream: the permission to acknowledge it.
#[must_use = "a settled job is acknowledged"]
pub struct Settled {
    tenant: Tenant,
    job: JobId,
    stored: StoredAnswer,
    is_ours: bool,
}

/// An answer in its stream, as far as its headers say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StoredAnswer {
    /// `None` where the headers are not of this protocol.
    pub(crate) code: Option<Code>,
    pub(crate) mode: Option<AnswerMode>,
    /// Size of the payload, in bytes.
    pub(crate) bytes: u64,
}

impl Offer {
    /// Creates the answer of the network side: a code, and nothing else.
    pub(crate) fn code(subject: &JobSubject, code: Code, attempt: u32, timings: Timings) -> Self {
        Offer {
            header: AnswerHeader::unauthenticated(code),
            payload: Answer::error(subject, code, attempt, timings).to_json(),
        }
    }

    fn stored(&self) -> StoredAnswer {
        let AnswerHeader { code, mode, .. } = self.header;
        StoredAnswer { code: Some(code), mode: Some(mode), bytes: self.payload.len() as u64 }
    }
}

impl From<&StoredMessage> for StoredAnswer {
    fn from(message: &StoredMessage) -> Self {
        // Headers that are not of this protocol do not make it less of an answer: the stream takes no second message
        // on this subject.
        let header = AnswerHeader::parse(|name| message.header(name));
        let (code, mode) = header.map(|header| (header.code, header.mode)).unzip();
        StoredAnswer { code, mode, bytes: message.payload.len() as u64 }
    }
}

impl Settled {
    fn new(tenant: &Tenant, job: &JobId, stored: StoredAnswer, is_ours: bool) -> Self {
        Settled { tenant: tenant.clone(), job: job.clone(), stored, is_ours }
    }

    /// Returns the answer in the stream.
    pub(crate) fn stored(&self) -> StoredAnswer {
        self.stored
    }

    /// Returns whether it is the answer that was offered here.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Returns whether it is the evidence of this job.
    pub(super) fn is_of(&self, subject: &JobSubject) -> bool {
        self.tenant == subject.tenant && self.job == subject.job
    }
}

/// Stores an answer where there is none, else returns the one that is there.
///
/// # Errors
/// When neither is known to be stored.
pub(super) async fn store(
    client: &Client,
    subjects: &Subjects,
    job: &JobSubject,
    offer: &Offer,
    trace: Option<&TraceParent>,
) -> Result<Settled, PublishError> {
    let JobSubject { tenant, job, .. } = job;
    let subject = subjects.answer(tenant, job);
    let mut headers = header_map(offer.header.to_headers());
    if let Some(trace) = trace {
        headers.insert(H_TRACE, trace.as_str());
    }
    // Compare-and-set on an empty subject: of any number of services that race, one wins. The wrong build that the
    // chaos tests must find does without.
    if !cfg!(sealprove_wrong = "stores_without_compare") {
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    }
    // The broker's acknowledgement says only that some stream has stored it. With this header it is the stream that
    // answers are read from.
    headers.insert(NATS_EXPECTED_STREAM, answers_stream(tenant).as_str());
    match publish(client, subject, headers, offer.payload.clone()).await {
        Ok(()) => Ok(Settled::new(tenant, job, offer.stored(), true)),
        // No error tells whether there is an answer. A lost race may be 10071, 10077 or, with three replicas, 10164,
        // which also stands for a publish that is under way; after a time-out this very answer may be stored.
        Err(cause) => find(client, subjects, tenant, job).await.ok().flatten().ok_or(cause),
    }
}

/// Finds a job's answer, as the stream's leader has it.
///
/// # Errors
/// When the leader cannot be asked: then it is not known whether there is an answer.
pub(super) async fn find(
    client: &Client,
    subjects: &Subjects,
    tenant: &Tenant,
    job: &JobId,
) -> Result<Option<Settled>, ReadError> {
    let found = leader::last_on(client, &answers_stream(tenant), &subjects.answer(tenant, job)).await?;
    Ok(found.map(|message| Settled::new(tenant, job, StoredAnswer::from(&message), false)))
}
