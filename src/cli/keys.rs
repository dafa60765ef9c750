//! `sealprove keys`: recipient keys. A private key is a file of 32 raw bytes that the chamber alone reads;
//! beside it lies what the bundle says of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{self, FileError};
use super::output::{self, OutputError, note, say};
use super::{Exit, Failure, Outcome_};
use crate::bundle::BundleKey;
use crate::clock::unix_now;
use crate::envelope::{Scheme, generate_key, key_id};
use crate::wire::{Base64, LIFETIME_SECONDS_MAX};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a key pair: <id>.x25519 (private, mode 0600) and <id>.json (what the bundle will say)
    New {
        /// The folder to put them in
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// How long clients may seal to it
        #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
        seal_for: Duration,
        /// The longest that a bundle which lists it may be good for
        #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
        bundles_for: Duration,
    },
    /// List the keys of a folder
    List {
        /// The folder that they are in
        folder: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: &Args) -> Outcome_ {
    match &args.command {
        Command::New { out, seal_for, bundles_for } => {
            let key = make(out, *seal_for, *bundles_for)?;
            say!("{}", key.id)?;
            note!("private key: {}", out.join(format!("{}.x25519", key.id)).display());
            note!("next: `sealprove bundle sign --keys {} …`", out.display());
        }
        Command::List { folder, json } => {
            let keys = read_public(folder)?;
            if *json {
                output::json(&keys)?;
            } else {
                keys.iter().try_for_each(print)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn print(key: &BundleKey) -> Result<(), OutputError> {
    let day =
        |seconds| humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(seconds));
    say!(
        "{}  {}  seal {} .. {}  open until {}",
        key.id,
        key.scheme.as_str(),
        day(key.seal_from),
        day(key.seal_until),
        day(key.open_until)
    )
}

/// Makes a key pair in a folder.
pub(super) fn make(folder: &Path, seal_for: Duration, bundles_for: Duration) -> Result<BundleKey, Failure> {
    std::fs::create_dir_all(folder)?;
    let (private, public) = generate_key();
    let id = key_id(Scheme::X25519, &public);
    let seal_from = unix_now();
    let seal_until = seal_from + seal_for.as_secs();
    let key = BundleKey {
        id: id.clone(),
        scheme: Scheme::X25519,
        public_key: Base64(public.to_vec()),
        seal_from,
        seal_until,
        // Whoever holds the last bundle that lists it may seal until that bundle ends, and the job lives a
        // day; a second day is to spare.
        open_until: seal_until + bundles_for.as_secs() + 2 * LIFETIME_SECONDS_MAX,
    };
    files::write_secret("write the private key", &folder.join(format!("{id}.x25519")), private.expose())?;
    let json = serde_json::to_vec_pretty(&key).map_err(std::io::Error::from)?;
    files::write("write the public key", &folder.join(format!("{id}.json")), &json)?;
    Ok(key)
}

/// What the bundle will say of the keys of a folder; private keys are not read.
pub(super) fn read_public(folder: &Path) -> Result<Vec<BundleKey>, Failure> {
    let mut keys = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Failure::new(Exit::Failed, format!("read the keys in {}: {error}", folder.display()))
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            keys.push(read_key(&path)?);
        }
    }
    keys.sort_by(|one: &BundleKey, two| (one.seal_from, &one.id).cmp(&(two.seal_from, &two.id)));
    Ok(keys)
}

fn read_key(path: &Path) -> Result<BundleKey, Failure> {
    let bytes = files::read("read the public key", path).map_err(|error: FileError| Failure::from(error))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        Failure::new(
            Exit::Failed,
            format!("{} does not describe a key as `sealprove keys new` writes it", path.display()),
        )
    })
}
