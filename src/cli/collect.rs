//! `sealprove answer`, and the end of `sealprove submit --wait`: collect, open, verify, hand over.

use std::path::PathBuf;
use std::time::Duration;

use super::progress::Progress;
use super::{Connection, Exit, Failure, Outcome_, files};
use crate::circuit::Circuits;
use crate::client::{AnswerError, Client, Collected, Ticket, Verifier};
use crate::wire::{Answer, Code};

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
    pub(super) fn is_given(&self) -> bool {
        self.out.is_some()
    }
}

pub(super) async fn run(args: &Args, connection: &Connection, circuits: &Circuits) -> Outcome_ {
    let ticket = Ticket::read(&args.ticket)?;
    let witness = args.witness.as_deref().map(files::read_witness).transpose()?;
    let client = connection.connect(circuits).await?;
    let timeout = if args.wait { args.timeout } else { Duration::ZERO };
    let witness = witness.as_ref().map(|witness| witness.as_slice());
    let progress = Progress::new("collecting");
    finish(&client, &ticket, witness, timeout, &args.destination, progress, circuits).await
}

/// Waits for the answer, opens and verifies it, and hands it over.
pub(super) async fn finish(
    client: &Client,
    ticket: &Ticket,
    witness: Option<&[u8]>,
    timeout: Duration,
    destination: &Destination,
    mut progress: Progress,
    circuits: &Circuits,
) -> Outcome_ {
    let waiting = client.wait(ticket, |status| progress.status(status.as_ref()));
    let collected = match tokio::time::timeout(timeout, waiting).await {
        Ok(collected) => collected?,
        Err(_) => client.collect(ticket).await?,
    };
    let answer = match collected {
        Collected::Answer(answer) => answer,
        Collected::NotYet => {
            progress.done();
            eprintln!("job {} has no answer yet", ticket.job());
            return Ok(Exit::NotYet);
        }
        other => {
            progress.done();
            return Err(unanswered(&other, ticket));
        }
    };
    progress.step("verifying");
    let handed_over = hand_over(&answer, ticket, witness, destination, circuits);
    progress.done();
    handed_over
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

fn hand_over(
    answer: &Answer,
    ticket: &Ticket,
    witness: Option<&[u8]>,
    destination: &Destination,
    circuits: &Circuits,
) -> Outcome_ {
    let mut verifier = Verifier::new(circuits.clone());
    let proof = match verifier.verify_for(ticket, answer) {
        Ok(proof) => proof,
        Err(error @ AnswerError::NoProof { .. }) => {
            if destination.json {
                print_json(answer)?;
            }
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    if destination.json {
        print_json(answer)?;
    }
    let output = match (&proof.output, witness) {
        (Some(output), Some(witness)) => Some(verifier.combine(&answer.circuit, witness, output)?),
        (output, _) => output.clone(),
    };
    if let Some(path) = &destination.out {
        files::write("write the output", path, &output.unwrap_or_else(|| answer.to_json()))?;
    }
    eprintln!("proved and verified: {} job {}, {}", answer.circuit, answer.job, timings(answer));
    if destination.out.is_none() && !destination.json {
        eprintln!("the proof: --out FILE writes it, --json prints it");
    }
    Ok(Exit::Done)
}

fn print_json(answer: &Answer) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(answer).map_err(std::io::Error::from)?);
    Ok(())
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
