//! Subjects: how names become the NATS subjects of a deployment, and back.

use serde::{Deserialize, Serialize};

use super::names::{BadName, CircuitId, JobId, Lane, Tenant};

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

    /// Returns the wildcard of all jobs of all tenants, well formed or not.
    pub fn jobs(&self) -> String {
        format!("{}.job.>", self.prefix)
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
        let shape = BadName::new("job subject", "<prefix>.job.<tenant>.<lane>.<circuit>.<job>");
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
            Err(BadName::new("subject prefix", "tokens of A-Z a-z 0-9 _ - with dots between"))
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
    fn a_prefix_with_a_wildcard_is_refused() {
        for prefix in ["", "a..b", "a.*", ">", "a b"] {
            assert!(Subjects::try_from(prefix.to_owned()).is_err(), "{prefix}");
        }
    }
}
