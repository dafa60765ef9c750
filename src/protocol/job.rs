//! The header of a job: everything that travels in clear and is bound in the seal.

use std::fmt;
use std::str::FromStr;

use super::digest::VerifyingKeyDigest;
use super::headers::{H_ANSWER, H_EXPIRES, H_KEY, H_VERIFYING_KEY, H_VERSION, VERSION};
use super::names::{AnswerMode, BadName, Deployment, KeyId};
use super::subjects::JobSubject;
use super::time::UnixSeconds;

/// The header of a job: the tokens of its subject, and its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHeader {
    /// Tenant, lane, circuit and job, from the subject.
    pub subject: JobSubject,
    /// Key that the job is sealed to.
    pub key: KeyId,
    /// Deadline of the job.
    pub expires: UnixSeconds,
    /// Form in which the client wants its answer.
    pub answer: AnswerMode,
    /// Verifying key that the client insists on.
    pub verifying_key: VerifyingKeyPin,
}

/// The verifying keys that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyingKeyPin {
    /// Any that the service has under the circuit's name.
    Any,
    /// This one. It is the default, from the client's pinned bundle.
    Exactly(VerifyingKeyDigest),
}

impl VerifyingKeyPin {
    /// Returns whether the client accepts `offered`.
    pub fn takes(self, offered: VerifyingKeyDigest) -> bool {
        match self {
            VerifyingKeyPin::Any => true,
            VerifyingKeyPin::Exactly(wanted) => wanted == offered,
        }
    }
}

impl From<Option<VerifyingKeyDigest>> for VerifyingKeyPin {
    fn from(digest: Option<VerifyingKeyDigest>) -> Self {
        digest.map_or(VerifyingKeyPin::Any, VerifyingKeyPin::Exactly)
    }
}

impl From<VerifyingKeyPin> for Option<VerifyingKeyDigest> {
    fn from(pin: VerifyingKeyPin) -> Self {
        match pin {
            VerifyingKeyPin::Any => None,
            VerifyingKeyPin::Exactly(digest) => Some(digest),
        }
    }
}

impl FromStr for VerifyingKeyPin {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "any" => Ok(VerifyingKeyPin::Any),
            digest => digest.parse().map(VerifyingKeyPin::Exactly),
        }
    }
}

impl fmt::Display for VerifyingKeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerifyingKeyPin::Any => f.write_str("any"),
            VerifyingKeyPin::Exactly(digest) => write!(f, "{digest}"),
        }
    }
}

/// A fault in the headers of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The job is of another version of the protocol.
    #[error("unsupported version, expected {VERSION}")]
    Version,
    /// A header of this protocol is missing.
    #[error("missing header {0}")]
    Missing(&'static str),
    /// A header of this protocol is repeated.
    #[error("repeated header {0}")]
    Repeated(&'static str),
    /// A `Sealprove-` header that this version does not know.
    #[error("unknown Sealprove- header")]
    Unknown,
    /// A header's value is not of its stated shape.
    #[error("malformed header {0}")]
    Malformed(&'static str),
}

/// The headers of a job, in the order in which they are written.
const KNOWN: [&str; 5] = [H_VERSION, H_KEY, H_EXPIRES, H_ANSWER, H_VERIFYING_KEY];

impl JobHeader {
    /// Reads the headers of a message on `subject`. Headers that are not of this protocol are ignored.
    ///
    /// # Errors
    /// When there is a fault: one in the version, else the first.
    pub fn parse<'a>(
        subject: JobSubject,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, HeaderFault> {
        let [version, key, expires, answer, verifying_key] = collect(headers)?;
        if version.ok_or(HeaderFault::Missing(H_VERSION))? != VERSION {
            return Err(HeaderFault::Version);
        }
        Ok(JobHeader {
            subject,
            key: value(H_KEY, key)?,
            expires: value(H_EXPIRES, expires)?,
            answer: value(H_ANSWER, answer)?,
            verifying_key: value(H_VERIFYING_KEY, verifying_key)?,
        })
    }

    /// Returns the headers, by name, as they are written.
    pub fn to_headers(&self) -> [(&'static str, String); 5] {
        [
            (H_VERSION, VERSION.to_owned()),
            (H_KEY, self.key.to_string()),
            (H_EXPIRES, self.expires.to_string()),
            (H_ANSWER, self.answer.to_string()),
            (H_VERIFYING_KEY, self.verifying_key.to_string()),
        ]
    }

    /// Returns the `info` of the seal, which binds the header (`docs/PROTOCOL.md`, "The seal").
    pub fn info(&self, deployment: &Deployment) -> Vec<u8> {
        let JobSubject { tenant, lane, circuit, job } = &self.subject;
        let JobHeader { key, expires, answer, verifying_key, .. } = self;
        format!(
            "sealprove/1 job\n{deployment}\n{tenant}\n{lane}\n{circuit}\n{job}\n{key}\n{expires}\n{answer}\n{verifying_key}\n"
        )
        .into_bytes()
    }
}

/// Sorts the headers of this protocol into the order of [`KNOWN`].
///
/// Of a message of another version nothing else is judged: its other headers are for that version to define.
fn collect<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<[Option<&'a str>; 5], HeaderFault> {
    let mut found = [None; 5];
    let mut fault = None;
    for (name, value) in headers {
        // In any case of letters: a misspelt header of this protocol must not be ignored.
        if !name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("Sealprove-")) {
            continue;
        }
        match KNOWN.iter().position(|known| *known == name) {
            None => fault = fault.or(Some(HeaderFault::Unknown)),
            Some(index) if found[index].is_some() => {
                fault = fault.or(Some(HeaderFault::Repeated(KNOWN[index])));
            }
            Some(index) => found[index] = Some(value),
        }
    }
    // The seal binds one value of each header, so a repeated one is refused and not chosen from.
    match (found[0], fault) {
        (Some(version), _) if version != VERSION => Err(HeaderFault::Version),
        (_, Some(fault)) => Err(fault),
        (_, None) => Ok(found),
    }
}

fn value<T: FromStr>(name: &'static str, text: Option<&str>) -> Result<T, HeaderFault> {
    text.ok_or(HeaderFault::Missing(name))?.parse().map_err(|_| HeaderFault::Malformed(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Subjects;

    fn subject() -> JobSubject {
        let text = "prove.v1.job.default.standard.threshold-v1.00112233445566778899aabbccddeeff";
        Subjects::default().parse_job(text).unwrap()
    }

    fn headers() -> Vec<(&'static str, String)> {
        vec![
            (H_VERSION, "1".into()),
            (H_KEY, "ffeeddccbbaa99887766554433221100".into()),
            (H_EXPIRES, "1800000000".into()),
            (H_ANSWER, "sealed".into()),
            (H_VERIFYING_KEY, "any".into()),
        ]
    }

    fn parse(headers: &[(&str, String)]) -> Result<JobHeader, HeaderFault> {
        JobHeader::parse(subject(), headers.iter().map(|(name, value)| (*name, value.as_str())))
    }

    #[test]
    fn headers_parse_to_what_they_were_made_of() {
        let header = parse(&headers()).unwrap();
        assert_eq!(header.to_headers().to_vec(), headers());
        assert_eq!(
            String::from_utf8(header.info(&"lab".parse().unwrap())).unwrap(),
            "sealprove/1 job\nlab\ndefault\nstandard\nthreshold-v1\n00112233445566778899aabbccddeeff\n\
             ffeeddccbbaa99887766554433221100\n1800000000\nsealed\nany\n"
        );
    }

    #[test]
    fn each_header_is_needed_once() {
        for index in 0..5 {
            let mut missing = headers();
            let (name, value) = missing.remove(index);
            assert_eq!(parse(&missing), Err(HeaderFault::Missing(name)));

            let mut repeated = headers();
            repeated.push((name, value));
            assert_eq!(parse(&repeated), Err(HeaderFault::Repeated(name)));
        }
    }

    #[test]
    fn a_value_has_one_spelling() {
        let other_spellings = [
            (1, "FFEEDDCCBBAA99887766554433221100"),
            (2, "01800000000"),
            (2, "+1800000000"),
            (2, "1.8e9"),
            (2, ""),
            (3, "Sealed"),
            (4, "sha256:00"),
            (4, "ANY"),
        ];
        for (index, spelling) in other_spellings {
            let mut headers = headers();
            headers[index].1 = spelling.into();
            assert_eq!(parse(&headers), Err(HeaderFault::Malformed(headers[index].0)), "{spelling}");
        }
    }

    #[test]
    fn unknown_headers_are_ignored_unless_they_claim_to_be_of_this_protocol() {
        let mut headers = headers();
        headers.push(("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()));
        assert!(parse(&headers).is_ok());
        headers.push(("sealprove-priority", "1".into()));
        assert_eq!(parse(&headers), Err(HeaderFault::Unknown));
    }

    #[test]
    fn another_version_is_reported_before_anything_else() {
        let headers = vec![(H_VERSION, "2".to_owned()), ("Sealprove-Future", "x".to_owned())];
        assert_eq!(parse(&headers), Err(HeaderFault::Version));
    }
}
