//! `sealprove answer`, and the second half of `sealprove submit --wait`: collects an answer, opens it, verifies it and
//! hands it over.

use std::path::PathBuf;
use std::time::Duration;

use super::connection::Connection;
use super::progress::Progress;
use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::files::{self, FileError};
use crate::cli::output;
use crate::cli::signals::unless_stopped;
use crate::client::{AnswerError, Client, Collected, Ticket, Verifier};
use crate::protocol::{Answer, Code};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The ticket that `submit` wrote
    ticket: PathBuf,
    /// Wait if there is no answer yet
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    destination: Destination,
    /// The submitted witness document, for circuits whose proof is combined into it
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
    /// Longest wait
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

/// The destination of a verified answer.
#[derive(clap::Args)]
pub(super) struct Destination {
    /// Write the circuit's output document to this file; the whole answer if the circuit has none
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

impl Destination {
    /// Returns whether there is a file to write.
    pub(super) fn is_file(&self) -> bool {
        self.out.is_some()
    }

    /// Returns whether the user keeps a proof that was handed over.
    pub(super) fn keeps(&self) -> bool {
        self.json || self.out.is_some()
    }

    /// Checks that the file can be written.
    pub(super) fn check(&self) -> Result<(), FileError> {
        self.out.as_deref().map_or(Ok(()), |path| files::check_writable("write the output", path))
    }
}

pub(crate) async fn run(args: &Args, circuits: &Circuits) -> CliResult {
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
        Some(result) => result,
        None => {
            note!("stopped; the ticket {} still collects the answer", args.ticket.display());
            Ok(Exit::NotYet)
        }
    }
}

/// An answer to collect, and what to do with it.
pub(super) struct Collecting<'a> {
    pub(super) client: &'a Client,
    pub(super) ticket: &'a Ticket,
    /// The submitted witness document, if the user gave it. The proof is combined into it.
    pub(super) witness: Option<&'a [u8]>,
    pub(super) timeout: Duration,
    pub(super) destination: &'a Destination,
    pub(super) circuits: &'a Circuits,
}

impl Collecting<'_> {
    /// Waits for the answer, opens and verifies it, and hands it over.
    pub(super) async fn finish(&self, mut progress: Progress) -> CliResult {
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

    /// Builds the verifying key while the proof is made.
    fn build_verifier(&self) -> tokio::task::JoinHandle<Verifier> {
        let mut verifier = Verifier::new(self.circuits.clone());
        let circuit = self.ticket.header().subject.circuit.clone();
        tokio::task::spawn_blocking(move || {
            // An error comes up again, and is reported, once there is a proof to verify.
            let _ = verifier.build(&circuit);
            verifier
        })
    }

    fn hand_over(&self, answer: &Answer, verifier: &mut Verifier) -> CliResult {
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
                "warning: without --witness FILE, this is the service's whole document, and only its proof was \
                 verified; give the submitted document to combine only the proof into it"
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
                "job {job}: {code}: {} (unauthenticated: the service's own message, or a forgery)",
                code.message()
            ),
        ),
        Collected::Unauthenticated(_) => Failure::new(
            Exit::Failed,
            format!(
                "job {job}: the message on its answer's subject does not open with this ticket, so it is not the answer"
            ),
        ),
        Collected::Lost => Failure::new(
            Exit::Retryable,
            format!(
                "job {job} is LOST: no answer ten minutes after its deadline, a defect of the service; submit it again"
            ),
        ),
        _ => Failure::new(Exit::Retryable, format!("job {job} is GONE: answers are kept for 48 hours")),
    }
}

/// Formats the duration of each step.
pub(crate) fn timings(answer: &Answer) -> String {
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
