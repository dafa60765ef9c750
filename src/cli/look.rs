//! Commands that look and change nothing: `check`, `status`, `verify`, `circuits`.

use std::path::PathBuf;

use super::output::{self, OutputError, note, say};
use super::{Connection, Exit, Failure, Outcome_, bundle, files, named};
use crate::circuit::Circuits;
use crate::client::{Ticket, Verifier};
use crate::protocol::{Answer, BundleCircuit, CircuitId, JobId};

#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// What it would prove
    circuit: CircuitId,
    /// The witness: a file, or - for standard input
    witness: PathBuf,
}

pub(super) fn check(args: &CheckArgs, circuits: &Circuits) -> Outcome_ {
    let circuit = named(circuits, &args.circuit)?;
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
pub(super) struct SampleArgs {
    /// What it would prove
    circuit: CircuitId,
}

pub(super) fn sample(args: &SampleArgs, circuits: &Circuits) -> Outcome_ {
    output::bytes(&named(circuits, &args.circuit)?.sample_witness())?;
    Ok(Exit::Done)
}

#[derive(clap::Args)]
pub(super) struct StatusArgs {
    /// A job id, or the ticket that `submit` wrote
    job: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// The job that is named by its id or by its ticket's file.
pub(super) fn job_of(id_or_ticket: &str) -> Result<JobId, Failure> {
    match id_or_ticket.parse() {
        Ok(job) => Ok(job),
        Err(_) => Ok(Ticket::read(&PathBuf::from(id_or_ticket))?.job().clone()),
    }
}

pub(super) async fn status(args: &StatusArgs, circuits: &Circuits) -> Outcome_ {
    let job = job_of(&args.job)?;
    let client = args.connection.connect(circuits).await?;
    if let Some(code) = client.code(&job).await? {
        print_state(args.json, &job, "answered", &[("code", code.as_str().to_owned())])?;
        return Ok(Exit::Done);
    }
    match client.status(&job).await? {
        // Who has a ticket has submitted the job; of an id, nobody knows whether there is such a job.
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
pub(super) struct VerifyArgs {
    /// An answer as JSON, as `submit --wait --json` prints it; - for standard input
    answer: PathBuf,
}

pub(super) fn verify(args: &VerifyArgs, circuits: &Circuits) -> Outcome_ {
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
pub(super) struct CircuitsArgs {
    /// What this build has, without asking the deployment
    #[arg(long)]
    local: bool,
    /// As JSON, with the schemas
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn circuits(args: &CircuitsArgs, circuits: &Circuits) -> Outcome_ {
    let listed = if args.local {
        bundle::circuits_of(circuits)
    } else {
        args.connection.connect(circuits).await?.bundle().await?.circuits
    };
    if args.json {
        output::json(&listed)?;
    } else {
        listed.iter().try_for_each(|listed| print(listed, circuits))?;
    }
    Ok(Exit::Done)
}

fn print(listed: &BundleCircuit, circuits: &Circuits) -> Result<(), OutputError> {
    let summary =
        circuits.get(&listed.id).map_or("not in this build: it can be submitted, not verified", |circuit| {
            circuit.descriptor().summary
        });
    say!("{}  {}", listed.id, summary)?;
    say!("  witness {}, at most {} bytes", listed.media_type, listed.witness_bytes_max)?;
    say!("  verifying key {}", listed.verifying_key)
}
