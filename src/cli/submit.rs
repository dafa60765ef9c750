//! `sealprove submit`.

use std::path::PathBuf;
use std::time::Duration;

use super::collect::{Destination, finish};
use super::progress::Progress;
use super::{Connection, Exit, Outcome_, files};
use crate::circuit::Circuits;
use crate::client::{ClientError, SubmitOptions};
use crate::job::{AnswerMode, CircuitId, Lane};

#[derive(clap::Args)]
#[command(after_help = "\
Without --wait or --out, a ticket is written and its path printed; `sealprove answer TICKET` collects the
answer, also tomorrow and from another shell. With them, the ticket is kept only if the wait ends early.

Examples:
  sealprove submit zcash-pczt-v1 unproved.pczt --out proved.pczt
  make-witness | sealprove submit threshold-v1 - --wait --json")]
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
}

pub(super) async fn run(args: &Args, connection: &Connection, circuits: &Circuits) -> Outcome_ {
    let witness = files::read_witness(&args.witness)?;
    let client = connection.connect(circuits).await?;
    let options = SubmitOptions {
        lane: if args.express { Lane::Express } else { Lane::Standard },
        answer: if args.open { AnswerMode::Open } else { AnswerMode::Sealed },
        lifetime: args.deadline,
        patience: args.timeout,
    };
    let mut progress = Progress::new("sealing");
    let bundle = client.bundle().await?;
    let sealed = client.seal(&bundle, &args.circuit, &witness, &options)?;
    // Written before the job is published: whatever dies from here on, the answer can be collected.
    let path =
        args.ticket.clone().unwrap_or_else(|| PathBuf::from(format!("{}.ticket", sealed.ticket.job())));
    sealed.ticket.write(&path)?;
    progress.step("submitting");
    let mut said = false;
    let waits = |cause: &ClientError, pause: Duration| {
        let pause = humantime::format_duration(Duration::from_secs(pause.as_secs() + 1));
        if !std::mem::replace(&mut said, true) {
            progress.say(&format!("{cause}; trying again until --timeout"));
        }
        progress.step(format!("not accepted yet, trying again in {pause}"));
    };
    if let Err(error) = client.publish(&sealed, args.timeout, waits).await {
        progress.done();
        eprintln!(
            "the ticket {} is kept: if the job was accepted after all, it collects the answer",
            path.display()
        );
        return Err(error.into());
    }
    if !args.wait && !args.destination.is_given() {
        progress.done();
        println!("{}", path.display());
        eprintln!("submitted; collect the answer with `sealprove answer {}`", path.display());
        return Ok(Exit::Done);
    }
    let witness = Some(witness.as_slice());
    let exit =
        finish(&client, &sealed.ticket, witness, args.timeout, &args.destination, progress, circuits).await;
    match exit {
        Ok(Exit::NotYet) => eprintln!("collect it later with `sealprove answer {}`", path.display()),
        _ if args.ticket.is_some() => {}
        Ok(_) => std::fs::remove_file(&path)?,
        Err(_) => eprintln!("the ticket {} is kept", path.display()),
    }
    exit
}
