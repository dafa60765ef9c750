//! The names of a job: who sent it, for which circuit, in which lane, sealed to which key; and the
//! subjects that they make.
//!
//! Small types that parse and print. A value that exists is well formed, so a subject or a seal that
//! is made of them can hold no dot, no newline and no wildcard.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name is not of the shape that the protocol gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: expected {shape}")]
pub struct BadName {
    what: &'static str,
    shape: &'static str,
}

impl BadName {
    pub(crate) fn new(what: &'static str, shape: &'static str) -> Self {
        BadName { what, shape }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $shape:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        // The schema is that of the field below, which says the pattern.
        #[schemars(!try_from, !into)]
        pub struct $name(#[schemars(regex(pattern = $pattern))] String);

        impl $name {
            /// The name as it stands in subjects, headers and the seal.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok($name(text.to_owned()))
                } else {
                    Err(BadName { what: $what, shape: $shape })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Who a job belongs to: the third token of its subject. In a multi-tenant deployment the broker
    /// writes it.
    Tenant, "tenant", "1 to 64 of A-Z a-z 0-9 _ -", "^[A-Za-z0-9_-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
);

name!(
    /// A circuit's name with its version, such as `membership-v1`. Another verifying key is another name.
    CircuitId, "circuit", "1 to 64 of a-z 0-9 -", "^[a-z0-9-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

name!(
    /// 128 random bits in 32 lower-case hexadecimal digits, chosen by the client and never used twice.
    JobId, "job id", "32 lower-case hexadecimal digits", "^[0-9a-f]{32}$",
    |text| sized(text, 32, 32) && lower_hex(text)
);

name!(
    /// The first 16 bytes of SHA-256 over scheme and public key, in 32 lower-case hexadecimal digits.
    KeyId, "key id", "32 lower-case hexadecimal digits", "^[0-9a-f]{32}$",
    |text| sized(text, 32, 32) && lower_hex(text)
);

name!(
    /// The name of a deployment, as its bundle gives it: what the operator calls the service.
    Deployment, "deployment", "1 to 64 of A-Z a-z 0-9 _ . -", "^[A-Za-z0-9_.-]{1,64}$",
    |text| sized(text, 1, 64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
);

fn sized(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len())
}

fn lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl JobId {
    /// Draws a new id from the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness: nothing that follows would be safe.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        JobId(hex::encode(bytes))
    }
}

impl Default for Tenant {
    /// The tenant of a deployment that has only one.
    fn default() -> Self {
        Tenant("default".to_owned())
    }
}

/// Which of a tenant's two queues a job waits in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Served first.
    Express,
    /// Served next.
    #[default]
    Standard,
}

impl Lane {
    /// Both lanes, in the order in which they are served.
    pub const ALL: [Lane; 2] = [Lane::Express, Lane::Standard];

    /// The lane as it stands in subjects and in the seal.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Express => "express",
            Lane::Standard => "standard",
        }
    }
}

impl FromStr for Lane {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "express" => Ok(Lane::Express),
            "standard" => Ok(Lane::Standard),
            _ => Err(BadName { what: "lane", shape: "express or standard" }),
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the client wants its answer: sealed to the job's own secret, or in clear with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum AnswerMode {
    /// Only the client can read the answer.
    #[default]
    Sealed,
    /// Anybody on the broker can read the answer; only the client can tell it from a forgery.
    Open,
}

impl AnswerMode {
    /// The mode as it stands in headers and in the seal.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerMode::Sealed => "sealed",
            AnswerMode::Open => "open",
        }
    }
}

impl FromStr for AnswerMode {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "sealed" => Ok(AnswerMode::Sealed),
            "open" => Ok(AnswerMode::Open),
            _ => Err(BadName { what: "answer mode", shape: "sealed or open" }),
        }
    }
}

impl fmt::Display for AnswerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SHA-256 over a pinned verifying key, printed as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub struct VerifyingKeyDigest(pub [u8; 32]);

impl FromStr for VerifyingKeyDigest {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad =
            BadName { what: "verifying key digest", shape: "sha256: and 64 lower-case hexadecimal digits" };
        let digits = text.strip_prefix("sha256:").filter(|digits| lower_hex(digits)).ok_or(bad.clone())?;
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| bad)?;
        Ok(VerifyingKeyDigest(digest))
    }
}

impl TryFrom<String> for VerifyingKeyDigest {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<VerifyingKeyDigest> for String {
    fn from(digest: VerifyingKeyDigest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for VerifyingKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for VerifyingKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The subjects of a deployment, all below one prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subjects {
    prefix: String,
}

/// The name of a job as its subject gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobSubject {
    /// Whose job it is.
    pub tenant: Tenant,
    /// The queue that it waits in.
    pub lane: Lane,
    /// What is to be proved.
    pub circuit: CircuitId,
    /// Which job it is.
    pub job: JobId,
}

impl Subjects {
    /// The prefix, `prove.v1` by default.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where a sealed job is published.
    pub fn job(&self, job: &JobSubject) -> String {
        format!("{}.job.{}.{}.{}.{}", self.prefix, job.tenant, job.lane, job.circuit, job.job)
    }

    /// All jobs of a tenant's lane, well formed or not.
    pub fn lane(&self, tenant: &Tenant, lane: Lane) -> String {
        format!("{}.job.{tenant}.{lane}.*.*", self.prefix)
    }

    /// Where the one answer of a job is.
    pub fn answer(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.answer.{tenant}.{job}", self.prefix)
    }

    /// All answers of a tenant.
    pub fn answers(&self, tenant: &Tenant) -> String {
        format!("{}.answer.{tenant}.*", self.prefix)
    }

    /// The last known state of a job that has no answer yet.
    pub fn status(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.status.{tenant}.{job}", self.prefix)
    }

    /// All statuses of all tenants.
    pub fn statuses(&self) -> String {
        format!("{}.status.*.*", self.prefix)
    }

    /// The headers of a job's answer, as a wake-up.
    pub fn live(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.live.{tenant}.{job}", self.prefix)
    }

    /// Where the answer stream republishes to, in the broker's own notation.
    pub fn live_transform(&self, tenant: &Tenant) -> String {
        format!("{}.live.{tenant}.{{{{wildcard(1)}}}}", self.prefix)
    }

    /// The headers of all answers of all tenants, as wake-ups.
    pub fn lives(&self) -> String {
        format!("{}.live.*.*", self.prefix)
    }

    /// Reads a subject of [`lives`](Self::lives); `None` where it is not one.
    pub fn parse_live(&self, subject: &str) -> Option<(Tenant, JobId)> {
        self.parse_two("live", subject)
    }

    /// A job in whatever lane and for whatever circuit, in the broker's own notation.
    pub fn job_anywhere(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.job.{tenant}.*.*.{job}", self.prefix)
    }

    /// Where the cancelling of a job is asked for.
    pub fn cancel(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.cancel.{tenant}.{job}", self.prefix)
    }

    /// All requests to cancel, of all tenants.
    pub fn cancels(&self) -> String {
        format!("{}.cancel.*.*", self.prefix)
    }

    /// Reads a subject of [`cancels`](Self::cancels); `None` where it is not one.
    pub fn parse_cancel(&self, subject: &str) -> Option<(Tenant, JobId)> {
        self.parse_two("cancel", subject)
    }

    /// `<prefix>.<kind>.<tenant>.<job>`.
    fn parse_two(&self, kind: &str, subject: &str) -> Option<(Tenant, JobId)> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let (tenant, job) = rest.strip_prefix(kind)?.strip_prefix('.')?.split_once('.')?;
        Some((tenant.parse().ok()?, job.parse().ok()?))
    }

    /// Where the signed bundle is asked for.
    pub fn bundle(&self) -> String {
        format!("{}.bundle", self.prefix)
    }

    /// Reads a job's subject.
    ///
    /// # Errors
    /// When it is not `<prefix>.job.<tenant>.<lane>.<circuit>.<job>` with tokens of their stated shape.
    pub fn parse_job(&self, subject: &str) -> Result<JobSubject, BadName> {
        let shape = BadName { what: "job subject", shape: "<prefix>.job.<tenant>.<lane>.<circuit>.<job>" };
        let rest = subject.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix(".job."));
        let tokens: Vec<&str> = rest.ok_or(shape.clone())?.split('.').collect();
        let [tenant, lane, circuit, job] = tokens[..] else { return Err(shape) };
        Ok(JobSubject {
            tenant: tenant.parse()?,
            lane: lane.parse()?,
            circuit: circuit.parse()?,
            job: job.parse()?,
        })
    }
}

impl Default for Subjects {
    fn default() -> Self {
        Subjects { prefix: "prove.v1".to_owned() }
    }
}

impl TryFrom<String> for Subjects {
    type Error = BadName;
    fn try_from(prefix: String) -> Result<Self, BadName> {
        let token = |t: &str| {
            !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if prefix.len() <= 64 && prefix.split('.').all(token) {
            Ok(Subjects { prefix })
        } else {
            Err(BadName { what: "subject prefix", shape: "tokens of A-Z a-z 0-9 _ - with dots between" })
        }
    }
}

impl From<Subjects> for String {
    fn from(subjects: Subjects) -> String {
        subjects.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn a_job_subject_parses_to_what_it_was_made_of() {
        let subjects = Subjects::default();
        let text = format!("prove.v1.job.default.express.membership-v1.{JOB}");
        let job = subjects.parse_job(&text).unwrap();
        assert_eq!(job.lane, Lane::Express);
        assert_eq!(subjects.job(&job), text);
    }

    #[test]
    fn a_subject_of_another_shape_is_refused() {
        let refused = [
            "prove.v1.job.default.express.membership-v1".to_owned(),
            format!("prove.v1.job.default.fast.membership-v1.{JOB}"),
            format!("prove.v1.job.default.express.Membership.{JOB}"),
            format!("prove.v1.job.default.express.membership-v1.{}", JOB.to_uppercase()),
            format!("prove.v1.job.default.express.membership-v1.{JOB}.x"),
            format!("prove.v1.job.default.express.membership-v1.{}", &JOB[1..]),
            format!("other.v1.job.default.express.membership-v1.{JOB}"),
            format!("prove.v1.job..express.membership-v1.{JOB}"),
        ];
        for subject in refused {
            assert!(Subjects::default().parse_job(&subject).is_err(), "{subject}");
        }
    }

    #[test]
    fn a_request_to_cancel_names_tenant_and_job() {
        let subjects = Subjects::default();
        let (tenant, job) = (Tenant::default(), JOB.parse::<JobId>().unwrap());
        let subject = subjects.cancel(&tenant, &job);
        assert_eq!(subjects.parse_cancel(&subject), Some((tenant, job)));
        for other in
            [subject.replace("cancel", "live"), format!("{subject}.x"), subject.replace("default", "")]
        {
            assert_eq!(subjects.parse_cancel(&other), None, "{other}");
        }
    }

    #[test]
    fn random_job_ids_are_well_formed_and_differ() {
        let (one, two) = (JobId::random(), JobId::random());
        assert_ne!(one, two);
        assert_eq!(one.as_str().parse::<JobId>().unwrap(), one);
    }

    #[test]
    fn a_prefix_with_a_wildcard_is_refused() {
        for prefix in ["", "a..b", "a.*", ">", "a b"] {
            assert!(Subjects::try_from(prefix.to_owned()).is_err(), "{prefix}");
        }
    }
}
