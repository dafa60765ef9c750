//! Commands that read and change nothing: `check`, `sample`, `status`, `verify`, `circuits`.

use std::path::PathBuf;

use super::connection::Connection;
use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::{self, OutputError};
use crate::cli::{circuits, files};
use crate::client::{Ticket, Verifier};
use crate::protocol::{Answer, BundleCircuit, CircuitId, JobId};

#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    /// The circuit to check it for
    circuit: CircuitId,
    /// The witness: a file, or - for standard input
    witness: PathBuf,
}

pub(crate) fn check(args: &CheckArgs, built: &Circuits) -> CliResult {
    let circuit = circuits::find(built, &args.circuit)?;
    let witness = files::read_witness(&args.witness)?;
    let refused =
        |error| Failure::new(Exit::Refused, format!("{} refuses the witness: {error}", args.circuit));
    let prepared = zeroize::Zeroizing::new(circuit.prepare(&witness).map_err(refused)?);
    let public_inputs = circuit.public_inputs(&prepared).map_err(refused)?;
    note!("valid for {}", args.circuit);
    say!("{}", hex::encode(public_inputs.0))?;
    Ok(Exit::Done)
}

#[derive(clap::Args)]
pub(crate) struct SampleArgs {
    /// The circuit
    circuit: CircuitId,
}

pub(crate) fn sample(args: &SampleArgs, built: &Circuits) -> CliResult {
    output::bytes(&circuits::find(built, &args.circuit)?.sample_witness())?;
    Ok(Exit::Done)
}

#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// A job id, or the ticket that `submit` wrote
    job: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Returns the job of an id, or of a ticket's file.
pub(super) fn parse_job(id_or_ticket: &str) -> Result<JobId, Failure> {
    match id_or_ticket.parse() {
        Ok(job) => Ok(job),
        Err(_) => Ok(Ticket::read(&PathBuf::from(id_or_ticket))?.job().clone()),
    }
}

pub(crate) async fn status(args: &StatusArgs, circuits: &Circuits) -> CliResult {
    let job = parse_job(&args.job)?;
    let client = args.connection.connect(circuits).await?;
    if let Some(code) = client.code(&job).await? {
        print_state(args.json, &job, "answered", &[("code", code.as_str().to_owned())])?;
        return Ok(Exit::Done);
    }
    match client.status(&job).await? {
        // A ticket shows that the job was submitted; an id does not.
        None if args.job.parse::<JobId>().is_err() => print_state(args.json, &job, "queued", &[])?,
        None => print_state(args.json, &job, "queued or unknown", &[])?,
        Some(status) => {
            let expected = status.expected_ms.map(|expected| ("expected_ms", expected.to_string()));
            let mut facts =
                vec![("attempt", status.attempt.to_string()), ("since", status.since.to_string())];
            facts.extend(expected);
            print_state(args.json, &job, status.state.as_str(), &facts)?;
        }
    }
    Ok(Exit::NotYet)
}

fn print_state(json: bool, job: &JobId, state: &str, facts: &[(&str, String)]) -> Result<(), OutputError> {
    if json {
        let mut object = serde_json::json!({ "job": job, "state": state });
        for (name, value) in facts {
            object[*name] = value.parse::<u64>().map_or_else(|_| value.clone().into(), Into::into);
        }
        say!("{object}")
    } else {
        let facts: String = facts.iter().map(|(name, value)| format!("  {name} {value}")).collect();
        say!("{job}  {state}{facts}")
    }
}

#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    /// An answer as JSON, as `submit --wait --json` prints it; - for standard input
    answer: PathBuf,
}

pub(crate) fn verify(args: &VerifyArgs, circuits: &Circuits) -> CliResult {
    let bytes = files::read("read the answer", &args.answer)?;
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} is not an answer: {error}", args.answer.display()))
    })?;
    let proof = Verifier::new(circuits.clone()).verify(&answer)?;
    say!("{} verifies under {}", answer.circuit, proof.verifying_key)?;
    say!("public inputs: {}", hex::encode(proof.public_inputs.0))?;
    Ok(Exit::Done)
}

#[derive(clap::Args)]
pub(crate) struct CircuitsArgs {
    /// List the circuits of this build, without asking the deployment
    #[arg(long)]
    local: bool,
    /// Print JSON, with the schemas
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn circuits(args: &CircuitsArgs, built: &Circuits) -> CliResult {
    let listed = if args.local {
        circuits::describe(built)
    } else {
        args.connection.connect(built).await?.bundle().await?.circuits
    };
    if args.json {
        output::json(&listed)?;
    } else {
        listed.iter().try_for_each(|listed| print(listed, built))?;
    }
    Ok(Exit::Done)
}

fn print(listed: &BundleCircuit, circuits: &Circuits) -> Result<(), OutputError> {
    let summary = circuits
        .get(&listed.id)
        .map_or("not in this build: can be submitted, not verified", |circuit| circuit.descriptor().summary);
    say!("{}  {}", listed.id, summary)?;
    say!("  witness {}, at most {} bytes", listed.media_type, listed.witness_bytes_max)?;
    say!("  verifying key {}", listed.verifying_key)
}
