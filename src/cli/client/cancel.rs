//! `sealprove cancel`.

use super::connection::Connection;
use super::inspect::parse_job;
use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit};
use crate::client::Cancellation;

#[derive(clap::Args)]
#[command(after_help = "\
A service must be running. Exit codes: 0 cancelled, 1 there is no such job, 3 too late: it already has an
answer, which `sealprove answer TICKET` collects.")]
pub(crate) struct Args {
    /// A job id, or the ticket that `submit` wrote
    job: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &Args, circuits: &Circuits) -> CliResult {
    let job = parse_job(&args.job)?;
    let client = args.connection.connect(circuits).await?;
    let (exit, result, text) = match client.cancel(&job).await? {
        Cancellation::Cancelled => (Exit::Done, "cancelled", "cancelled".to_owned()),
        Cancellation::Answered(code) => {
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            (Exit::Refused, "answered", format!("too late: it already has an answer{code}"))
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
