//! `sealprove submit`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::collect::{Collecting, Destination};
use super::connection::Connection;
use super::progress::Progress;
use crate::causes::with_causes;
use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit};
use crate::cli::files;
use crate::cli::signals::unless_stopped;
use crate::client::{Client, ClientError, SealedJob, SubmitOptions};
use crate::protocol::{AnswerMode, CircuitId, Lane};

#[derive(clap::Args)]
#[command(after_help = "\
Without --wait or --out, this writes a ticket and prints its path; `sealprove answer TICKET` collects the
answer later, from any shell. With --out or --wait --json, the ticket is kept only if the wait ends early.
With --wait alone, the proof is verified and stays at the broker, and the ticket is kept.

Examples:
  sealprove submit zcash-pczt-v1 unproved.pczt --out proved.pczt
  sealprove sample threshold-v1 | sealprove submit threshold-v1 - --wait --json > answer.json")]
pub(crate) struct Args {
    /// The circuit to prove
    circuit: CircuitId,
    /// The witness: a file, or - for standard input
    witness: PathBuf,
    /// Wait for the answer, open it and verify it
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    destination: Destination,
    /// The file to write the ticket to [default: <job>.ticket]
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
    /// Have the answer unsealed: everyone who may read the broker can read it
    #[arg(long)]
    open: bool,
    /// Queue in the express lane
    #[arg(long)]
    express: bool,
    /// Time until the job expires, at most 24h
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Longest wait for the answer, and for room in a full queue
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    fn waits(&self) -> bool {
        self.wait || self.destination.is_file()
    }

    fn options(&self) -> SubmitOptions {
        SubmitOptions {
            lane: if self.express { Lane::Express } else { Lane::Standard },
            answer: if self.open { AnswerMode::Open } else { AnswerMode::Sealed },
            lifetime: self.deadline,
            patience: self.timeout,
        }
    }
}

pub(crate) async fn run(args: &Args, circuits: &Circuits) -> CliResult {
    args.destination.check()?;
    let witness = files::read_witness(&args.witness)?;
    let client = args.connection.connect(circuits).await?;
    let progress = Progress::new("sealing");
    let bundle = client.bundle().await?;
    let sealed = client.seal(&bundle, &args.circuit, &witness, &args.options())?;
    // The ticket is written before the job is published: after any crash from here on, it collects the answer.
    let path =
        args.ticket.clone().unwrap_or_else(|| PathBuf::from(format!("{}.ticket", sealed.ticket.job())));
    sealed.ticket.write(&path)?;
    let collecting = Collecting {
        client: &client,
        ticket: &sealed.ticket,
        witness: Some(witness.as_slice()),
        timeout: args.timeout,
        destination: &args.destination,
        circuits,
    };
    let result = match unless_stopped(publish(&client, &sealed, args.timeout, progress)).await? {
        Some(Err(error)) if error.is_refusal() => {
            std::fs::remove_file(&path)?;
            return Err(error.into());
        }
        Some(Err(error)) => Err(error.into()),
        Some(Ok(progress)) if args.waits() => {
            unless_stopped(collecting.finish(progress)).await?.unwrap_or(Ok(Exit::NotYet))
        }
        Some(Ok(_)) => Ok(Exit::Done),
        None => Ok(Exit::NotYet),
    };
    settle_ticket(args, &path, result)
}

/// Publishes the job until the broker has it.
async fn publish(
    client: &Client,
    sealed: &SealedJob,
    patience: Duration,
    mut progress: Progress,
) -> Result<Progress, ClientError> {
    progress.step("submitting");
    let mut is_reported = false;
    let published = client.publish(sealed, patience, |cause, pause| {
        if !std::mem::replace(&mut is_reported, true) {
            progress.print(&format!("{}; trying again until --timeout", with_causes(cause)));
        }
        progress.step(format!("not accepted yet, trying again in {} s", pause.as_secs() + 1));
    });
    published.await?;
    Ok(progress)
}

/// Removes the ticket if its answer has been handed over; otherwise reports what it is kept for.
fn settle_ticket(args: &Args, path: &Path, result: CliResult) -> CliResult {
    let ticket = path.display();
    match &result {
        Ok(Exit::Done) if !args.waits() => {
            say!("{ticket}")?;
            note!("submitted; collect the answer with `sealprove answer {ticket}`");
        }
        Ok(Exit::Done) if !args.destination.keeps() => {
            say!("{ticket}")?;
            note!("the proof stays at the broker for 48 hours: `sealprove answer {ticket} --out FILE`");
        }
        Ok(Exit::Done) if args.ticket.is_none() => std::fs::remove_file(path)?,
        Ok(Exit::Done) => {}
        Ok(_) => note!("the ticket {ticket} is kept: `sealprove answer {ticket}` collects the answer later"),
        Err(_) => note!(
            "the ticket {ticket} is kept: `sealprove answer {ticket}` collects the answer if there is one"
        ),
    }
    result
}
