//! Acceptance: which stored message counts as the answer to a job (`docs/PROTOCOL.md`, "What a client may
//! believe").

use super::answer::{Answer, AnswerHeader};
use super::headers::VERSION;
use super::names::AnswerMode;
use super::seal::AnswerBinding;
use super::subjects::JobSubject;

/// The rules of acceptance: what was asked for sealed is answered only by what opens, what was asked for
/// open only by what carries a good tag; and the document must be about this job, and hold a proof or an error.
pub(crate) fn believe(
    subject: &JobSubject,
    asked: AnswerMode,
    binding: &AnswerBinding<'_>,
    header: &AnswerHeader,
    payload: &[u8],
) -> Option<Answer> {
    let document = (header.mode == asked).then(|| binding.open_answer(header, payload).ok()).flatten()?;
    // Of a member that is passed over, serde_json would not see that it is not UTF-8.
    let answer: Answer = serde_json::from_str(str::from_utf8(&document).ok()?).ok()?;
    let is_of_this_form = answer.version == VERSION && answer.to_proof().is_some() != answer.error.is_some();
    let is_about_it =
        (&answer.job, &answer.tenant, &answer.circuit) == (&subject.job, &subject.tenant, &subject.circuit);
    (is_of_this_form && is_about_it && answer.code() == header.code).then_some(answer)
}
