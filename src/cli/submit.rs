//! `sealprove submit`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::collect::{Collecting, Destination};
use super::output::{note, say};
use super::progress::Progress;
use super::signals::unless_stopped;
use super::{Connection, Exit, Outcome_, files};
use crate::circuit::Circuits;
use crate::client::{Client, ClientError, SealedJob, SubmitOptions};
use crate::protocol::{AnswerMode, CircuitId, Lane};

#[derive(clap::Args)]
#[command(after_help = "\
Without --wait or --out, a ticket is written and its path printed; `sealprove answer TICKET` collects the
answer, also tomorrow and from another shell. With --out or --wait --json, the ticket is kept only if the
wait ends early. With --wait alone the proof is verified and stays at the broker, and the ticket is kept.

Examples:
  sealprove submit zcash-pczt-v1 unproved.pczt --out proved.pczt
  sealprove sample threshold-v1 | sealprove submit threshold-v1 - --wait --json > answer.json")]
pub(super) struct Args {
    /// What is to be proved
    circuit: CircuitId,
    /// The witness: a file, or - for standard input
    witness: PathBuf,
    /// Wait for the answer, open it, verify it
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    destination: Destination,
    /// Where to keep the ticket [default: <job>.ticket]
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
    /// Have the answer in clear, for all who may read the broker
    #[arg(long)]
    open: bool,
    /// Queue in the express lane
    #[arg(long)]
    express: bool,
    /// How long the job may take, at most 24h
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// How long to wait for the answer, and for a full queue
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

pub(super) async fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    args.destination.check()?;
    let witness = files::read_witness(&args.witness)?;
    let client = args.connection.connect(circuits).await?;
    let progress = Progress::new("sealing");
    let bundle = client.bundle().await?;
    let sealed = client.seal(&bundle, &args.circuit, &witness, &args.options())?;
    // Written before the job is published: whatever dies from here on, the answer can be collected.
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
    let outcome = match unless_stopped(publish(&client, &sealed, args.timeout, progress)).await? {
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
    settle(args, &path, outcome)
}

/// Until the broker has the job.
async fn publish(
    client: &Client,
    sealed: &SealedJob,
    patience: Duration,
    mut progress: Progress,
) -> Result<Progress, ClientError> {
    progress.step("submitting");
    let mut said = false;
    let waits = |cause: &ClientError, pause: Duration| {
        let pause = humantime::format_duration(Duration::from_secs(pause.as_secs() + 1));
        if !std::mem::replace(&mut said, true) {
            progress.say(&format!("{cause}; trying again until --timeout"));
        }
        progress.step(format!("not accepted yet, trying again in {pause}"));
    };
    client.publish(sealed, patience, waits).await?;
    Ok(progress)
}

/// Says what becomes of the ticket: it goes only when its answer has been handed over.
fn settle(args: &Args, path: &Path, outcome: Outcome_) -> Outcome_ {
    let ticket = path.display();
    match &outcome {
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
        Err(_) => note!("the ticket {ticket} is kept: if there is an answer, it collects it"),
    }
    outcome
}
