//! `sealprove bundle show` and `trust`: the bundle from a client's side.

use std::path::PathBuf;

use super::connection::{Connection, user_client_file};
use crate::circuit::Circuits;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{files, output};
use crate::protocol::{SignedBundle, UnixSeconds};

#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    /// A signed bundle [default: the deployment's]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn show(args: &ShowArgs, circuits: &Circuits) -> Result<(), Failure> {
    let Some(file) = &args.file else {
        return Ok(output::json(&args.connection.connect(circuits).await?.bundle().await?)?);
    };
    let signed = SignedBundle::from_json(&files::read("read the bundle", file)?)?;
    let bundle = signed.read_unverified()?;
    output::json(&bundle)?;
    if let Err(cause) = signed.verify(bundle.identity, UnixSeconds::now(), 0) {
        note!("clients refuse it: {cause}");
    }
    Ok(())
}

#[derive(clap::Args)]
pub(crate) struct TrustArgs {
    /// The client configuration to write [default: ~/.config/sealprove/client.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Pins the identity that the served bundle names and is signed by. Only a person can tell whether it is the right one.
pub(crate) async fn trust(args: &TrustArgs, circuits: &Circuits) -> Result<(), Failure> {
    let mut config = args.connection.config()?;
    let client = args.connection.connect(circuits).await?;
    let signed = client.fetch_bundle().await?;
    let identity = signed.read_unverified()?.identity;
    let bundle = signed.verify(identity, UnixSeconds::now(), 0)?;
    if let Some(pinned) = config.identity.filter(|pinned| *pinned != identity) {
        let message =
            format!("{pinned} is pinned already, and the deployment signs as {identity}; ask its operator");
        return Err(Failure::new(Exit::Failed, message));
    }
    config.identity = Some(identity);
    let path = args.out.clone().or_else(user_client_file);
    let path =
        path.ok_or_else(|| Failure::new(Exit::Usage, "there is no home to write to; give --out FILE"))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = toml::to_string(&config).map_err(|error| Failure::new(Exit::Failed, error))?;
    files::write("write the client configuration", &path, text.as_bytes())?;
    say!("{identity}")?;
    note!("pinned for {} in {}", bundle.deployment, path.display());
    note!("confirm it with the operator over a different channel");
    Ok(())
}
