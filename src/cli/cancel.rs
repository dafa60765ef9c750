//! `sealprove cancel`.

use super::look::job_of;
use super::output::say;
use super::{Connection, Exit, Outcome_};
use crate::circuit::Circuits;
use crate::client::Cancellation;

#[derive(clap::Args)]
#[command(after_help = "\
A service must be running. Exit codes: 0 cancelled, 1 there is no such job, 3 too late: it has an answer
already, which `sealprove answer TICKET` collects.")]
pub(super) struct Args {
    /// A job id, or the ticket that `submit` wrote
    job: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    let job = job_of(&args.job)?;
    let client = args.connection.connect(circuits).await?;
    let (exit, result, text) = match client.cancel(&job).await? {
        Cancellation::Cancelled => (Exit::Done, "cancelled", "cancelled".to_owned()),
        Cancellation::Answered(code) => {
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            (Exit::Refused, "answered", format!("too late: it has its answer already{code}"))
        }
        Cancellation::NotFound => {
            (Exit::Failed, "not-found", format!("tenant {} has no such job", client.tenant()))
        }
    };
    if args.json {
        say!("{}", serde_json::json!({ "job": job, "result": result }))?;
    } else {
        say!("{job}  {text}")?;
    }
    Ok(exit)
}
