//! `sealprove bundle`: the identity and what it signs. The identity key stays where the operator keeps it;
//! the service needs only the signed bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connection::user_client_file;
use super::output::{self, count, note, say};
use super::{Connection, Exit, Failure, Outcome_, files, keys, named};
use crate::circuit::Circuits;
use crate::protocol::{
    Bundle, BundleCircuit, CircuitId, Deployment, IdentityKey, SignedBundle, UnixSeconds, VERSION,
};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make an identity key (mode 0600) and print the identity that clients pin
    Identity {
        /// The file to write; keep it off the machines that prove
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a bundle of keys and circuits
    Sign(SignArgs),
    /// Fetch the deployment's bundle, check it, and show it; or show a file
    Show {
        /// A signed bundle; the deployment's own, where there is none
        file: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Trust the deployment's identity on first use: print it, and pin it in the client configuration
    Trust {
        /// The client configuration to write [default: ~/.config/sealprove/client.toml]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(clap::Args)]
struct SignArgs {
    /// The identity key, as `bundle identity` wrote it
    #[arg(long, value_name = "FILE")]
    identity_key: PathBuf,
    /// The folder with the public keys, as `keys new` wrote them; private keys are not read
    #[arg(long, value_name = "FOLDER")]
    keys: PathBuf,
    /// The deployment's name, which every seal is bound to
    #[arg(long)]
    deployment: Deployment,
    /// A circuit to list; all of this build, where none is named
    #[arg(long = "circuit", value_name = "CIRCUIT")]
    circuits: Vec<CircuitId>,
    /// How long the bundle is good
    #[arg(long, default_value = "30d", value_parser = humantime::parse_duration)]
    valid_for: Duration,
    /// Greater than that of every bundle before [default: the time in Unix seconds]
    #[arg(long)]
    serial: Option<u64>,
    /// The file to write, or - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    match &args.command {
        Command::Identity { out } => {
            let key = IdentityKey::generate();
            files::write_secret("write the identity key", out, key.expose())?;
            say!("{}", key.identity())?;
        }
        Command::Sign(args) => sign(args, circuits)?,
        Command::Show { file: Some(file), .. } => {
            let signed = SignedBundle::from_json(&files::read("read the bundle", file)?)?;
            let bundle = signed.read_unverified()?;
            show(&bundle)?;
            if let Err(cause) = signed.verify(bundle.identity, UnixSeconds::now(), 0) {
                note!("clients refuse it: {cause}");
            }
        }
        Command::Show { file: None, connection } => {
            show(&connection.connect(circuits).await?.bundle().await?)?
        }
        Command::Trust { out, connection } => trust(out.clone(), connection, circuits).await?,
    }
    Ok(Exit::Done)
}

fn sign(args: &SignArgs, circuits: &Circuits) -> Result<(), Failure> {
    let key = read_identity_key(&args.identity_key)?;
    let signed = make(&key, args, circuits)?;
    files::write("write the bundle", &args.out, &signed.to_json())?;
    let bundle = signed.read_unverified()?;
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
        note!("it outlives its keys: from {last} (Unix seconds) on, clients that have it cannot seal");
    }
    Ok(())
}

fn make(key: &IdentityKey, args: &SignArgs, circuits: &Circuits) -> Result<SignedBundle, Failure> {
    for id in &args.circuits {
        named(circuits, id)?;
    }
    let listed = circuits.clone().retain(|id| args.circuits.is_empty() || args.circuits.contains(id));
    let now = UnixSeconds::now();
    let bundle = Bundle {
        version: VERSION.to_owned(),
        deployment: args.deployment.clone(),
        identity: key.identity(),
        serial: args.serial.unwrap_or(now.0),
        issued_at: now,
        expires_at: now + args.valid_for,
        keys: keys::read(&args.keys)?.listed(now),
        circuits: circuits_of(&listed),
    };
    if bundle.keys.is_empty() {
        let message = format!(
            "{} holds no key that clients could seal to; make one with `sealprove keys new`",
            args.keys.display()
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let signed = bundle.sign(key);
    // What clients would refuse is not signed.
    signed.verify(key.identity(), now, 0).map_err(|error| {
        let hint = "sign it for a shorter time (--valid-for), or make keys for longer bundles (`sealprove keys new \
                    --bundles-for`); `sealprove keys list` shows until when each key opens";
        Failure::from(error).with_hint(hint.to_owned())
    })?;
    Ok(signed)
}

/// The circuits as the bundle lists them.
pub(super) fn circuits_of(circuits: &Circuits) -> Vec<BundleCircuit> {
    circuits.iter().map(|(_, circuit)| BundleCircuit::from(&circuit.descriptor())).collect()
}

fn read_identity_key(path: &Path) -> Result<IdentityKey, Failure> {
    let bytes = files::read_secret("read the identity key", path)?;
    let seed = <&[u8; 32]>::try_from(bytes.as_slice());
    let seed = seed.map_err(|_| {
        Failure::new(Exit::Failed, format!("{} is not an identity key of 32 bytes", path.display()))
    })?;
    Ok(IdentityKey::from_bytes(seed))
}

fn show(bundle: &Bundle) -> Result<(), Failure> {
    Ok(output::json(bundle)?)
}

/// The bundle says who signs it, and is signed so; that it is the right one, only a person can know.
async fn trust(out: Option<PathBuf>, connection: &Connection, circuits: &Circuits) -> Result<(), Failure> {
    let mut config = connection.config()?;
    let client = connection.connect(circuits).await?;
    let signed = client.fetch_bundle().await?;
    let identity = signed.read_unverified()?.identity;
    let bundle = signed.verify(identity, UnixSeconds::now(), 0)?;
    if let Some(pinned) = config.identity.filter(|pinned| *pinned != identity) {
        let message =
            format!("{pinned} is pinned already, and the deployment signs as {identity}: ask its operator");
        return Err(Failure::new(Exit::Failed, message));
    }
    config.identity = Some(identity);
    let path = out.or_else(user_client_file);
    let path = path
        .ok_or_else(|| Failure::new(Exit::Usage, "there is no home to write to; name a file with --out"))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = toml::to_string(&config).map_err(|error| Failure::new(Exit::Failed, error))?;
    files::write("write the client configuration", &path, text.as_bytes())?;
    say!("{identity}")?;
    note!("pinned for {} in {}", bundle.deployment, path.display());
    note!("compare it with what the operator says, on another way than this one");
    Ok(())
}
