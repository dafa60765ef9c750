//! The checker: holds what is there at the end against the promise, *no job without an answer, no job
//! with two*. It shares no code with the service; answers are opened with the clients' tickets, and every
//! proof is verified.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use base64::prelude::*;
use sealprove::circuit::Circuits;
use sealprove::client::{Ticket, Verifier};
use sealprove::protocol::{Answer, AnswerBinding, AnswerHeader, AnswerSecret, Code};
use serde_json::Value;

use super::Trouble;
use super::broken::Broken;
use super::client::tickets;
use super::deployment::DEPLOYMENT;
use super::evidence::{Evidence, Stored, Submission};
use super::journal::JobKind;

/// The least share of jobs that must be proved and were.
const PROVED_SHARE: f64 = 0.99;

/// The checker's findings.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) accepted: usize,
    pub(crate) answered_once: usize,
    pub(crate) answered_twice: usize,
    pub(crate) lost: usize,
    /// Submitted, and not accepted as far as the client knew; and how many of these have an answer.
    pub(crate) unknown: usize,
    pub(crate) unknown_answered: usize,
    pub(crate) proofs_made_twice: usize,
    /// Accepted jobs that nothing but a proof will do for, and how many have one that verifies.
    pub(crate) must_be_proved: usize,
    pub(crate) proved: usize,
    pub(crate) codes: BTreeMap<(JobKind, String), usize>,
    /// Each broken promise.
    pub(crate) broken: Vec<Broken>,
}

/// The checker's view of an answer.
enum Opened {
    /// From the process that had opened the job.
    Authentic(Box<Answer>),
    /// From the network side, or from a job that could not be opened.
    Hint(Code),
    /// Not an answer of this protocol.
    Nothing,
}

/// Checks everything.
pub(crate) fn check(evidence: &Evidence, folder: &Path) -> Result<Verdict, Trouble> {
    let mut checker = Checker {
        tickets: tickets(folder),
        verifier: Verifier::new(Circuits::built_in()),
        verdict: Verdict::default(),
    };
    let answers = checker.streams(evidence);
    for (job, submission) in &evidence.submissions {
        checker.job(job, submission, answers.get(job.as_str()).copied())?;
    }
    checker.verdict.proofs_made_twice = evidence.made.values().filter(|count| **count > 1).count();
    checker.verdict.broken.extend(evidence.seen_on_the_wire.iter().cloned());
    let Verdict { must_be_proved, proved, .. } = checker.verdict;
    if (proved as f64) < must_be_proved as f64 * PROVED_SHARE {
        let what = format!("only {proved} of {must_be_proved} jobs that must be proved were");
        checker.verdict.broken.push(Broken::of_all(what));
    }
    Ok(checker.verdict)
}

struct Checker {
    tickets: PathBuf,
    verifier: Verifier,
    verdict: Verdict,
}

impl Checker {
    fn broken(&mut self, job: &str, what: impl Into<String>) {
        self.verdict.broken.push(Broken::new(job, what));
    }

    /// Checks the streams without opening any answer. Returns the answer of each job.
    fn streams<'a>(&mut self, evidence: &'a Evidence) -> HashMap<&'a str, &'a Stored> {
        let mut answers: HashMap<&str, &Stored> = HashMap::new();
        let mut twice: HashSet<&str> = HashSet::new();
        for stored in &evidence.answers.messages {
            if !evidence.submissions.contains_key(stored.job()) {
                self.broken(stored.job(), "an answer to a job that was never submitted");
            }
            if let Some(first) = answers.insert(stored.job(), stored) {
                self.broken(stored.job(), format!("answered by {} and {}", first.sequence, stored.sequence));
                twice.insert(stored.job());
            }
        }
        for (job, sequences) in evidence.announced.iter().filter(|(_, sequences)| sequences.len() > 1) {
            self.broken(job, format!("answered more than once, as {sequences:?}"));
            twice.insert(job);
        }
        // Answers are kept longer than any run lasts, and cannot be deleted: one that is gone was replaced.
        for sequence in &evidence.answers.gaps {
            let what = format!("the answer that was stored as {sequence} has been replaced or removed");
            self.verdict.broken.push(Broken::of_all(what));
        }
        self.verdict.answered_twice = twice.len().max(evidence.answers.gaps.len());
        for left in &evidence.jobs_left.messages {
            self.broken(left.job(), "still queued");
        }
        for status in &evidence.statuses.messages {
            let document: Value = serde_json::from_slice(&status.payload).unwrap_or_default();
            if document["job"] != status.job() || !evidence.submissions.contains_key(status.job()) {
                self.broken(status.job(), "a status of another job, or of none");
            }
        }
        answers
    }

    /// A job that a client tells of.
    fn job(&mut self, job: &str, submission: &Submission, answer: Option<&Stored>) -> Result<(), Trouble> {
        let count = if submission.accepted {
            self.verdict.accepted += 1;
            self.verdict.must_be_proved += usize::from(submission.kind.must_be_proved());
            match answer {
                Some(_) => self.verdict.answered_once += 1,
                None => {
                    self.verdict.lost += 1;
                    self.broken(job, "accepted, and never answered");
                }
            }
            1
        } else {
            self.verdict.unknown += 1;
            self.verdict.unknown_answered += usize::from(answer.is_some());
            0
        };
        let Some(answer) = answer else { return Ok(()) };
        let (ticket, opened) = self.open(job, answer)?;
        let proved = self.stands(job, submission.kind, &ticket, &opened);
        if proved && submission.kind.must_be_proved() {
            self.verdict.proved += count;
        }
        let (code, authentic) = match &opened {
            Opened::Authentic(answer) => (answer.code().to_string(), true),
            Opened::Hint(code) => (code.to_string(), false),
            Opened::Nothing => ("nothing".to_owned(), false),
        };
        for told in submission.collected.iter().filter(|told| **told != (code.clone(), authentic)) {
            self.broken(job, format!("the client was told {told:?}, the stream says {code}"));
        }
        *self.verdict.codes.entry((submission.kind, code)).or_default() += 1;
        Ok(())
    }

    /// Opens an answer with its ticket.
    fn open(&self, job: &str, stored: &Stored) -> Result<(Ticket, Opened), Trouble> {
        let path = self.tickets.join(job);
        let ticket = Ticket::read(&path)?;
        let file: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let bytes = |key: &str| BASE64_STANDARD.decode(file[key].as_str().unwrap_or_default());
        let (enc, secret) = (bytes("enc")?, bytes("answer_secret")?);
        let secret: [u8; 32] = secret.try_into().map_err(|_| "an answer's secret has 32 bytes")?;
        let secret = AnswerSecret::from_bytes(secret);
        let info = ticket.header().info(&DEPLOYMENT.parse()?);
        let binding = AnswerBinding { info: &info, enc: &enc, secret: &secret };
        let header = AnswerHeader::parse(|name| stored.headers.get(name).map(|value| value.as_str()));
        let Some(header) = header else { return Ok((ticket, Opened::Nothing)) };
        let document = binding.open_answer(&header, &stored.payload).ok();
        let document = document.filter(|_| header.mode == ticket.header().answer);
        let answer = document.and_then(|document| serde_json::from_slice::<Answer>(&document).ok());
        let answer = answer.filter(|answer| answer.code() == header.code && answer.job.as_str() == job);
        let opened = answer.map_or(Opened::Hint(header.code), |answer| Opened::Authentic(Box::new(answer)));
        Ok((ticket, opened))
    }

    /// Checks whether an answer is a proof that verifies, and records a broken promise if it may not be what it is.
    fn stands(&mut self, job: &str, kind: JobKind, ticket: &Ticket, opened: &Opened) -> bool {
        use JobKind::{Cancelled, Damaged, Duplicate, Hurried, Invalid, Valid};
        match (kind, opened) {
            (Valid | Duplicate | Cancelled | Hurried, Opened::Authentic(answer))
                if answer.code() == Code::Ok =>
            {
                match self.verifier.verify_for(ticket, answer) {
                    Ok(_) => return true,
                    Err(error) => self.broken(job, format!("its proof does not stand: {error}")),
                }
            }
            (Invalid, Opened::Authentic(answer)) if answer.code() == Code::InvalidWitness => {}
            (Damaged, Opened::Hint(Code::UnsealFailed)) | (Cancelled, Opened::Hint(Code::Cancelled)) => {}
            (_, Opened::Hint(code)) if may_come_to_any_job(*code) => {}
            (_, Opened::Authentic(answer)) => {
                self.broken(job, format!("{kind:?}, and answered {}", answer.code()));
            }
            (_, Opened::Hint(code)) => {
                self.broken(job, format!("{kind:?}, and answered {code} without authentication"));
            }
            (_, Opened::Nothing) => self.broken(job, "its answer is not one of the protocol"),
        }
        false
    }
}

/// Codes that the network side answers for a job whose own process cannot.
fn may_come_to_any_job(code: Code) -> bool {
    matches!(
        code,
        Code::Expired
            | Code::Timeout
            | Code::OutOfMemory
            | Code::ProofGenerationFailed
            | Code::AttemptsExhausted
    )
}
