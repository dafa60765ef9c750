//! Headers of jobs and answers.

use sealprove::protocol::{ANSWER_MEDIA_TYPE, AnswerMode, Code, Sha256Digest};

use super::super::targets::bundles::NOW;
use super::{KEY_ID, Seed, seeds_for};

pub(super) fn all() -> Vec<Seed> {
    [of_job(), of_answer(), stored()].concat()
}

fn of_job() -> Vec<Seed> {
    let good = job_lines();
    let any = good.replace(&Sha256Digest([1; 32]).to_string(), "any");
    seeds_for(
        "job_headers",
        [
            ("good", good.clone()),
            ("any-verifying-key", any.clone()),
            ("answer-in-the-open", any.replace("sealed", "open")),
            (
                "with-a-trace",
                format!("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n{any}"),
            ),
            ("another-version", any.replace("Version: 1", "Version: 2")),
            (
                "another-version-and-an-unknown-header",
                format!("Sealprove-Future: x\n{}", any.replace(": 1", ": 2")),
            ),
            ("no-version", any.replacen("Sealprove-Version: 1\n", "", 1)),
            ("no-key", any.replace("Sealprove-Key", "Key")),
            ("repeated-key", format!("{any}\nSealprove-Key: {KEY_ID}")),
            ("header-in-lower-case", any.replace("Sealprove-Answer", "sealprove-answer")),
            ("unknown-header", format!("{any}\nSealprove-Priority: 1")),
            ("expires-with-a-sign", any.replace("Expires: ", "Expires: +")),
            ("expires-with-a-zero", any.replace("Expires: ", "Expires: 0")),
            ("expires-at-the-end-of-time", any.replace(&NOW.to_string(), &u64::MAX.to_string())),
            ("expires-after-the-end-of-time", any.replace(&NOW.to_string(), "18446744073709551616")),
            ("key-in-upper-case", any.replace(KEY_ID, &KEY_ID.to_uppercase())),
            ("key-with-a-line-break", any.replace(KEY_ID, &format!("{KEY_ID}\r"))),
        ],
    )
}

fn of_answer() -> Vec<Seed> {
    let answer = answer_lines(Code::Ok, AnswerMode::Sealed);
    seeds_for(
        "answer_headers",
        [
            ("sealed", answer.clone()),
            ("open", format!("{}\nSealprove-Tag: {}", answer_lines(Code::Ok, AnswerMode::Open), "QUJD")),
            ("refused", answer_lines(Code::InvalidWitness, AnswerMode::Open)),
            ("outcome-of-another-code", answer.replace("proved", "failed")),
            ("another-version", answer.replace("Version: 1", "Version: 2")),
            ("no-content-type", answer.replace("Content-Type", "Content")),
            ("unknown-code", answer.replace(": OK", ": FINE")),
            ("content-type-not-ascii", answer.replace("application/json", "text/\u{e9}")),
            ("content-type-with-a-line-break", answer.replace("application/json", "text/plain\r")),
        ],
    )
}

/// Header blocks as they lie in a stream.
fn stored() -> Vec<Seed> {
    let block = |lines: &str| format!("NATS/1.0\r\n{lines}\r\n");
    let seeds = seeds_for(
        "stored_headers",
        [
            ("none", String::new()),
            ("of-a-job", block(&format!("{}\r\n", job_lines().replace('\n', "\r\n")))),
            ("status", "NATS/1.0 404 No Messages\r\n\r\n".to_owned()),
            ("status-of-letters", "NATS/1.0 soon\r\n\r\n".to_owned()),
            ("status-that-ends-at-a-tab", "NATS/1.0 404\tNo Messages\r\n\r\n".to_owned()),
            ("status-in-other-white-space", "NATS/1.0\u{85}404\u{a0}\r\n\r\n".to_owned()),
            ("status-with-no-space-before", "NATS/1.0404\r\n\r\n".to_owned()),
            ("another-version", "NATS/2.0\r\n\r\n".to_owned()),
            ("continued-line", block("One: 1\r\nTwo:  two words \r\n and more\r\nOne: again\r\n")),
            ("continued-after-an-empty-line", block("A: x\r\n\r\n and more\r\n")),
            ("continued-before-any-header", block(" and more\r\nA: x\r\n")),
            ("value-that-begins-on-its-second-line", block("A:\r\n \u{1d}x\r\n")),
            ("name-with-a-space", block("a b: x\r\n")),
            ("no-name", block(": x\r\n")),
            ("no-colon", block("garbage\r\n")),
            ("name-not-ascii", block("\u{e9}: x\r\n")),
            ("value-with-a-carriage-return", block("A: x\ry\r\n")),
            ("value-of-white-space", block("A: \u{85}\u{a0}\r\n \r\n")),
        ],
    );
    let not_utf8 = Seed::new("stored_headers", "value-not-utf-8", *b"NATS/1.0\r\nX-A: \xff\xfe\r\n\r\n");
    [seeds, vec![not_utf8]].concat()
}

fn job_lines() -> String {
    format!(
        "Sealprove-Version: 1\nSealprove-Key: {KEY_ID}\nSealprove-Expires: {NOW}\nSealprove-Answer: sealed\n\
         Sealprove-Verifying-Key: {}",
        Sha256Digest([1; 32])
    )
}

fn answer_lines(code: Code, mode: AnswerMode) -> String {
    format!(
        "Sealprove-Version: 1\nSealprove-Outcome: {}\nSealprove-Code: {code}\nSealprove-Answer: {mode}\n\
         Content-Type: {ANSWER_MEDIA_TYPE}",
        code.outcome()
    )
}
