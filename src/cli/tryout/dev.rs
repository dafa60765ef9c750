//! `sealprove dev`: keeps a private environment running.

use std::path::Path;

use super::environment::{Environment, Options, within};
use crate::circuit::Circuits;
use crate::cli::circuits;
use crate::cli::client::DevFile;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::operator::client_toml;
use crate::protocol::CircuitId;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// A circuit to serve, whose keys are built at the start [default: all]
    #[arg(long = "circuit", value_name = "CIRCUIT")]
    circuits: Vec<CircuitId>,
}

pub(crate) async fn run(args: &Args, circuits: &Circuits) -> CliResult {
    let served = circuits::select(circuits, &args.circuits)?;
    note!("starting a broker and a service, which builds every proving key now");
    let ended = within(&args.options, &served, async |environment| serve(environment, &served).await).await?;
    // A signal is the normal end.
    ended.map_or(Ok(Exit::Done), Err)
}

/// Announces the environment, and waits until broker or service end by themselves; returns the reason.
async fn serve(environment: &mut Environment, circuits: &Circuits) -> Result<Failure, Failure> {
    let file = DevFile::of_user().unwrap_or_else(|| DevFile::in_folder(environment.folder()));
    let announced = Announced::write(file, &client_toml(&environment.config.client)?)?;
    say!("{}", greeting(environment, announced.0.path(), circuits))?;
    Ok(environment.ended().await)
}

fn greeting(environment: &Environment, client_file: &Path, circuits: &Circuits) -> String {
    let (service, client) = (&environment.config.service, &environment.config.client);
    let names: Vec<&str> = circuits.iter().map(|(id, _)| id.as_str()).collect();
    let first = names.first().copied().unwrap_or("CIRCUIT");
    format!(
        "ready: {}\n\
         broker    {}\n\
         metrics   http://{}/metrics\n\
         client    {} (other commands find it while this runs)\n\
         identity  {}\n\
         folder    {} (log: service.log)\n\
         try, in another shell:\n  \
         sealprove circuits\n  \
         sealprove sample {first} > witness\n  \
         sealprove submit {first} witness --wait --json > answer.json\n\
         Ctrl-C ends it.",
        names.join(", "),
        client.nats.url,
        service.admin.listen,
        client_file.display(),
        client.identity.map(|identity| identity.to_string()).unwrap_or_default(),
        environment.folder().display(),
    )
}

/// A client configuration that other shells find until this is dropped.
struct Announced(DevFile);

impl Announced {
    fn write(file: DevFile, config: &[u8]) -> Result<Self, Failure> {
        file.write(config)?;
        Ok(Announced(file))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.remove();
    }
}
