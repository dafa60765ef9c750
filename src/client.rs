//! The client: fetches and checks the bundle, seals, submits, waits, opens, verifies.
//!
//! A witness leaves this module only under a seal. What comes back is an answer only if it is from the
//! process that opened the job; everything else is a hint.

mod state;
mod error;
mod ticket;
mod verify;

use std::time::Duration;

use async_nats::{Request, RequestErrorKind, jetstream};
use futures_util::StreamExt;

use crate::backoff::Waits;
use crate::circuit::Circuits;
use crate::config::ClientConfig;
use crate::jetstream::{PublishError, STATUS_STREAM, answers_stream, header_map, publish, read_any_replica};
use crate::protocol::{
    ANSWER_GRACE, Answer, AnswerBinding, AnswerHeader, AnswerMode, Bundle, BundleCircuit, BundleError,
    CancelReply, CancelResult, CircuitId, Code, Identity, JOB_LIFETIME_MAX, JobHeader, JobId, JobSubject,
    Lane, SignedBundle, Status, Tenant, UnixSeconds, VerifyingKeyPin, believe, millis, seal,
};

pub use error::ClientError;
pub use state::{State, StateError};
pub use ticket::{Ticket, TicketError};
pub use verify::{AnswerError, Verifier};

/// How long the bundle is waited for before the one that was kept is used.
const BUNDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is asked for where nobody listens, and the pause between.
const BUNDLE_TRIES: u32 = 5;
const BUNDLE_PAUSE: Duration = Duration::from_millis(200);
/// How often it is asked for again where one was older than one seen before.
const ROLLBACK_TRIES: u32 = 15;
/// The first and the longest pause between two looks for an answer.
const POLL: Waits = Waits::between(Duration::from_secs(1), Duration::from_secs(15));
/// The first and the longest pause before a job is submitted again.
const RESUBMIT: Waits = Waits::between(Duration::from_millis(500), Duration::from_secs(10));

/// How long a service may take to cancel a job, also while its broker elects a leader.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(30);

/// How a job is submitted.
#[derive(Debug, Clone)]
pub struct SubmitOptions {
    /// Which queue it waits in.
    pub lane: Lane,
    /// How the answer comes.
    pub answer: AnswerMode,
    /// How long the job may take from now on, at most 24 hours.
    pub lifetime: Duration,
    /// How long a full queue is waited for.
    pub patience: Duration,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        SubmitOptions {
            lane: Lane::Standard,
            answer: AnswerMode::Sealed,
            lifetime: Duration::from_secs(60 * 60),
            patience: Duration::from_secs(60),
        }
    }
}

/// What is known of a job.
#[derive(Debug)]
pub enum Collected {
    /// No answer yet. A replica that lags says this too.
    NotYet,
    /// The answer, from the process that opened the job.
    Answer(Box<Answer>),
    /// Something on the answer's subject that cannot be shown to be the answer: a hint, if it is even of
    /// this protocol.
    Unauthenticated(Option<Code>),
    /// No answer ten minutes after the deadline: a defect of the service.
    Lost,
    /// The time for which answers are kept is over.
    Gone,
}

/// What came of a request to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// `CANCELLED` is the job's one answer, and nobody is proving it any more.
    Cancelled,
    /// Too late: it has an answer. Its code, where it is one of this protocol.
    Answered(Option<Code>),
    /// There is neither such a job nor an answer to it.
    NotFound,
}

/// A connection to a deployment.
pub struct Client {
    nats: async_nats::Client,
    context: jetstream::Context,
    config: ClientConfig,
    circuits: Circuits,
    state: State,
}

impl Client {
    /// Connects. `circuits` are those whose witnesses this program can check and whose proofs it can verify.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn connect(config: ClientConfig, circuits: Circuits) -> Result<Self, ClientError> {
        let nats = config.nats.connect("sealprove client").await?;
        let context = jetstream::new(nats.clone());
        let state = State::new(&config);
        Ok(Client { nats, context, config, circuits, state })
    }

    /// Whose jobs this client submits.
    pub fn tenant(&self) -> &Tenant {
        &self.config.tenant
    }

    /// The signed bundle as a service serves it, unchecked.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn fetch_bundle(&self) -> Result<SignedBundle, ClientError> {
        for _ in 0..BUNDLE_TRIES {
            let request = self.nats.request(self.config.prefix.bundle(), "".into());
            match tokio::time::timeout(BUNDLE_TIMEOUT, request).await {
                Ok(Ok(reply)) => return Ok(SignedBundle::from_json(&reply.payload)?),
                // Nobody listens at this moment: a service may be coming back.
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                    tokio::time::sleep(BUNDLE_PAUSE).await;
                }
                _ => break,
            }
        }
        Err(ClientError::NoBundle)
    }

    /// The deployment's bundle, checked against the pinned identity: as a service serves it now, or as it
    /// was kept, so that jobs can be submitted while no service runs.
    ///
    /// # Errors
    /// When there is none that may be accepted.
    pub async fn bundle(&self) -> Result<Bundle, ClientError> {
        let identity = self.config.identity.ok_or(ClientError::NoIdentity)?;
        let kept = self.state.bundle(identity)?;
        let seen = kept
            .as_ref()
            .and_then(|kept| kept.verify(identity, UnixSeconds(0), 0).ok())
            .map_or(0, |kept| kept.serial);
        match self.fetch_newer(identity, seen).await {
            Ok((signed, bundle)) => {
                self.state.keep_bundle(identity, &signed, bundle.serial)?;
                Ok(bundle)
            }
            Err(ClientError::NoBundle) => {
                Ok(kept.ok_or(ClientError::NoBundle)?.verify(identity, UnixSeconds::now(), seen)?)
            }
            Err(error) => Err(error),
        }
    }

    /// A bundle that may be accepted. While services take up a new one, some still serve the one before: another
    /// is asked, a few times.
    async fn fetch_newer(
        &self,
        identity: Identity,
        seen: u64,
    ) -> Result<(SignedBundle, Bundle), ClientError> {
        for _ in 0..ROLLBACK_TRIES {
            let signed = self.fetch_bundle().await?;
            match signed.verify(identity, UnixSeconds::now(), seen) {
                Err(BundleError::Rollback { .. }) => tokio::time::sleep(BUNDLE_PAUSE).await,
                verified => return Ok((signed, verified?)),
            }
        }
        let signed = self.fetch_bundle().await?;
        let bundle = signed.verify(identity, UnixSeconds::now(), seen)?;
        Ok((signed, bundle))
    }

    /// Seals a witness and submits it. When this returns, the job will have exactly one answer, and the
    /// ticket is all that is needed to collect it.
    ///
    /// # Errors
    /// Nothing was accepted, unless the error says that this is not known.
    pub async fn submit(
        &self,
        circuit: &CircuitId,
        witness: &[u8],
        options: &SubmitOptions,
    ) -> Result<Ticket, ClientError> {
        let bundle = self.bundle().await?;
        let sealed = self.seal(&bundle, circuit, witness, options)?;
        self.publish(&sealed, options.patience, |_, _| {}).await?;
        Ok(sealed.ticket)
    }

    /// Seals a witness as a new job, and submits nothing.
    ///
    /// # Errors
    /// When the bundle or the circuit says no.
    pub fn seal(
        &self,
        bundle: &Bundle,
        circuit: &CircuitId,
        witness: &[u8],
        options: &SubmitOptions,
    ) -> Result<SealedJob, ClientError> {
        let listed = bundle.circuit(circuit).ok_or_else(|| ClientError::UnknownCircuit(circuit.clone()))?;
        let (witness, public_inputs) = self.prepare(listed, witness)?;
        let lifetime = options.lifetime.as_secs();
        if lifetime == 0 || lifetime > JOB_LIFETIME_MAX.as_secs() {
            return Err(ClientError::Lifetime);
        }
        let expires = UnixSeconds::now() + options.lifetime;
        let key =
            bundle.key_for(&self.config.schemes, UnixSeconds::now(), expires).ok_or(ClientError::NoKey)?;
        let subject = JobSubject {
            tenant: self.config.tenant.clone(),
            lane: options.lane,
            circuit: circuit.clone(),
            job: JobId::random(),
        };
        let header = JobHeader {
            subject,
            key: key.id.clone(),
            expires,
            answer: options.answer,
            verifying_key: VerifyingKeyPin::Exactly(listed.verifying_key),
        };
        let info = header.info(&bundle.deployment);
        let sealed = seal(key.scheme, &key.public_key.0, &info, &witness)?;
        let ticket = Ticket::new(bundle, listed, header, &sealed, public_inputs);
        Ok(SealedJob { ticket, payload: sealed.payload })
    }

    /// The witness as the service takes it, and the public inputs that its proof must have, where this
    /// program knows the circuit.
    #[allow(clippy::type_complexity)] // Two byte strings, one of them optional.
    fn prepare(
        &self,
        listed: &BundleCircuit,
        witness: &[u8],
    ) -> Result<(zeroize::Zeroizing<Vec<u8>>, Option<Vec<u8>>), ClientError> {
        let (witness, public_inputs) = match self.circuits.get(&listed.id) {
            Some(circuit) => {
                let prepared = zeroize::Zeroizing::new(circuit.prepare(witness)?);
                let public_inputs = circuit.public_inputs(&prepared)?;
                (prepared, Some(public_inputs.0))
            }
            None => (zeroize::Zeroizing::new(witness.to_vec()), None),
        };
        if witness.len() > listed.witness_bytes_max as usize {
            return Err(ClientError::TooLarge { found: witness.len(), most: listed.witness_bytes_max });
        }
        Ok((witness, public_inputs))
    }

    /// Publishes a sealed job until the broker has it. The job's own subject takes one message, so a
    /// publish whose fate is not known is simply repeated, and a full queue is waited for. `waits` hears
    /// why, and for how long.
    ///
    /// # Errors
    /// When the broker refuses it, or did not take it within `patience`.
    pub async fn publish(
        &self,
        sealed: &SealedJob,
        patience: Duration,
        mut waits: impl FnMut(&ClientError, Duration),
    ) -> Result<(), ClientError> {
        let subject = self.config.prefix.job(&sealed.ticket.header().subject);
        let until = tokio::time::Instant::now() + patience;
        let mut pauses = RESUBMIT.start();
        // Whether an attempt may have been stored. What the broker refuses later is then no word on that one.
        let mut is_unknown = false;
        loop {
            let pause = pauses.next();
            let headers = header_map(sealed.ticket.header().to_headers());
            let published = publish(&self.nats, subject.clone(), headers, sealed.payload.clone()).await;
            let refused = match published {
                Ok(()) => return Ok(()),
                // This very job is queued already.
                Err(error) if error.is_taken() => return Ok(()),
                Err(PublishError::Unknown) => {
                    is_unknown = true;
                    ClientError::Submit(PublishError::Unknown)
                }
                Err(error) if error.is_full() => {
                    ClientError::QueueFull { description: error.to_string(), retry_after: round(pause) }
                }
                Err(error @ PublishError::NoStream) => ClientError::Submit(error),
                Err(_) if is_unknown => return Err(ClientError::Submit(PublishError::Unknown)),
                Err(error) => return Err(ClientError::Submit(error)),
            };
            if tokio::time::Instant::now() + pause > until {
                return Err(if is_unknown { ClientError::Submit(PublishError::Unknown) } else { refused });
            }
            tracing::info!(cause = %refused, wait_ms = millis(pause), "submitting again");
            waits(&refused, pause);
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks for a job's answer, once.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn collect(&self, ticket: &Ticket) -> Result<Collected, ClientError> {
        let JobSubject { tenant, job, .. } = &ticket.header().subject;
        let subject = self.config.prefix.answer(tenant, job);
        let Some(stored) = read_any_replica(&self.context, &answers_stream(tenant), &subject).await? else {
            return Ok(missing(ticket, UnixSeconds::now()));
        };
        let header = AnswerHeader::parse(|name| stored.header(name));
        Ok(header.map_or(Collected::Unauthenticated(None), |header| accept(ticket, &header, &stored.payload)))
    }

    /// Waits for a job's answer: woken by the broker, and looking again and again in case nothing wakes.
    /// `status` hears of what is being done meanwhile.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn wait(
        &self,
        ticket: &Ticket,
        mut status: impl FnMut(Option<Status>),
    ) -> Result<Collected, ClientError> {
        let JobSubject { tenant, job, .. } = &ticket.header().subject;
        let subject = self.config.prefix.live(tenant, job);
        // Without permission to subscribe, looking again is all there is.
        let mut live = self.nats.subscribe(subject).await.ok();
        let mut pauses = POLL.start();
        loop {
            match self.collect(ticket).await {
                Ok(Collected::NotYet) => {}
                Ok(collected) => return Ok(collected),
                Err(error) => tracing::debug!(%error, "not collected"),
            }
            status(self.status(job).await.unwrap_or_default());
            let woken = async {
                // A subscription that has ended wakes nobody.
                let woken = match &mut live {
                    Some(live) => live.next().await,
                    None => None,
                };
                if woken.is_none() {
                    std::future::pending::<()>().await;
                }
            };
            let _ = tokio::time::timeout(pauses.next(), woken).await;
        }
    }

    /// What is being done about a job that has no answer yet; `None` while it is queued.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn status(&self, job: &JobId) -> Result<Option<Status>, ClientError> {
        let subject = self.config.prefix.status(&self.config.tenant, job);
        let stored = read_any_replica(&self.context, STATUS_STREAM, &subject).await?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.payload).ok()))
    }

    /// Takes a job back: one that waits is answered `CANCELLED` and leaves the queue, one that is being proved
    /// ends with its process. Its id is all that is needed.
    ///
    /// # Errors
    /// When no service answers, or it could not tell: the job is as it was, or is cancelled already.
    pub async fn cancel(&self, job: &JobId) -> Result<Cancellation, ClientError> {
        let subject = self.config.prefix.cancel(&self.config.tenant, job);
        let request = Request::new().timeout(Some(CANCEL_TIMEOUT));
        let reply = self.nats.send_request(subject, request).await.map_err(|_| ClientError::NoService)?;
        let reply: CancelReply =
            serde_json::from_slice(&reply.payload).map_err(|_| ClientError::CancelUnknown)?;
        match reply.result {
            CancelResult::Cancelled => Ok(Cancellation::Cancelled),
            CancelResult::Answered => Ok(Cancellation::Answered(reply.code)),
            CancelResult::NotFound => Ok(Cancellation::NotFound),
            CancelResult::Unavailable => Err(ClientError::CancelUnknown),
        }
    }

    /// The code on a job's answer, whoever wrote it; `None` while there is none.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn code(&self, job: &JobId) -> Result<Option<Code>, ClientError> {
        let tenant = &self.config.tenant;
        let subject = self.config.prefix.answer(tenant, job);
        let stored = read_any_replica(&self.context, &answers_stream(tenant), &subject).await?;
        Ok(stored
            .and_then(|stored| AnswerHeader::parse(|name| stored.header(name)))
            .map(|header| header.code))
    }

    /// What this client keeps between runs.
    pub fn state(&self) -> &State {
        &self.state
    }
}

/// To whole seconds, upwards: nobody reads more.
fn round(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs_f64().ceil() as u64)
}

/// A job that is sealed and not yet submitted.
#[derive(Debug)]
pub struct SealedJob {
    /// What collects its answer.
    pub ticket: Ticket,
    payload: Vec<u8>,
}

impl SealedJob {
    /// `enc ‖ ciphertext`, as it is published.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// What no answer means at `now`.
fn missing(ticket: &Ticket, now: UnixSeconds) -> Collected {
    if now > ticket.sealed_at() + 2 * JOB_LIFETIME_MAX {
        Collected::Gone
    } else if now > ticket.header().expires + ANSWER_GRACE {
        Collected::Lost
    } else {
        Collected::NotYet
    }
}

/// What a stored answer is to the holder of its ticket.
fn accept(ticket: &Ticket, header: &AnswerHeader, payload: &[u8]) -> Collected {
    let (secret, info) = (ticket.answer_secret(), ticket.info());
    let binding = AnswerBinding { info: &info, enc: ticket.enc(), secret: &secret };
    let JobHeader { subject, answer: asked, .. } = ticket.header();
    match believe(subject, *asked, &binding, header, payload) {
        Some(answer) => Collected::Answer(Box::new(answer)),
        None => Collected::Unauthenticated(Some(header.code)),
    }
}
