//! The life of a delivery: leased, admitted, proved, settled. Each step consumes the value of the one before.

use tracing::warn;

use super::admission::{self, Admission, Recipient};
use super::attempts::Admitted;
use super::settle::Finished;
use super::worker::{CRASHES_MAX, Worker, latest_deadline};
use crate::jetstream::{Delivery, LeasedJob, Settled};
use crate::metrics::Phase;
use crate::protocol::{Code, JobHeader};
use crate::service::status::Work;

/// The outcome of everything that needs no proof.
enum Disposition {
    /// The job is proved here. `crashes` is the number of crashes of its own process, from its status.
    Prove { header: JobHeader, crashes: u32 },
    /// The job has its answer.
    AlreadyAnswered(Settled),
    /// The code is its answer.
    Refuse(Code),
    /// Another service, or this one later, can tell. The reason is for the log.
    Retry(&'static str),
}

impl Worker {
    /// Sees one delivery through to its end.
    pub(crate) async fn see_through(&self, delivery: Delivery) {
        self.settler.ledger.metrics.jobs.delivered(delivery.delivered());
        // Before the checks, which read from the broker and may wait there through an election.
        let job = match delivery.lease(self.settler.broker.subjects(), self.ack_wait) {
            Ok(job) => job,
            Err(unnamed) => {
                self.settler.ledger.metrics.jobs.not_a_job();
                warn!("a message on a job subject names no job; it is removed");
                return unnamed.term("not a job of this protocol").await;
            }
        };
        let typical = self.settler.prover.typical_time(&job.subject().circuit, job.payload().len());
        let _busy = self.settler.ledger.activity.begin(job.subject(), job.delivered(), typical);
        // Before the answer is looked for, so that no notice is missed between the two.
        let notices = self.notices.subscribe();
        let work = Work { attempt: job.delivered(), ..Work::default() };
        match self.admit(&job).await {
            Disposition::Prove { header, crashes } => {
                self.settler.ledger.metrics.jobs.phase(&job.subject().circuit, Phase::Queued, job.age());
                Admitted::new(job, header, crashes, notices).prove(self).await;
            }
            Disposition::AlreadyAnswered(settled) => self.settler.settle_found(job, settled, work).await,
            Disposition::Refuse(code) => {
                let deadline = latest_deadline(&job);
                self.settler.settle(Finished::with_code(job, deadline, code, work)).await;
            }
            Disposition::Retry(reason) => {
                let deadline = latest_deadline(&job);
                self.hand_back(job, deadline, reason, None).await;
            }
        }
    }

    /// Checks everything that is cheaper than a proof.
    async fn admit(&self, job: &LeasedJob) -> Disposition {
        // After a lost acknowledgement the answer is there already. One read saves a whole proof.
        match self.settler.broker.find_answer(&job.subject().tenant, &job.subject().job).await {
            Ok(Some(settled)) => return Disposition::AlreadyAnswered(settled),
            Ok(None) => {}
            Err(_) => return Disposition::Retry("the answer stream cannot be read"),
        }
        let header = match self.check(job) {
            Admission::Prove(header) => header,
            Admission::Refuse(code) => return Disposition::Refuse(code),
            Admission::Retry(reason) => return Disposition::Retry(reason),
        };
        // No process has crashed before the first delivery, so that one needs no read. A count that cannot be read
        // sends the job back: with 0 in its place, a witness that crashes its process would be tried on every
        // delivery.
        let crashes = if job.delivered() > 1 { self.crashes_so_far(job).await } else { Some(0) };
        match crashes {
            Some(crashes) if crashes >= CRASHES_MAX => Disposition::Refuse(Code::ProofGenerationFailed),
            Some(crashes) => Disposition::Prove { header, crashes },
            None => Disposition::Retry("the status stream cannot be read"),
        }
    }

    fn check(&self, job: &LeasedJob) -> Admission {
        let chamber = self.settler.prover.chamber.get();
        let recipient = Recipient {
            circuits: self.settler.prover.circuits(),
            tenants: &self.tenants,
            keys: chamber.as_ref().map(|chamber| &chamber.keys),
            earliest_finish: self.settler.prover.earliest_finish(&job.subject().circuit, job.payload().len()),
        };
        let message = admission::Message {
            subject: job.subject(),
            headers: job.headers(),
            payload: job.payload(),
            stored_at: job.stored_at().to_seconds(),
        };
        admission::check(message, &recipient)
    }

    /// Returns how many times the job's own process has crashed, from its status; `None` where that cannot be read.
    async fn crashes_so_far(&self, job: &LeasedJob) -> Option<u32> {
        let status = self.settler.broker.status(&job.subject().tenant, &job.subject().job).await.ok()?;
        Some(status.map_or(0, |status| status.faults))
    }
}
