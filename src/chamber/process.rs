//! A job process: one job, from the sealed frame to the sealed answer. It is forked, and ends only by `_exit`.
//!
//! The order of its steps is what protects keys and neighbours:
//!
//! 1. Close every descriptor but its own connection, set limits, start threads, lock the process.
//! 2. Read the frame and open its seal. No other code touches both a key and foreign bytes.
//! 3. Wipe the keys and the stack below, and tighten the lock.
//! 4. Check the witness, prove, verify, seal the answer.
//!
//! Randomness comes from the operating system alone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use rustix::process::Pid;

use super::exit::exit;
use super::loaded::{Loaded, LoadedCircuit};
use super::{allocator, limits, stack};
use crate::circuit::{InvalidWitness, Proof};
use crate::config::Sandbox;
use crate::frame::{self, FrameError, JobExit, JobHead, Order, PREFIX_BYTES, ReplyHead, STACK_BYTES};
use crate::protocol::{
    ANSWER_MEDIA_TYPE, Answer, AnswerBinding, AnswerMode, CLOCK_SKEW_MAX, Code, JobHeader, JobSubject,
    Opened, SealError, Timings, UnixSeconds, millis, open,
};
use crate::sandbox;
use crate::secret::Witness;

/// Runs one job and exits.
pub(super) fn run(connection: OwnedFd, order: &Order, chamber: Pid, loaded: &Loaded) -> ! {
    std::panic::set_hook(Box::new(|panic| {
        // The place, and never the message: it may contain a value of the witness.
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        eprintln!("job process {}: panic at {}", std::process::id(), place.unwrap_or_default());
        exit(JobExit::Panicked);
    }));
    limits::name_process(c"sealprove-job");
    let connection = keep_only(connection);
    let Ok(pool) = prepare(order, chamber, loaded) else { exit(JobExit::NotStarted) };
    let Ok((head, payload)) = read_frame(&connection) else { exit(JobExit::BadFrame) };

    let job = ForkedJob::new(head, loaded);
    let opened = open_and_forget_keys(&job, &payload, loaded);
    let reply = pool.install(|| job.answer(opened, &payload));
    match (&connection).write_all(&reply) {
        Ok(()) => exit(JobExit::Answered),
        Err(_) => exit(JobExit::BadFrame),
    }
}

/// Limits this process, starts its threads, and locks it.
fn prepare(
    order: &Order,
    chamber: Pid,
    loaded: &Loaded,
) -> Result<rayon::ThreadPool, Box<dyn std::error::Error>> {
    limits::limit_job(order, chamber, loaded.birth_bytes)?;
    allocator::end_when_refused();
    if loaded.sandbox == Sandbox::On {
        sandbox::isolate_job()?;
    }
    let (threads, stack) = (usize::try_from(order.threads)?, usize::try_from(STACK_BYTES)?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(stack).build()?;
    // A thread that has run something is set up. Before that it makes calls that are on no list.
    pool.broadcast(|_| ());
    if loaded.sandbox == Sandbox::On {
        sandbox::lock_sealed_job()?;
    }
    Ok(pool)
}

/// Makes the connection descriptor 0, and closes all others except the standard streams.
///
/// A copy of a sibling's connection would hide its end from the service, and with the control connection a hostile witness
/// could forge events.
fn keep_only(connection: OwnedFd) -> File {
    // SAFETY: plain system calls. Every descriptor that is closed here belongs to values of the chamber, which this process
    // never uses or drops, since it ends by `_exit`.
    unsafe {
        if libc::dup2(connection.as_raw_fd(), 0) != 0 || libc::close_range(3, libc::c_uint::MAX, 0) != 0 {
            exit(JobExit::NotStarted);
        }
        std::mem::forget(connection);
        File::from_raw_fd(0)
    }
}

fn read_frame(mut connection: &File) -> Result<(JobHead, Vec<u8>), FrameError> {
    let mut prefix = [0; PREFIX_BYTES];
    connection.read_exact(&mut prefix).map_err(|_| FrameError::Head)?;
    let (head_bytes, body_bytes) = frame::lengths(prefix)?;
    let mut head = vec![0; head_bytes];
    connection.read_exact(&mut head).map_err(|_| FrameError::Head)?;
    let mut payload = vec![0; body_bytes];
    connection.read_exact(&mut payload).map_err(|_| FrameError::Head)?;
    Ok((frame::head(&head)?, payload))
}

/// The result of opening: the witness with the secret of its answer, and the time it took in milliseconds; or a refusal,
/// which cannot be sealed.
type Opening = Result<(Opened, u64), Code>;

/// Opens the seal, and leaves no key behind, neither in its pages nor on the stack. From then on the process can only
/// compute and answer.
fn open_and_forget_keys(job: &ForkedJob<'_>, payload: &[u8], loaded: &Loaded) -> Opening {
    let started = Instant::now();
    let opened = open_below(job, payload, loaded);
    // Also after a failure: a forged seal must not leave a key for code that runs later.
    stack::wipe_below();
    // SAFETY: this process never uses a key again.
    unsafe { loaded.keys.forget() };
    if loaded.sandbox == Sandbox::On && sandbox::lock_open_job().is_err() {
        exit(JobExit::NotStarted);
    }
    opened.map(|opened| (opened, millis(started.elapsed())))
}

// A frame of its own, which lies below the caller's and is wiped there.
#[inline(never)]
fn open_below(job: &ForkedJob<'_>, payload: &[u8], loaded: &Loaded) -> Result<Opened, Code> {
    let (keys, id) = (&loaded.keys, &job.header.key);
    match keys.with(id, |scheme, private| open(scheme, private, &job.info, payload)) {
        Some(opened) => opened.map_err(|SealError| Code::UnsealFailed),
        None if keys.destroyed().contains(id) => Err(Code::KeyRetired),
        None => Err(Code::KeyUnknown),
    }
}

/// The job of this process, sealed or open.
struct ForkedJob<'a> {
    header: JobHeader,
    info: Vec<u8>,
    attempt: u32,
    timings: Timings,
    circuit: Option<&'a LoadedCircuit>,
}

/// The reason for which there is no proof: a code, and for the client alone the place of a fault in its witness.
struct Refused {
    code: Code,
    detail: Option<InvalidWitness>,
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Refused { code, detail: None }
    }
}

impl<'a> ForkedJob<'a> {
    fn new(head: JobHead, loaded: &'a Loaded) -> Self {
        let circuit = loaded.circuits.get(&head.circuit);
        let header = JobHeader {
            subject: JobSubject {
                tenant: head.tenant,
                lane: head.lane,
                circuit: head.circuit,
                job: head.job,
            },
            key: head.key,
            expires: head.expires,
            answer: head.answer,
            verifying_key: head.verifying_key.into(),
        };
        let info = header.info(&loaded.deployment);
        let timings = Timings { queued: Some(head.queued_ms), ..Timings::default() };
        ForkedJob { header, info, attempt: head.attempt, timings, circuit }
    }

    /// Answers the job. Returns the frame of the reply.
    fn answer(mut self, opened: Opening, payload: &[u8]) -> Vec<u8> {
        let (Opened { witness, answer_secret, scheme }, opened_ms) = match opened {
            Ok(opened) => opened,
            Err(code) => return self.reply_unopened(code),
        };
        self.timings.opened = Some(opened_ms);
        let proved = self.prove(witness);
        let enc = &payload[..scheme.enc_bytes()];
        let info = self.info.clone();
        self.reply(&AnswerBinding { info: &info, enc, secret: &answer_secret }, proved)
    }

    /// Checks again what the network side has checked, then the witness, then proves and verifies.
    fn prove(&mut self, witness: Witness) -> Result<Proof, Refused> {
        let loaded = self.circuit.ok_or(Code::CircuitNotFound)?;
        if !self.header.verifying_key.takes(loaded.descriptor.verifying_key()) {
            return Err(Code::VerifyingKeyMismatch.into());
        }
        if UnixSeconds::now() > self.header.expires + CLOCK_SKEW_MAX {
            return Err(Code::Expired.into());
        }
        if witness.expose().len() > loaded.descriptor.witness_bytes_max as usize {
            return Err(Code::WitnessTooLarge.into());
        }

        let started = Instant::now();
        let checked = loaded
            .circuit
            .check(witness.expose())
            .map_err(|detail| Refused { code: Code::InvalidWitness, detail: Some(detail) })?;
        // Proving needs the decoded form only, so the encoded one is wiped before, not after.
        drop(witness);
        let expected = checked.public_inputs().clone();
        self.timings.checked = Some(millis(started.elapsed()));

        let started = Instant::now();
        let proof = loaded.proving_key.prove(checked).map_err(|_| Code::ProofGenerationFailed)?;
        self.timings.proved = Some(millis(started.elapsed()));

        let started = Instant::now();
        if proof.public_inputs != expected || loaded.proving_key.verify(&proof).is_err() {
            return Err(Code::ProofGenerationFailed.into());
        }
        self.timings.verified = Some(millis(started.elapsed()));
        Ok(proof)
    }

    fn reply(self, binding: &AnswerBinding<'_>, proved: Result<Proof, Refused>) -> Vec<u8> {
        let started = Instant::now();
        let answer = self.document(proved);
        let answer_bytes_max =
            self.circuit.map_or(frame::BODY_BYTES_MAX, |loaded| loaded.descriptor.answer_bytes_max as usize);
        let mut document = answer.to_json();
        let mut code = answer.code();
        // The bundle states this limit, and the broker may refuse a larger message.
        if document.len() > answer_bytes_max {
            code = Code::WitnessTooLarge;
            document = self.document(Err(code.into())).to_json();
        }
        let (header, payload) = binding.seal_answer(self.header.answer, code, ANSWER_MEDIA_TYPE, &document);
        let head = ReplyHead {
            code,
            mode: header.mode,
            content_type: header.content_type,
            tag: header.tag,
            timings: self.timings,
            sealed_ms: millis(started.elapsed()),
        };
        frame::encode(&head, &payload)
    }

    /// Writes the document of the answer. The place of a fault in the witness goes into a sealed answer only.
    fn document(&self, proved: Result<Proof, Refused>) -> Answer {
        let subject = &self.header.subject;
        match proved {
            Ok(proof) => Answer::proved(subject, self.shown(proof), self.attempt, self.timings),
            Err(Refused { code, detail }) => {
                let mut answer = Answer::error(subject, code, self.attempt, self.timings);
                if let (AnswerMode::Sealed, Some(detail), Some(error)) =
                    (self.header.answer, detail, &mut answer.error)
                {
                    error.message = detail.to_string();
                }
                answer
            }
        }
    }

    /// Redacts the output for an open answer, which anyone on the broker can read.
    fn shown(&self, mut proof: Proof) -> Proof {
        if let (AnswerMode::Open, Some(loaded)) = (self.header.answer, self.circuit) {
            proof.output = proof.output.map(|output| loaded.circuit.redact(output));
        }
        proof
    }

    /// Writes a reply in clear: without the job's secret there is nothing to seal it with.
    fn reply_unopened(&self, code: Code) -> Vec<u8> {
        let head = ReplyHead {
            code,
            mode: AnswerMode::Open,
            content_type: ANSWER_MEDIA_TYPE.to_owned(),
            tag: None,
            timings: self.timings,
            sealed_ms: 0,
        };
        frame::encode(&head, &self.document(Err(code.into())).to_json())
    }
}
