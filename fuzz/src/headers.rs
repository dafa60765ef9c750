//! Subjects, headers and documents, as a broker hands them over.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use sealprove::jetstream::stored_headers;
use sealprove::protocol::{
    Answer, AnswerHeader, AnswerMode, CancelReply, CircuitId, Code, Deployment, HeaderFault, JobHeader,
    JobId, JobSubject, KeyId, Lane, Outcome, Sha256Digest, Status, Subjects, Tenant, VERSION,
    VerifyingKeyPin,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A prefix on the first line, a subject on the second; one line alone is a subject under the default prefix.
pub fn subjects(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let default = Subjects::default();
    let (prefix, subject) = text.split_once('\n').unwrap_or((default.prefix(), text));
    names(subject);
    let Ok(subjects) = Subjects::try_from(prefix.to_owned()) else { return };
    assert_eq!(subjects.prefix(), prefix);
    assert_tokens(prefix);

    if let Ok(job) = subjects.parse_job(subject) {
        assert_eq!(subjects.job(&job), subject, "a job has one subject");
        assert_tokens(subject);
        of_one_job(&subjects, &job);
    }
    if let Some((tenant, job)) = subjects.parse_live(subject) {
        assert_eq!(subjects.live(&tenant, &job), subject);
    }
    if let Some((tenant, job)) = subjects.parse_cancel(subject) {
        assert_eq!(subjects.cancel(&tenant, &job), subject);
    }
}

/// Whatever is said about a job is said of this job, and of no other kind of thing.
fn of_one_job(subjects: &Subjects, subject: &JobSubject) {
    let JobSubject { tenant, job, .. } = subject;
    let (live, cancel) = (subjects.live(tenant, job), subjects.cancel(tenant, job));
    assert_eq!(subjects.parse_live(&live), Some((tenant.clone(), job.clone())));
    assert_eq!(subjects.parse_cancel(&cancel), Some((tenant.clone(), job.clone())));
    assert_eq!(subjects.parse_live(&cancel), None);
    assert_eq!(subjects.parse_cancel(&live), None);
    for other in [live, cancel, subjects.answer(tenant, job), subjects.status(tenant, job), subjects.bundle()]
    {
        assert!(subjects.parse_job(&other).is_err(), "{other} is a job's");
        assert_tokens(&other);
    }
}

/// No token is empty, and none is one that a broker reads as more than itself.
fn assert_tokens(subject: &str) {
    for token in subject.split('.') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        assert!(!token.is_empty() && token.bytes().all(plain), "a token of {subject:?}");
    }
}

/// Each small type prints what it reads.
fn names(text: &str) {
    prints::<Tenant>(text);
    prints::<CircuitId>(text);
    prints::<JobId>(text);
    prints::<KeyId>(text);
    prints::<Deployment>(text);
    prints::<Lane>(text);
    prints::<AnswerMode>(text);
    prints::<Sha256Digest>(text);
    prints::<VerifyingKeyPin>(text);
    prints::<Code>(text);
    prints::<Outcome>(text);
}

fn prints<T: FromStr + Display>(text: &str) {
    if let Ok(name) = text.parse::<T>() {
        assert_eq!(name.to_string(), text, "a name has one spelling");
        assert!(!text.contains(char::is_whitespace) && text.len() <= 71);
    }
}

/// The headers of a job, `name: value` on each line, on a subject that is given.
pub fn of_job(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let pairs = pairs(text);
    let read = JobHeader::parse(subject(), pairs.iter().copied());
    let versions = || pairs.iter().filter(|(name, _)| *name == "Sealprove-Version");
    if versions().next().is_some_and(|(_, version)| *version != VERSION) {
        assert_eq!(read, Err(HeaderFault::Version), "another version is said before anything else");
    }
    let Ok(header) = read else { return };

    let written = header.to_headers();
    let again = written.iter().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(JobHeader::parse(subject(), again), Ok(header.clone()));
    let is_ours = |name: &str| name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("Sealprove-"));
    let mut ours: Vec<(&str, &str)> = pairs.into_iter().filter(|(name, _)| is_ours(name)).collect();
    let mut expected: Vec<(&str, &str)> =
        written.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ours.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ours, expected, "each header stands once, in its only spelling");
    assert_bound(&header);
}

/// The seal binds every header: another header has another `info`, and none reaches into its neighbour.
fn assert_bound(header: &JobHeader) {
    let deployment: Deployment = "lab".parse().unwrap();
    let info = String::from_utf8(header.info(&deployment)).unwrap();
    let lines: Vec<&str> = info.split('\n').collect();
    let [label, of, tenant, lane, circuit, job, key, expires, answer, verifying_key, ""] = lines[..] else {
        panic!("not ten lines: {info:?}")
    };
    assert_eq!((label, of), ("sealprove/1 job", "lab"));
    let subject = JobSubject {
        tenant: tenant.parse().unwrap(),
        lane: lane.parse().unwrap(),
        circuit: circuit.parse().unwrap(),
        job: job.parse().unwrap(),
    };
    let read = JobHeader {
        subject,
        key: key.parse().unwrap(),
        expires: expires.parse().unwrap(),
        answer: answer.parse().unwrap(),
        verifying_key: verifying_key.parse().unwrap(),
    };
    assert_eq!(read, *header);
}

fn subject() -> JobSubject {
    let text = "prove.v1.job.default.standard.threshold-v1.00112233445566778899aabbccddeeff";
    Subjects::default().parse_job(text).unwrap()
}

/// `name: value` on each line.
pub(crate) fn pairs(text: &str) -> Vec<(&str, &str)> {
    text.split('\n').filter_map(|line| line.split_once(": ")).collect()
}

/// The headers of an answer, `name: value` on each line.
pub fn of_answer(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(header) = answer_header(&pairs(text)) else { return };
    let written = header.to_headers();
    let again: Vec<(&str, &str)> = written.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(answer_header(&again), Some(header));
    for (name, value) in again {
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
    }
}

/// As a client and a service read it: the first value of each name.
pub(crate) fn answer_header(pairs: &[(&str, &str)]) -> Option<AnswerHeader> {
    AnswerHeader::parse(|wanted| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value))
}

/// A block of headers as the stream's leader gives it, which the NATS library may not be able to read. That it is
/// read exactly where the library reads it is held against the library itself, in `tests/unit/corpora/`.
pub fn stored(data: &[u8]) {
    let Some(headers) = stored_headers(data) else { return };
    let mut block = b"NATS/1.0\r\n".to_vec();
    for (name, value) in &headers {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.contains(['\r', '\n']), "a header's value is one line: {value:?}");
        block.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    block.extend_from_slice(b"\r\n");
    // A value that begins on its second line keeps the white space there, and loses it on the first.
    let trimmed = headers.into_iter().map(|(name, value)| (name, value.trim_start().to_owned())).collect();
    assert_eq!(stored_headers(&block), Some(trimmed), "headers are read as they are written");
}

/// The JSON documents that are read back from streams and replies.
pub fn documents(data: &[u8]) {
    if let Some(answer) = document::<Answer>(data) {
        assert_eq!(answer.to_json(), serde_json::to_vec(&answer).unwrap());
        assert_eq!(answer.code() == Code::Ok, answer.error.is_none_or(|error| error.code == Code::Ok));
    }
    document::<Status>(data);
    document::<CancelReply>(data);
}

/// What is read is what is printed, and it is printed in one way.
fn document<T>(data: &[u8]) -> Option<T>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let read: T = serde_json::from_slice(data).ok()?;
    let printed = serde_json::to_vec(&read).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&printed).unwrap(), read);
    Some(read)
}
