//! Subjects: the NATS subjects of a deployment, made of names and parsed into names.

use serde::{Deserialize, Serialize};

use super::names::{BadName, CircuitId, JobId, Lane, Tenant};

/// Longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 64;

/// The subjects of a deployment, all below one prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subjects {
    prefix: String,
}

/// The names in a job's subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobSubject {
    /// Tenant of the job.
    pub tenant: Tenant,
    /// Queue that the job waits in.
    pub lane: Lane,
    /// Circuit to prove.
    pub circuit: CircuitId,
    /// The job.
    pub job: JobId,
}

impl Subjects {
    /// Returns the prefix, `prove.v1` by default.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the subject that a sealed job is published on.
    pub fn job(&self, job: &JobSubject) -> String {
        format!("{}.job.{}.{}.{}.{}", self.prefix, job.tenant, job.lane, job.circuit, job.job)
    }

    /// Returns the filter of all jobs of all tenants, well formed or not.
    pub fn jobs(&self) -> String {
        format!("{}.job.>", self.prefix)
    }

    /// Returns the filter of all jobs of a tenant's lane, well formed or not.
    pub fn lane(&self, tenant: &Tenant, lane: Lane) -> String {
        format!("{}.job.{tenant}.{lane}.*.*", self.prefix)
    }

    /// Returns the subject of a job's one answer.
    pub fn answer(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.answer.{tenant}.{job}", self.prefix)
    }

    /// Returns the filter of all answers of a tenant.
    pub fn answers(&self, tenant: &Tenant) -> String {
        format!("{}.answer.{tenant}.*", self.prefix)
    }

    /// Returns the subject of a job's status.
    pub fn status(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.status.{tenant}.{job}", self.prefix)
    }

    /// Returns the filter of the statuses of all jobs of all tenants.
    pub fn statuses(&self) -> String {
        format!("{}.status.*.*", self.prefix)
    }

    /// Returns the subject on which the broker publishes the headers of a job's answer, to wake the client.
    pub fn live(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.live.{tenant}.{job}", self.prefix)
    }

    /// Returns the subject that a tenant's answer stream republishes to, in the broker's notation for transforms.
    pub fn live_transform(&self, tenant: &Tenant) -> String {
        format!("{}.live.{tenant}.{{{{wildcard(1)}}}}", self.prefix)
    }

    /// Returns the filter of the wake-ups of all jobs of all tenants.
    pub fn lives(&self) -> String {
        format!("{}.live.*.*", self.prefix)
    }

    /// Parses a subject of [`lives`](Self::lives). Returns `None` for any other.
    pub fn parse_live(&self, subject: &str) -> Option<(Tenant, JobId)> {
        self.parse_two("live", subject)
    }

    /// Returns the filter that finds a job in any lane and for any circuit.
    pub fn job_anywhere(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.job.{tenant}.*.*.{job}", self.prefix)
    }

    /// Returns the subject of requests to cancel a job.
    pub fn cancel(&self, tenant: &Tenant, job: &JobId) -> String {
        format!("{}.cancel.{tenant}.{job}", self.prefix)
    }

    /// Returns the filter of the requests to cancel of all tenants.
    pub fn cancels(&self) -> String {
        format!("{}.cancel.*.*", self.prefix)
    }

    /// Parses a subject of [`cancels`](Self::cancels). Returns `None` for any other.
    pub fn parse_cancel(&self, subject: &str) -> Option<(Tenant, JobId)> {
        self.parse_two("cancel", subject)
    }

    /// Parses `<prefix>.<kind>.<tenant>.<job>`.
    fn parse_two(&self, kind: &str, subject: &str) -> Option<(Tenant, JobId)> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let (tenant, job) = rest.strip_prefix(kind)?.strip_prefix('.')?.split_once('.')?;
        Some((tenant.parse().ok()?, job.parse().ok()?))
    }

    /// Returns the subject of requests for the signed bundle.
    pub fn bundle(&self) -> String {
        format!("{}.bundle", self.prefix)
    }

    /// Parses a job's subject.
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
        // A wildcard in the prefix would reach the subjects of other deployments.
        if prefix.len() > PREFIX_BYTES_MAX || !prefix.split('.').all(is_token) {
            return Err(BadName::new("subject prefix", "tokens of A-Z a-z 0-9 _ - with dots between"));
        }
        Ok(Subjects { prefix })
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
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
