//! `sealprove bundle`: the identity, and the bundles that it signs. The identity key stays where the operator keeps it; the
//! service needs only the signed bundle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::circuit::Circuits;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::count;
use crate::cli::{circuits, client, files};
use crate::operator::key_folder::KeyFolder;
use crate::protocol::{Bundle, CircuitId, Deployment, IdentityKey, UnixSeconds, VERSION};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make an identity key (mode 0600) and print the identity that clients pin
    Identity {
        /// The file to write; keep it off the machines that prove
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a bundle of keys and circuits
    Sign(SignArgs),
    /// Fetch the deployment's bundle, check it and print it; or print a file
    Show(client::ShowArgs),
    /// Trust the deployment's identity on first use: print it, and pin it in the client configuration
    Trust(client::TrustArgs),
}

#[derive(clap::Args)]
pub(crate) struct SignArgs {
    /// The identity key, as `bundle identity` wrote it
    #[arg(long, value_name = "FILE")]
    identity_key: PathBuf,
    /// The folder with the public keys, as `keys new` wrote them; private keys are not read
    #[arg(long, value_name = "FOLDER")]
    keys: PathBuf,
    /// The deployment's name, which every seal is bound to
    #[arg(long)]
    deployment: Deployment,
    /// A circuit to list [default: all of this build]
    #[arg(long = "circuit", value_name = "CIRCUIT")]
    circuits: Vec<CircuitId>,
    /// Validity of the bundle
    #[arg(long, default_value = "30d", value_parser = humantime::parse_duration)]
    valid_for: Duration,
    /// Serial, greater than that of every earlier bundle [default: the time in Unix seconds]
    #[arg(long)]
    serial: Option<u64>,
    /// The file to write, or - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) async fn run(command: &Command, circuits: &Circuits) -> CliResult {
    match command {
        Command::Identity { out } => {
            let key = IdentityKey::generate();
            files::write_secret("write the identity key", out, key.expose())?;
            say!("{}", key.identity())?;
        }
        Command::Sign(args) => sign(args, circuits)?,
        Command::Show(args) => client::show(args, circuits).await?,
        Command::Trust(args) => client::trust(args, circuits).await?,
    }
    Ok(Exit::Done)
}

fn sign(args: &SignArgs, circuits: &Circuits) -> Result<(), Failure> {
    let key = read_identity_key(&args.identity_key)?;
    let bundle = make(&key, args, circuits)?;
    let signed = bundle.sign(&key);
    // A bundle that clients would refuse is not written.
    signed.verify(key.identity(), bundle.issued_at, 0).map_err(|error| {
        let hint = "sign it for a shorter time (--valid-for), or make keys for longer bundles (`sealprove keys new \
                    --bundles-for`); `sealprove keys list` shows until when each key opens";
        Failure::from(error).with_hint(hint.to_owned())
    })?;
    files::write("write the bundle", &args.out, &signed.to_json())?;
    note!(
        "bundle {} of {}: {}, {}, signed by {}",
        bundle.serial,
        bundle.deployment,
        count(bundle.keys.len(), "key"),
        count(bundle.circuits.len(), "circuit"),
        key.identity()
    );
    let last = bundle.keys.iter().map(|key| key.seal_until).max().unwrap_or_default();
    if last < bundle.expires_at {
        note!("it outlives its keys: from {} on, clients with this bundle cannot seal", last.to_rfc3339());
    }
    Ok(())
}

fn make(key: &IdentityKey, args: &SignArgs, circuits: &Circuits) -> Result<Bundle, Failure> {
    let now = UnixSeconds::now();
    let bundle = Bundle {
        version: VERSION.to_owned(),
        deployment: args.deployment.clone(),
        identity: key.identity(),
        serial: args.serial.unwrap_or(now.0),
        issued_at: now,
        expires_at: now + args.valid_for,
        keys: KeyFolder::new(&args.keys).read()?.listed(now),
        circuits: circuits::describe(&circuits::select(circuits, &args.circuits)?),
    };
    if bundle.keys.is_empty() {
        let message = format!(
            "{} holds no key that clients could seal to; make one with `sealprove keys new`",
            args.keys.display()
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(bundle)
}

fn read_identity_key(path: &Path) -> Result<IdentityKey, Failure> {
    let bytes = files::read_secret("read the identity key", path)?;
    let seed = <&[u8; 32]>::try_from(bytes.as_slice());
    let seed = seed.map_err(|_| {
        Failure::new(Exit::Failed, format!("{} is not an identity key of 32 bytes", path.display()))
    })?;
    Ok(IdentityKey::from_bytes(seed))
}
