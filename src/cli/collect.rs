//! `sealprove answer`, and the end of `sealprove submit --wait`: collect, open, verify, hand over.

use std::path::PathBuf;
use std::time::Duration;

use super::files::{self, FileError};
use super::output::{self, note};
use super::progress::Progress;
use super::signals::unless_stopped;
use super::{Connection, Exit, Failure, Outcome_};
use crate::circuit::Circuits;
use crate::client::{AnswerError, Client, Collected, Ticket, Verifier};
use crate::protocol::{Answer, Code};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The ticket that `submit` wrote
    ticket: PathBuf,
    /// Wait, if there is no answer yet
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    destination: Destination,
    /// The witness document that was submitted, for circuits whose output is combined into it
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
    /// How long to wait
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

/// Where a verified answer goes.
#[derive(clap::Args)]
pub(super) struct Destination {
    /// Write the circuit's output document here; the whole answer, where the circuit has none
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

impl Destination {
    /// Whether there is a file to write, which nobody can before the proof is there.
    pub(super) fn is_file(&self) -> bool {
        self.out.is_some()
    }

    /// Whether anything is left of a proof that was handed over.
    pub(super) fn keeps(&self) -> bool {
        self.json || self.out.is_some()
    }

    pub(super) fn check(&self) -> Result<(), FileError> {
        self.out.as_deref().map_or(Ok(()), |path| files::check_writable("write the output", path))
    }
}

pub(super) async fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    args.destination.check()?;
    let ticket = Ticket::read(&args.ticket)?;
    let witness = args.witness.as_deref().map(files::read_witness).transpose()?;
    let client = args.connection.connect(circuits).await?;
    let collecting = Collecting {
        client: &client,
        ticket: &ticket,
        witness: witness.as_ref().map(|witness| witness.as_slice()),
        timeout: if args.wait { args.timeout } else { Duration::ZERO },
        destination: &args.destination,
        circuits,
    };
    match unless_stopped(collecting.finish(Progress::new("collecting"))).await? {
        Some(outcome) => outcome,
        None => {
            note!("stopped; the ticket {} still collects the answer", args.ticket.display());
            Ok(Exit::NotYet)
        }
    }
}

/// An answer to be collected, and what is to be done with it.
pub(super) struct Collecting<'a> {
    pub(super) client: &'a Client,
    pub(super) ticket: &'a Ticket,
    /// The witness document, where the client has it: the output is combined into it.
    pub(super) witness: Option<&'a [u8]>,
    pub(super) timeout: Duration,
    pub(super) destination: &'a Destination,
    pub(super) circuits: &'a Circuits,
}

impl Collecting<'_> {
    /// Waits for the answer, opens and verifies it, and hands it over.
    pub(super) async fn finish(&self, mut progress: Progress) -> Outcome_ {
        let verifier = self.build_verifier();
        let waiting = self.client.wait(self.ticket, |status| progress.status(status.as_ref()));
        let collected = match tokio::time::timeout(self.timeout, waiting).await {
            Ok(collected) => collected?,
            Err(_) => self.client.collect(self.ticket).await?,
        };
        match collected {
            Collected::Answer(answer) => {
                progress.step("verifying");
                let mut verifier = verifier.await.map_err(|error| Failure::new(Exit::Failed, error))?;
                let handed_over = self.hand_over(&answer, &mut verifier);
                progress.done();
                handed_over
            }
            Collected::NotYet => {
                progress.done();
                note!("job {} has no answer yet", self.ticket.job());
                Ok(Exit::NotYet)
            }
            other => {
                progress.done();
                Err(unanswered(&other, self.ticket))
            }
        }
    }

    /// Builds the verifying key while the proof is being made.
    fn build_verifier(&self) -> tokio::task::JoinHandle<Verifier> {
        let mut verifier = Verifier::new(self.circuits.clone());
        let circuit = self.ticket.header().subject.circuit.clone();
        tokio::task::spawn_blocking(move || {
            // An error comes again, and is told, once there is a proof to verify.
            let _ = verifier.build(&circuit);
            verifier
        })
    }

    fn hand_over(&self, answer: &Answer, verifier: &mut Verifier) -> Outcome_ {
        let proof = verifier.verify_for(self.ticket, answer).or_else(|error| {
            if matches!(error, AnswerError::NoProof { .. }) && self.destination.json {
                output::json(answer)?;
            }
            Err(Failure::from(error))
        })?;
        if let Some(path) = &self.destination.out {
            let output = match (&proof.output, self.witness) {
                (Some(output), Some(witness)) => verifier.combine(&answer.circuit, witness, output)?,
                (Some(output), None) => {
                    self.warn_uncombined();
                    output.clone()
                }
                (None, _) => answer.to_json(),
            };
            files::write("write the output", path, &output)?;
        }
        if self.destination.json {
            output::json(answer)?;
        }
        note!("proved and verified: {} job {}, {}", answer.circuit, answer.job, timings(answer));
        Ok(Exit::Done)
    }

    fn warn_uncombined(&self) {
        let circuit = self.circuits.get(&self.ticket.header().subject.circuit);
        if circuit.is_some_and(|circuit| circuit.descriptor().combines()) {
            note!(
                "warning: without --witness FILE, this is the service's whole document, of which only the proof \
                 was verified; with the document that was submitted, only the proof is taken into it"
            );
        }
    }
}

fn unanswered(collected: &Collected, ticket: &Ticket) -> Failure {
    let job = ticket.job();
    match collected {
        Collected::Unauthenticated(Some(code)) if *code != Code::Ok => Failure::new(
            Exit::from(*code),
            format!(
                "job {job}: {code}: {} (unauthenticated: the service's word, or a forgery)",
                code.message()
            ),
        ),
        Collected::Unauthenticated(_) => Failure::new(
            Exit::Failed,
            format!(
                "job {job}: what lies on its answer's subject does not open for this ticket: not its answer"
            ),
        ),
        Collected::Lost => Failure::new(
            Exit::Retryable,
            format!(
                "job {job} is LOST: no answer ten minutes after its deadline, which is a defect of the service; submit it again"
            ),
        ),
        _ => Failure::new(Exit::Retryable, format!("job {job} is GONE: answers are kept for 48 hours")),
    }
}

/// How long the steps took.
pub(super) fn timings(answer: &Answer) -> String {
    let timings = &answer.timings_ms;
    let steps = [
        ("queued", timings.queued),
        ("opened", timings.opened),
        ("checked", timings.checked),
        ("proved", timings.proved),
        ("verified", timings.verified),
    ];
    let steps = steps.iter().filter_map(|(step, took)| Some(format!("{step} {} ms", (*took)?)));
    steps.collect::<Vec<_>>().join(", ")
}
