//! The life of a delivery: named, admitted, proved, settled. Each step consumes the one before, so that
//! what has not happened cannot be named, and what is settled cannot be settled again.

use std::time::{Duration, Instant};

use async_nats::Subject;
use tracing::{error, info, warn};

use super::Shared;
use super::admission::{self, NotNow, Recipient};
use super::delivery::{Delivery, Job};
use super::leader::{self, ReadError};
use super::lease::{Lease, acknowledge, give_back};
use super::limits::Limits;
use super::link::{NoReply, Reply};
use super::live::Ear;
use super::record::Work;
use super::settle::{Finished, Offer, Settled, settle_answered, winner};
use super::streams::MAX_DELIVER;
use crate::broker::{Backoff, STATUS_STREAM, answers_stream, header_map, publish};
use crate::clock::{unix_now, unix_now_ms};
use crate::frame::{End, JobHead};
use crate::job::JobSubject;
use crate::metrics::{Phase, Winner};
use crate::wire::{AnswerHeader, Code, JobHeader, State, Status, Timings, VERSION};

/// The first and the longest wait before a job that was handed back is delivered again.
const HAND_BACK_WAIT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// How often one delivery is tried again here after a fault that was not the job's.
const TRIES_HERE: u32 = 3;
/// How often a job's own process may crash on it before that is its answer.
const OWN_FAULTS_MAX: u32 = 2;

/// A job that is worth a process.
#[must_use = "an unsettled delivery is redelivered after ack_wait"]
pub(super) struct Admitted {
    job: Job,
    lease: Lease,
    header: JobHeader,
    /// How often its process has crashed, as its status says.
    faults: u32,
    /// How long its processes have had it.
    worked: Duration,
    /// When the last of them began, in Unix milliseconds, and how long it took.
    last: Option<(u64, Duration)>,
    /// Hears of answers since before this job was found to have none.
    ear: Ear,
}

/// Sees a delivery through to its end.
pub(super) async fn see_through(delivery: Delivery, shared: &Shared) {
    shared.metrics.jobs.delivered(delivery.delivered);
    let job = match delivery.name(&shared.config.prefix) {
        Ok(job) => job,
        Err(reply) => return terminate(&reply, shared).await,
    };
    let usually = shared.pace.usually(&job.subject.circuit, job.payload_bytes());
    let _seat = shared.board.seat(&job.subject, job.delivered, usually);
    let lease = Lease::keep(
        shared.client.clone(),
        job.reply.clone(),
        shared.config.streams.ack_wait,
        shared.metrics.clone(),
    );
    let _settled: Option<Settled> = match job.admit(lease, shared).await {
        Ok(admitted) => admitted.prove(shared).await,
        Err((job, lease, NotNow::Answered)) => Some(settle_answered(&job, &lease, &job.work(), shared).await),
        Err((job, lease, NotNow::Refused(code))) => Some(job.refuse(lease, code).settle(shared).await),
        Err((job, lease, NotNow::HandBack(reason))) => job.hand_back(lease, reason, None, shared).await,
    };
}

/// Removes a message that names no job; the reason is kept by the broker's advisory.
async fn terminate(reply: &Subject, shared: &Shared) {
    shared.metrics.jobs.not_a_job();
    warn!("a message on a job subject names no job; it is removed");
    let _ = acknowledge(&shared.client, reply, "+TERM not a job of this protocol").await;
}

impl Job {
    /// Everything that needs no key, and is cheaper than a proof.
    async fn admit(mut self, lease: Lease, shared: &Shared) -> Result<Admitted, (Self, Lease, NotNow)> {
        let ear = shared.live.ear();
        match self.judge(shared).await {
            Ok((header, faults)) => {
                self.deadline = self.deadline.min(header.expires);
                Ok(Admitted { job: self, lease, header, faults, worked: Duration::ZERO, last: None, ear })
            }
            Err(not_now) => Err((self, lease, not_now)),
        }
    }

    async fn judge(&self, shared: &Shared) -> Result<(JobHeader, u32), NotNow> {
        match self.answered_by(shared).await {
            Ok(Some(_)) => return Err(NotNow::Answered),
            Ok(None) => {}
            Err(_) => return Err(NotNow::HandBack("the answer stream cannot be read")),
        }
        let header = self.check(shared)?;
        let faults = if self.delivered > 1 { self.faults_so_far(shared).await? } else { 0 };
        if faults >= OWN_FAULTS_MAX {
            return Err(Code::ProofGenerationFailed.into());
        }
        Ok((header, faults))
    }

    /// What the message itself says, against what this service knows.
    fn check(&self, shared: &Shared) -> Result<JobHeader, NotNow> {
        let chamber = shared.chambers.live();
        let recipient = Recipient {
            circuits: &shared.circuits,
            tenants: &shared.config.tenants,
            keys: chamber.as_ref().map(|chamber| &chamber.keys),
            done_at_ms: shared.done_at_ms(&self.subject.circuit, self.payload_bytes()),
        };
        admission::judge(self.message(), &recipient)
    }

    /// Who has answered the job, if anybody has, as the stream's leader has it.
    async fn answered_by(&self, shared: &Shared) -> Result<Option<Winner>, ReadError> {
        let JobSubject { tenant, job, .. } = &self.subject;
        let answer = shared.config.prefix.answer(tenant, job);
        let stored = leader::last_on(&shared.client, &answers_stream(tenant), &answer).await?;
        Ok(stored.as_ref().map(winner))
    }

    /// How often the job's own process has crashed on it, from its status.
    async fn faults_so_far(&self, shared: &Shared) -> Result<u32, NotNow> {
        let subject = shared.config.prefix.status(&self.subject.tenant, &self.subject.job);
        let status = leader::last_on(&shared.client, STATUS_STREAM, &subject).await;
        let status = status.map_err(|_| NotNow::HandBack("the status stream cannot be read"))?;
        let status = status.and_then(|stored| serde_json::from_slice::<Status>(&stored.payload).ok());
        Ok(status.map_or(0, |status| status.faults))
    }

    /// What it took when it was not worked on.
    fn work(&self) -> Work {
        Work { attempt: self.delivered, ..Work::default() }
    }

    /// An answer with this code alone.
    fn refuse(self, lease: Lease, code: Code) -> Finished {
        let (offer, erase) = (self.offer(code), code == Code::PlaintextRejected);
        let work = self.work();
        Finished { job: self, lease, offer, work, erase }
    }

    /// Gives the job back, after a while or at once; the last delivery is answered instead.
    async fn hand_back(
        self,
        lease: Lease,
        reason: &'static str,
        delay: Option<Duration>,
        shared: &Shared,
    ) -> Option<Settled> {
        if i64::from(self.delivered) >= MAX_DELIVER {
            return Some(self.refuse(lease, Code::AttemptsExhausted).settle(shared).await);
        }
        let deliveries_before = self.delivered.saturating_sub(1) as usize;
        let delay = delay.unwrap_or_else(|| Backoff::new(HAND_BACK_WAIT).nth(deliveries_before));
        shared.metrics.jobs.handed_back();
        info!(job = %self.subject.job, reason, delay_ms = crate::clock::millis(delay), "handed back");
        // Without its lease, the delivery is somebody else's already.
        if lease.is_held() {
            let _ = give_back(&shared.client, &self.reply, delay).await;
        }
        None
    }
}

/// What an attempt came to.
enum Attempt {
    Answered(Reply),
    Final(Code),
    /// The job's own process crashed on it.
    OwnFault,
    /// A fault of ours.
    OurFault(&'static str),
    /// Somebody has answered it meanwhile: it was cancelled, or another service was quicker.
    AnsweredElsewhere(Winner),
    /// This service stops.
    Stopping,
}

impl Admitted {
    /// Proves, and settles; or hands back.
    async fn prove(mut self, shared: &Shared) -> Option<Settled> {
        shared.metrics.jobs.phase(&self.job.subject.circuit, Phase::Queued, self.job.queued());
        let mut waits = Backoff::new(HAND_BACK_WAIT);
        for attempt in 0.. {
            self.tell(State::Proving, attempt, shared).await;
            match self.attempt(attempt, shared).await {
                Attempt::Answered(reply) => {
                    return Some(self.answered(reply, attempt, shared).settle(shared).await);
                }
                Attempt::Final(code) => return Some(self.refuse(code, attempt).settle(shared).await),
                Attempt::OwnFault => {
                    self.faults += 1;
                    self.tell(State::Retrying, attempt, shared).await;
                    if self.faults >= OWN_FAULTS_MAX {
                        let code = Code::ProofGenerationFailed;
                        return Some(self.refuse(code, attempt).settle(shared).await);
                    }
                }
                Attempt::OurFault(reason) if attempt + 1 >= TRIES_HERE => {
                    self.tell(State::Retrying, attempt, shared).await;
                    return self.job.hand_back(self.lease, reason, None, shared).await;
                }
                Attempt::OurFault(_) => waits.pause().await,
                Attempt::AnsweredElsewhere(winner) => {
                    shared.metrics.jobs.race_lost(winner);
                    let work = self.work(attempt);
                    return Some(settle_answered(&self.job, &self.lease, &work, shared).await);
                }
                Attempt::Stopping => {
                    let reason = "this service stops";
                    return self.job.hand_back(self.lease, reason, Some(Duration::ZERO), shared).await;
                }
            }
        }
        unreachable!("the attempts end in one of the arms above")
    }

    async fn attempt(&mut self, attempt: u32, shared: &Shared) -> Attempt {
        if attempt > 0
            && let Ok(Some(winner)) = self.job.answered_by(shared).await
        {
            return Attempt::AnsweredElsewhere(winner);
        }
        if !shared.can_be_done(&self.job.subject.circuit, self.job.payload_bytes(), self.header.expires) {
            return Attempt::Final(Code::Expired);
        }
        let Some(chamber) = shared.chambers.live() else {
            return Attempt::OurFault("the chamber is not ready");
        };
        let left =
            Duration::from_millis(self.header.expires.saturating_mul(1000).saturating_sub(unix_now_ms()));
        let limits = shared.limits(&self.job.subject.circuit);
        let within = Limits { time: limits.time.min(left), ..limits };
        let head = self.head(attempt);
        let mut answered = None;
        let dropped = async {
            tokio::select! {
                () = shared.stopping() => {}
                winner = answered_elsewhere(&self.job, &mut self.ear, shared) => answered = Some(winner),
            }
        };
        let (started, began_ms) = (Instant::now(), unix_now_ms());
        let ended = chamber.prove(within, &head, &self.job.message.payload, dropped).await;
        self.worked += started.elapsed();
        self.last = Some((began_ms, started.elapsed()));
        match ended {
            Ok(reply) => Attempt::Answered(reply),
            Err(NoReply::Dropped) => answered.map_or(Attempt::Stopping, Attempt::AnsweredElsewhere),
            Err(NoReply::Ended(End::TimedOut)) if left < limits.time => Attempt::Final(Code::Expired),
            Err(no_reply) => self.judge(no_reply, shared),
        }
    }

    /// What follows from the way in which a process ended.
    fn judge(&self, no_reply: NoReply, shared: &Shared) -> Attempt {
        let job = &self.job.subject.job;
        match no_reply {
            NoReply::Ended(End::TimedOut) => Attempt::Final(Code::Timeout),
            NoReply::Ended(End::OutOfMemory) => Attempt::Final(Code::OutOfMemory),
            NoReply::Ended(End::Violation) => {
                error!(%job, circuit = %self.job.subject.circuit, "a job process broke a rule of its sandbox");
                shared.chambers.replace();
                Attempt::Final(Code::ProofGenerationFailed)
            }
            NoReply::Silent
            | NoReply::Ended(End::Panicked | End::Aborted | End::BadFrame | End::Unknown | End::Answered) => {
                warn!(%job, cause = %no_reply, "a job process crashed");
                Attempt::OwnFault
            }
            NoReply::Ended(End::Killed) => Attempt::OurFault("the job process was killed from outside"),
            NoReply::Ended(End::NotStarted) => Attempt::OurFault("the job process could not be set up"),
            NoReply::Ended(End::Dropped) | NoReply::ChamberGone | NoReply::Dropped => {
                Attempt::OurFault("the chamber is gone")
            }
        }
    }

    fn head(&self, attempt: u32) -> JobHead {
        let queued_ms = crate::clock::millis(self.job.queued());
        JobHead::of(self.header.clone(), self.job.delivered + attempt, queued_ms)
    }

    /// What it took, apart from what its process says.
    fn work(&self, attempt: u32) -> Work {
        let (began_ms, took_last) = self.last.unzip();
        Work {
            attempt: self.job.delivered + attempt,
            began_ms,
            took_last: took_last.unwrap_or_default(),
            took: self.worked,
            ..Work::default()
        }
    }

    /// An answer with this code alone, after work.
    fn refuse(self, code: Code, attempt: u32) -> Finished {
        let work = self.work(attempt);
        Finished { work, ..self.job.refuse(self.lease, code) }
    }

    fn answered(self, reply: Reply, attempt: u32, shared: &Shared) -> Finished {
        let circuit = &self.job.subject.circuit;
        let head = &reply.head;
        let phases = [
            (Phase::Opened, head.timings.opened),
            (Phase::Checked, head.timings.checked),
            (Phase::Proved, head.timings.proved),
            (Phase::Verified, head.timings.verified),
            (Phase::Sealed, Some(head.sealed_ms)),
        ];
        for (phase, took) in phases {
            if let Some(took) = reply.believed(took) {
                shared.metrics.jobs.phase(circuit, phase, took);
            }
        }
        if let (Code::Ok, Some(proved)) = (head.code, reply.believed(head.timings.proved)) {
            self.teach(proved, shared);
        }
        let believed = |step| reply.believed(step).map(crate::clock::millis);
        let work = Work {
            timings: Timings {
                queued: None,
                opened: believed(head.timings.opened),
                checked: believed(head.timings.checked),
                proved: believed(head.timings.proved),
                verified: believed(head.timings.verified),
            },
            sealed_ms: believed(Some(head.sealed_ms)),
            peak_bytes: Some(reply.peak_bytes),
            ..self.work(attempt)
        };
        let Reply { head, payload, .. } = reply;
        let header =
            AnswerHeader { code: head.code, mode: head.mode, content_type: head.content_type, tag: head.tag };
        Finished { job: self.job, lease: self.lease, offer: Offer { header, payload }, work, erase: false }
    }

    /// How long a proof of this size takes. Nothing is learnt where the key has gone meanwhile.
    fn teach(&self, proved: Duration, shared: &Shared) {
        let chamber = shared.chambers.live();
        if let Some(scheme) = chamber.and_then(|chamber| chamber.keys.scheme_of(&self.header.key)) {
            shared.pace.learn(&self.job.subject.circuit, scheme, self.job.payload_bytes(), proved);
        }
    }

    /// Writes the job's status. Best effort, but for the count of faults: a crash that is not counted is
    /// tried once more.
    async fn tell(&self, state: State, attempt: u32, shared: &Shared) {
        let JobSubject { tenant, job, circuit, .. } = &self.job.subject;
        let status = Status {
            version: VERSION.to_owned(),
            tenant: tenant.clone(),
            job: job.clone(),
            state,
            attempt: self.job.delivered + attempt,
            faults: self.faults,
            since: unix_now(),
            expected_ms: shared.pace.usually(circuit, self.job.payload_bytes()).map(crate::clock::millis),
        };
        // Cannot panic: a struct of numbers and strings.
        let payload = serde_json::to_vec(&status).expect("a status serialises");
        let subject = shared.config.prefix.status(tenant, job);
        if let Err(cause) = publish(&shared.client, subject, header_map([]), payload).await {
            warn!(%job, %cause, "the status is not stored");
        }
    }
}

/// Until anybody's answer is in the stream, by the leader's word: the broker's live word may be missed, and
/// could be forged. Says whose it is.
async fn answered_elsewhere(job: &Job, ear: &mut Ear, shared: &Shared) -> Winner {
    let JobSubject { tenant, job: id, .. } = &job.subject;
    loop {
        ear.hear(tenant, id, shared.config.streams.ack_wait / 4).await;
        if let Ok(Some(winner)) = job.answered_by(shared).await {
            return winner;
        }
    }
}
