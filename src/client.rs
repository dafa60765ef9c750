//! The client: fetches and checks the bundle, seals, submits, waits, opens, verifies.
//!
//! A witness leaves this module only under a seal. A message that comes back is an answer only if it is from the process
//! that opened the job; any other is a hint.
//!
//! A back end needs the feature `client` alone; `examples/backend.rs` is such a program.

mod ticket;

mod job;

mod state;

mod error;

mod verify;

use std::time::Duration;

use async_nats::{Request, RequestErrorKind, jetstream};
use futures_util::StreamExt;

use crate::backoff::Waits;
use crate::circuit::Circuits;
use crate::config::ClientConfig;
use crate::jetstream::{PublishError, STATUS_STREAM, answers_stream, header_map, publish, read_any_replica};
use crate::protocol::{
    ANSWER_GRACE, AnswerBinding, AnswerHeader, Bundle, BundleCircuit, BundleError, CancelReply, CancelResult,
    CircuitId, Code, Identity, JOB_LIFETIME_MAX, JobHeader, JobId, JobSubject, SignedBundle, Status, Tenant,
    UnixSeconds, VerifyingKeyPin, believe, millis, seal,
};

pub use error::ClientError;
pub use job::{Cancellation, Collected, SealedJob, SubmitOptions};
pub use state::{State, StateError};
pub use ticket::{Ticket, TicketError};
pub use verify::{AnswerError, Verifier};

/// Time to wait for a served bundle before the kept one is used.
const BUNDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Number of bundle requests while no service listens, and the pause between them.
const BUNDLE_TRIES: u32 = 5;
const BUNDLE_PAUSE: Duration = Duration::from_millis(200);
/// Number of further requests after a bundle that is older than one seen before.
const ROLLBACK_TRIES: u32 = 15;
/// Waits between two looks for an answer.
const POLL: Waits = Waits::between(Duration::from_secs(1), Duration::from_secs(15));
/// Waits before a job is submitted again.
const RESUBMIT: Waits = Waits::between(Duration::from_millis(500), Duration::from_secs(10));

/// Time limit of a cancel request: the broker of the service may be electing a leader.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to a deployment.
pub struct Client {
    nats: async_nats::Client,
    context: jetstream::Context,
    config: ClientConfig,
    circuits: Circuits,
    state: State,
}

impl Client {
    /// Connects. `circuits` are the circuits whose witnesses this program can check and whose proofs it can verify.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses.
    pub async fn connect(config: ClientConfig, circuits: Circuits) -> Result<Self, ClientError> {
        let nats = config.nats.connect("sealprove client").await?;
        let context = jetstream::new(nats.clone());
        let state = State::new(&config);
        Ok(Client { nats, context, config, circuits, state })
    }

    /// The tenant that jobs are submitted for.
    pub fn tenant(&self) -> &Tenant {
        &self.config.tenant
    }

    /// Fetches the signed bundle from a service, and checks nothing.
    ///
    /// # Errors
    /// When no service answers.
    pub async fn fetch_bundle(&self) -> Result<SignedBundle, ClientError> {
        for _ in 0..BUNDLE_TRIES {
            let request = self.nats.request(self.config.prefix.bundle(), "".into());
            match tokio::time::timeout(BUNDLE_TIMEOUT, request).await {
                Ok(Ok(reply)) => return Ok(SignedBundle::from_json(&reply.payload)?),
                // No service listens at this moment; one may be restarting.
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                    tokio::time::sleep(BUNDLE_PAUSE).await;
                }
                _ => break,
            }
        }
        Err(ClientError::NoBundle)
    }

    /// Returns the deployment's bundle, checked against the pinned identity. If no service serves one now, this is the
    /// kept one, so that jobs can be submitted while no service runs.
    ///
    /// # Errors
    /// When no bundle may be accepted.
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

    /// Fetches a bundle that may be accepted. While services take up a new bundle, some still serve the one before, so
    /// it asks a few times.
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

    /// Seals a witness and submits it. When this returns, the job will have exactly one answer, and the ticket is all
    /// that is needed to collect it.
    ///
    /// # Errors
    /// When the job is not accepted. [`ClientError::is_refusal`] says whether that is certain.
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
    /// When the circuit refuses the witness, or the bundle has no key for it.
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

    /// Publishes a sealed job until the broker has it. The job's own subject takes one message, so a publish whose
    /// outcome is unknown can be repeated. While the queue is full, this waits. `waits` is called with the cause and
    /// the length of each wait.
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
        // Whether an attempt may have been stored: a later refusal does not say that it was not.
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
                    ClientError::QueueFull { description: error.to_string(), retry_after: round_up(pause) }
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

    /// Looks for a job's answer once.
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

    /// Waits for a job's answer. A notice from the broker ends a pause between two looks. `status` is called with the
    /// job's status before each pause.
    ///
    /// # Errors
    /// None at present: while the broker cannot be asked, this goes on waiting.
    pub async fn wait(
        &self,
        ticket: &Ticket,
        mut status: impl FnMut(Option<Status>),
    ) -> Result<Collected, ClientError> {
        let JobSubject { tenant, job, .. } = &ticket.header().subject;
        let subject = self.config.prefix.live(tenant, job);
        // Without permission to subscribe, polling alone finds the answer.
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
                // A subscription that has ended yields `None` at once, and must not end the pause.
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

    /// Returns the status of a job that has no answer yet; `None` while it is queued.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn status(&self, job: &JobId) -> Result<Option<Status>, ClientError> {
        let subject = self.config.prefix.status(&self.config.tenant, job);
        let stored = read_any_replica(&self.context, STATUS_STREAM, &subject).await?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.payload).ok()))
    }

    /// Cancels a job. A queued job is answered `CANCELLED` and leaves the queue; the process of a running one is killed.
    ///
    /// # Errors
    /// When no service answers, or the service cannot tell: the job is as it was, or is cancelled already.
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

    /// Returns the code on a job's answer, which is not authenticated; `None` while there is no answer.
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

    /// The state that this client keeps between runs.
    pub fn state(&self) -> &State {
        &self.state
    }
}

/// Rounds up to whole seconds.
fn round_up(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs_f64().ceil() as u64)
}

/// Tells what it means at `now` that there is no answer.
fn missing(ticket: &Ticket, now: UnixSeconds) -> Collected {
    if now > ticket.sealed_at() + 2 * JOB_LIFETIME_MAX {
        Collected::Gone
    } else if now > ticket.header().expires + ANSWER_GRACE {
        Collected::Lost
    } else {
        Collected::NotYet
    }
}

/// Opens a stored answer with its ticket.
fn accept(ticket: &Ticket, header: &AnswerHeader, payload: &[u8]) -> Collected {
    let (secret, info) = (ticket.answer_secret(), ticket.info());
    let binding = AnswerBinding { info: &info, enc: ticket.enc(), secret: &secret };
    let JobHeader { subject, answer: asked, .. } = ticket.header();
    match believe(subject, *asked, &binding, header, payload) {
        Some(answer) => Collected::Answer(Box::new(answer)),
        None => Collected::Unauthenticated(Some(header.code)),
    }
}
