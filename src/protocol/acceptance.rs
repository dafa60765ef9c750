//! Acceptance: the rules by which a stored message counts as the answer to a job (`docs/PROTOCOL.md`, "What a client
//! may believe").

use super::answer::{Answer, AnswerHeader};
use super::headers::VERSION;
use super::names::AnswerMode;
use super::seal::AnswerBinding;
use super::subjects::JobSubject;

/// Returns the answer, if a client may believe the message.
///
/// An answer that was asked for sealed must open; one that was asked for open must carry a good tag. Its document
/// must be about this job, and hold a proof or an error.
pub(crate) fn believe(
    subject: &JobSubject,
    asked: AnswerMode,
    binding: &AnswerBinding<'_>,
    header: &AnswerHeader,
    payload: &[u8],
) -> Option<Answer> {
    // The seal binds the mode, so the process that opened the job answers in no other.
    if header.mode != asked {
        return None;
    }
    let document = binding.open_answer(header, payload).ok()?;
    // serde_json does not look for bytes outside UTF-8 in members that it skips.
    let answer: Answer = serde_json::from_str(str::from_utf8(&document).ok()?).ok()?;
    let has_one_of_both = answer.to_proof().is_some() != answer.error.is_some();
    let is_about_job =
        (&answer.job, &answer.tenant, &answer.circuit) == (&subject.job, &subject.tenant, &subject.circuit);
    let is_believed =
        answer.version == VERSION && has_one_of_both && is_about_job && answer.code() == header.code;
    is_believed.then_some(answer)
}
