//! The attempts at an admitted job, until it is settled or handed back.
//!
//! Each attempt is a process of its own. The way in which it ends decides what follows: an answer, one more attempt,
//! or the way back to the queue. Only what the process did on this witness counts against the job.

use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::admission::is_in_time;
use super::answer_notices::Subscription;
use super::settle::{Finished, winner};
use super::worker::{CRASHES_MAX, Worker, latest_deadline};
use crate::backoff::Waits;
use crate::frame::{End, JobHead};
use crate::jetstream::{LeasedJob, Offer, Settled};
use crate::metrics::Phase;
use crate::protocol::{
    AnswerHeader, Code, JobHeader, JobState, JobSubject, Status, Timings, UnixMillis, UnixSeconds, VERSION,
    millis,
};
use crate::service::prover::{NoReply, Reply};
use crate::service::status::Work;

/// Attempts at one delivery after faults that are not the job's. Deliveries are limited and must last for faults of all
/// services, so short faults are waited out here.
const TRIES_HERE: u32 = 3;
/// Waits between these attempts.
const TRY_WAITS: Waits = Waits::between(Duration::from_secs(1), Duration::from_secs(60));

/// A job that is worth a process.
#[must_use = "an unsettled job is redelivered after ack_wait"]
pub(super) struct Admitted {
    job: LeasedJob,
    header: JobHeader,
    /// Crashes of its own process.
    crashes: u32,
    /// Duration of all attempts so far.
    worked: Duration,
    /// Start of the last attempt, and its duration.
    last: Option<(UnixMillis, Duration)>,
    /// Receives notices of answers since before this job was found to have none.
    notices: Subscription,
}

/// The outcome of one attempt.
enum Attempt {
    Replied(Reply),
    Final(Code),
    /// The job's own process crashed on it.
    Crashed,
    /// A fault of this service or its machine.
    OurFault(&'static str),
    /// The job has its answer from elsewhere: it was cancelled, or another service was faster.
    AnsweredElsewhere(Settled),
    /// This service stops.
    Stopping,
}

impl Admitted {
    pub(super) fn new(job: LeasedJob, header: JobHeader, crashes: u32, notices: Subscription) -> Self {
        Admitted { job, header, crashes, worked: Duration::ZERO, last: None, notices }
    }

    /// Proves and settles the job, or hands it back.
    pub(super) async fn prove(mut self, worker: &Worker) {
        let mut waits = TRY_WAITS.start();
        let mut attempt = 0;
        loop {
            self.publish_status(JobState::Proving, attempt, worker).await;
            match self.attempt(attempt, worker).await {
                Attempt::Replied(reply) => {
                    let finished = self.with_reply(reply, attempt, worker);
                    return worker.settler.settle(finished).await;
                }
                Attempt::Final(code) => return self.settle_code(code, attempt, worker).await,
                Attempt::Crashed => {
                    self.crashes += 1;
                    // Stored before the next attempt: if this service ends in it, the next one knows of this crash.
                    self.publish_status(JobState::Retrying, attempt, worker).await;
                    if self.crashes >= CRASHES_MAX {
                        return self.settle_code(Code::ProofGenerationFailed, attempt, worker).await;
                    }
                }
                Attempt::OurFault(reason) if attempt + 1 >= TRIES_HERE => {
                    self.publish_status(JobState::Retrying, attempt, worker).await;
                    let deadline = self.deadline();
                    return worker.hand_back(self.job, deadline, reason, None).await;
                }
                Attempt::OurFault(_) => waits.pause().await,
                Attempt::AnsweredElsewhere(settled) => {
                    // Settled here too: the service that answered may have lost its lease, or have had none.
                    worker.settler.ledger.metrics.jobs.race_lost(winner(&settled));
                    let work = self.work(attempt);
                    return worker.settler.settle_found(self.job, settled, work).await;
                }
                Attempt::Stopping => {
                    let (deadline, reason) = (self.deadline(), "this service stops");
                    return worker.hand_back(self.job, deadline, reason, Some(Duration::ZERO)).await;
                }
            }
            attempt += 1;
        }
    }

    async fn attempt(&mut self, attempt: u32, worker: &Worker) -> Attempt {
        let JobSubject { tenant, job: id, circuit, .. } = self.job.subject();
        // Admission has looked before the first attempt. Since then minutes may have passed.
        if attempt > 0
            && let Ok(Some(settled)) = worker.settler.broker.find_answer(tenant, id).await
        {
            return Attempt::AnsweredElsewhere(settled);
        }
        let prover = &worker.settler.prover;
        let finish = prover.earliest_finish(circuit, self.job.payload().len());
        if !is_in_time(finish, self.header.expires) {
            return Attempt::Final(Code::Expired);
        }
        let Some(chamber) = prover.chamber.get() else {
            return Attempt::OurFault("the chamber is not ready");
        };
        let left = self.header.expires.to_millis().since(UnixMillis::now());
        let head = self.head(attempt);
        let mut elsewhere = None;
        // The monotonic clock measures; the wall clock dates the spans of a trace.
        let (started, began) = (Instant::now(), UnixMillis::now());
        let dropped = async {
            tokio::select! {
                () = worker.stopping() => {}
                settled = answered_elsewhere(&self.job, &mut self.notices, worker) => elsewhere = Some(settled),
            }
        };
        let ended = prover.prove(&chamber, &head, self.job.payload(), left, dropped).await;
        self.worked += started.elapsed();
        self.last = Some((began, started.elapsed()));
        match ended {
            Ok(reply) => Attempt::Replied(reply),
            Err(NoReply::Dropped) => elsewhere.map_or(Attempt::Stopping, Attempt::AnsweredElsewhere),
            // The process has one limit, the shorter of two. Here it was the deadline and not the circuit's own.
            Err(NoReply::Ended(End::TimedOut)) if left < prover.time_limit(&head.circuit) => {
                Attempt::Final(Code::Expired)
            }
            Err(no_reply) => self.classify_exit(no_reply, worker),
        }
    }

    /// Decides what follows from the way in which a process ended.
    fn classify_exit(&self, no_reply: NoReply, worker: &Worker) -> Attempt {
        let JobSubject { job, circuit, .. } = self.job.subject();
        match no_reply {
            NoReply::Ended(End::TimedOut) => Attempt::Final(Code::Timeout),
            NoReply::Ended(End::OutOfMemory) => Attempt::Final(Code::OutOfMemory),
            // Final: a process that reached for something forbidden may have been taken over by its witness, and gets
            // no second try. The chamber that it was forked from is replaced in case it was reached.
            NoReply::Ended(End::Violation) => {
                error!(%job, %circuit, "a job process broke a rule of its sandbox");
                worker.settler.prover.chamber.replace();
                Attempt::Final(Code::ProofGenerationFailed)
            }
            NoReply::Silent
            | NoReply::Ended(End::Panicked | End::Aborted | End::BadFrame | End::Unknown | End::Answered) => {
                warn!(%job, cause = %no_reply, "a job process crashed");
                Attempt::Crashed
            }
            // From outside, as by an operator or the kernel's OOM killer. The witness is not to blame, so nothing is
            // counted.
            NoReply::Ended(End::Killed) => Attempt::OurFault("the job process was killed from outside"),
            NoReply::Ended(End::NotStarted) => Attempt::OurFault("the job process could not be set up"),
            // The service has not dropped this job here, so its connection ended for another reason.
            NoReply::Ended(End::Dropped) | NoReply::ChamberGone | NoReply::Dropped => {
                Attempt::OurFault("the chamber is gone")
            }
        }
    }

    fn head(&self, attempt: u32) -> JobHead {
        JobHead::new(self.header.clone(), self.job.delivered() + attempt, millis(self.job.age()))
    }

    /// Returns the facts that the service itself has measured.
    fn work(&self, attempt: u32) -> Work {
        let (began, last_attempt) = self.last.unzip();
        Work {
            attempt: self.job.delivered() + attempt,
            began,
            last_attempt: last_attempt.unwrap_or_default(),
            all_attempts: self.worked,
            ..Work::default()
        }
    }

    /// Returns the latest moment for an answer.
    fn deadline(&self) -> UnixSeconds {
        latest_deadline(&self.job).min(self.header.expires)
    }

    async fn settle_code(self, code: Code, attempt: u32, worker: &Worker) {
        let (work, deadline) = (self.work(attempt), self.deadline());
        worker.settler.settle(Finished::with_code(self.job, deadline, code, work)).await;
    }

    /// Takes the reply as the job's answer, and records its timings.
    fn with_reply(self, reply: Reply, attempt: u32, worker: &Worker) -> Finished {
        // The process's own statements, which no one can check: it may have been taken over by its witness. They are
        // capped by the time that it had.
        let circuit = &self.job.subject().circuit;
        let timings = &reply.head.timings;
        for (phase, took) in [
            (Phase::Opened, timings.opened),
            (Phase::Checked, timings.checked),
            (Phase::Proved, timings.proved),
            (Phase::Verified, timings.verified),
            (Phase::Sealed, Some(reply.head.sealed_ms)),
        ] {
            if let Some(took) = reply.capped(took) {
                worker.settler.ledger.metrics.jobs.phase(circuit, phase, took);
            }
        }
        // Of finished proofs alone: the times bound what a later job of this size needs.
        if let (Code::Ok, Some(proved)) = (reply.head.code, reply.capped(timings.proved)) {
            worker.settler.prover.record_time(circuit, &self.header.key, self.job.payload().len(), proved);
        }
        let work = Work {
            timings: Timings {
                queued: None,
                opened: reply.capped(timings.opened).map(millis),
                checked: reply.capped(timings.checked).map(millis),
                proved: reply.capped(timings.proved).map(millis),
                verified: reply.capped(timings.verified).map(millis),
            },
            sealed_ms: reply.capped(Some(reply.head.sealed_ms)).map(millis),
            peak_bytes: Some(reply.peak_bytes),
            ..self.work(attempt)
        };
        let deadline = self.deadline();
        let Reply { head, payload, .. } = reply;
        let header =
            AnswerHeader { code: head.code, mode: head.mode, content_type: head.content_type, tag: head.tag };
        Finished::new(self.job, deadline, Offer { header, payload }, work)
    }

    /// Publishes the job's status, with one try.
    async fn publish_status(&self, state: JobState, attempt: u32, worker: &Worker) {
        let JobSubject { tenant, job, circuit, .. } = self.job.subject();
        let status = Status {
            version: VERSION.to_owned(),
            tenant: tenant.clone(),
            job: job.clone(),
            state,
            attempt: self.job.delivered() + attempt,
            faults: self.crashes,
            since: UnixSeconds::now(),
            expected_ms: worker.settler.prover.typical_time(circuit, self.job.payload().len()).map(millis),
        };
        // Not repeated, so that a proof waits for it only briefly. If a crash is not stored, the job is tried once
        // more.
        if let Err(cause) = worker.settler.broker.publish_status(&status).await {
            warn!(%job, %cause, "the status is not stored");
        }
    }
}

/// Waits until the job has an answer, and returns it.
async fn answered_elsewhere(job: &LeasedJob, notices: &mut Subscription, worker: &Worker) -> Settled {
    let JobSubject { tenant, job: id, .. } = job.subject();
    loop {
        // A notice may be missed, since the broker sends it at most once, and could be forged. So the leader is read
        // after each, and now and then without one.
        notices.wait_for(tenant, id, worker.ack_wait / 4).await;
        if let Ok(Some(settled)) = worker.settler.broker.find_answer(tenant, id).await {
            return settled;
        }
    }
}
