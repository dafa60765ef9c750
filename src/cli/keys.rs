//! `sealprove keys`: recipient keys through their whole life. In a folder of keys lie, for each:
//!
//! ```text
//! <id>.<scheme>     the private half, 32 raw bytes, mode 0600: the chamber alone reads it
//! <id>.json         what the bundle says of it; all that `bundle sign` needs
//! <id>.destroyed    in place of both, once the private half is destroyed
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{self, FileError};
use super::output::{self, OutputError, count, note, say};
use super::{Exit, Failure, Outcome_};
use crate::operator::keyring::{KeyRecord, KeyState, Keyring, KeyringError, Life};
use crate::protocol::{KeyId, Scheme, UnixSeconds, generate_key};
use crate::secret::PrivateKey;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a key pair of each scheme: <id>.<scheme> (private, mode 0600) and <id>.json (what the bundle says)
    New {
        /// The folder to put them in
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        #[command(flatten)]
        kind: Kind,
    },
    /// List the keys of a folder
    List {
        /// The folder that they are in
        folder: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make new keys that clients move over to; those of now open what was sealed to them
    Rotate {
        /// The folder that they are in
        folder: PathBuf,
        /// How long from now clients begin to seal to the new keys: every service has to have them by then
        #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
        lead: Duration,
        #[command(flatten)]
        kind: Kind,
    },
    /// Have clients no longer seal to a key, from the next bundle on; it still opens
    Retire {
        /// The folder that it is in
        folder: PathBuf,
        /// Which key
        id: KeyId,
    },
    /// Destroy the private half of a key: nobody can open any more what was sealed to it
    Destroy {
        /// The folder that it is in
        folder: PathBuf,
        /// Which key
        id: KeyId,
        /// Although jobs sealed to it may still wait: they are answered KEY_RETIRED
        #[arg(long)]
        compromised: bool,
    },
}

/// What new keys are like.
#[derive(clap::Args)]
struct Kind {
    /// xwing or x25519; a key of each, where none is named
    #[arg(long = "scheme", value_name = "SCHEME")]
    schemes: Vec<Scheme>,
    /// How long clients may seal to it
    #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
    seal_for: Duration,
    /// The longest that a bundle which lists it may be good for
    #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
    bundles_for: Duration,
}

pub(super) fn run(args: &Args) -> Outcome_ {
    match &args.command {
        Command::New { out, kind } => {
            let pairs = kind.draw(UnixSeconds::now());
            pairs.iter().try_for_each(|pair| pair.write(out))?;
            tell_made(out, &pairs)?;
        }
        Command::List { folder, json } => list(folder, *json)?,
        Command::Rotate { folder, lead, kind } => rotate(folder, *lead, kind)?,
        Command::Retire { folder, id } => {
            let record = read(folder)?.retire(id, UnixSeconds::now())?;
            write_json(&record_file(folder, id), &record)?;
            note!("retired: clients that have the next bundle no longer seal to it; it still opens");
            note!("next: `sealprove bundle sign --keys {} …`, and serve that bundle", folder.display());
        }
        Command::Destroy { folder, id, compromised } => destroy(folder, id, *compromised)?,
    }
    Ok(Exit::Done)
}

fn tell_made(folder: &Path, made: &[Pair]) -> Result<(), OutputError> {
    for Pair { record, .. } in made {
        say!("{}", record.key.id)?;
        note!("private key: {}", private_file(folder, record).display());
    }
    note!("next: `sealprove bundle sign --keys {} …`", folder.display());
    Ok(())
}

fn rotate(folder: &Path, lead: Duration, kind: &Kind) -> Result<(), Failure> {
    let now = UnixSeconds::now();
    let mut keyring = read(folder)?;
    let made = kind.draw(now + lead);
    let records = made.iter().map(|pair| pair.record.clone()).collect();
    // Old keys go on for as long again: clocks differ, and clients take the newest key anyway.
    let changed = keyring.rotate(records, lead, now)?;
    made.iter().try_for_each(|pair| pair.write(folder))?;
    changed.iter().try_for_each(|record| write_json(&record_file(folder, &record.key.id), record))?;
    let lead = humantime::format_duration(lead);
    note!("clients begin to seal to these in {lead}; every service has to have them by then");
    Ok(tell_made(folder, &made)?)
}

fn destroy(folder: &Path, id: &KeyId, compromised: bool) -> Result<(), Failure> {
    let mut keyring = read(folder)?;
    let record = match keyring.destroy(id, compromised, UnixSeconds::now()) {
        // One that was interrupted is brought to its end.
        Err(KeyringError::Destroyed(_)) if has_remains(folder, id) => find(&keyring, id)?,
        record => record?,
    };
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("destroy the key {id} in {}: {error}", folder.display()))
    };
    // First what says that it is gone, so that no job is told that there never was such a key.
    write_json(&folder.join(format!("{id}.destroyed")), &record)?;
    overwrite_and_remove(&private_file(folder, &record)).map_err(failed)?;
    match std::fs::remove_file(record_file(folder, id)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    note!("destroyed here. Destroy it too in every Secret, backup and snapshot that holds it");
    note!(
        "a running service has it in memory until another chamber takes over and the one before has ended: it logs both"
    );
    if !keyring.records().iter().any(|record| record.state(UnixSeconds::now()) == KeyState::Active) {
        note!(
            "no other key is active: clients cannot seal; `sealprove keys rotate {} --lead 0s`",
            folder.display()
        );
    }
    note!("next: `sealprove bundle sign --keys {} …`, since the bundle may still list it", folder.display());
    Ok(())
}

/// Whether something of a destroyed key is still in the folder.
fn has_remains(folder: &Path, id: &KeyId) -> bool {
    let private = Scheme::STRONGEST_FIRST.map(|scheme| folder.join(format!("{id}.{}", scheme.as_str())));
    private.iter().any(|path| path.exists()) || record_file(folder, id).exists()
}

fn find(keyring: &Keyring, id: &KeyId) -> Result<KeyRecord, KeyringError> {
    let found = keyring.records().iter().find(|record| record.key.id == *id);
    found.cloned().ok_or_else(|| KeyringError::Unknown(id.clone()))
}

/// Overwrites a private key before its name is gone. A file system that copies on write, or a disk that moves
/// its blocks, keeps the old ones all the same; that is for the operator to know.
fn overwrite_and_remove(path: &Path) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            let bytes = file.metadata()?.len();
            file.write_all(&vec![0; usize::try_from(bytes).unwrap_or(0)])?;
            file.sync_all()?;
            std::fs::remove_file(path)
        }
        // The private half was never in this folder, or is gone already.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn list(folder: &Path, json: bool) -> Result<(), Failure> {
    let now = UnixSeconds::now();
    let keyring = read(folder)?;
    if json {
        let rows = keyring.records().iter().map(|record| {
            let has_private = private_file(folder, record).exists();
            let mut row = serde_json::to_value(record).map_err(std::io::Error::from)?;
            row["state"] = record.state(now).as_str().into();
            row["has_private"] = has_private.into();
            Ok::<_, std::io::Error>(row)
        });
        output::json(&rows.collect::<Result<Vec<_>, _>>()?)?;
        return Ok(());
    }
    keyring.records().iter().try_for_each(|record| print(record, now))?;
    let over = keyring.records().iter().filter(|record| is_over(record, now)).count();
    if over > 0 {
        note!("{} no longer needed: `sealprove keys destroy {} ID`", count(over, "key"), folder.display());
    }
    Ok(())
}

fn is_over(record: &KeyRecord, now: UnixSeconds) -> bool {
    record.state(now) == KeyState::Retired && record.is_needed_until() <= now
}

fn print(record: &KeyRecord, now: UnixSeconds) -> Result<(), OutputError> {
    let KeyRecord { key, .. } = record;
    say!(
        "{}  {:6}  {:9}  seal {} .. {}  open until {}",
        key.id,
        key.scheme.as_str(),
        record.state(now).as_str(),
        key.seal_from.to_rfc3339(),
        key.seal_until.to_rfc3339(),
        key.open_until.to_rfc3339()
    )
}

/// Makes a key pair of each scheme in a folder, as a new deployment needs them.
#[cfg(feature = "service")]
pub(super) fn make(folder: &Path, seal_for: Duration, bundles_for: Duration) -> Result<(), Failure> {
    let kind = Kind { schemes: Vec::new(), seal_for, bundles_for };
    kind.draw(UnixSeconds::now()).iter().try_for_each(|pair| pair.write(folder))
}

/// A new key pair.
struct Pair {
    private: PrivateKey,
    record: KeyRecord,
}

impl Kind {
    /// Draws a key pair of each scheme.
    fn draw(&self, seal_from: UnixSeconds) -> Vec<Pair> {
        let schemes = if self.schemes.is_empty() { &Scheme::STRONGEST_FIRST[..] } else { &self.schemes };
        let life = Life { seal_from, seal_for: self.seal_for, bundles_for: self.bundles_for };
        let draw = |scheme: &Scheme| {
            let (private, public) = generate_key(*scheme);
            Pair { private, record: life.of(*scheme, public) }
        };
        schemes.iter().map(draw).collect()
    }
}

impl Pair {
    fn write(&self, folder: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(folder)?;
        let Pair { private, record } = self;
        files::write_secret("write the private key", &private_file(folder, record), private.expose())?;
        write_json(&record_file(folder, &record.key.id), record)
    }
}

fn private_file(folder: &Path, record: &KeyRecord) -> PathBuf {
    folder.join(format!("{}.{}", record.key.id, record.key.scheme.as_str()))
}

fn record_file(folder: &Path, id: &KeyId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

fn write_json(path: &Path, record: &KeyRecord) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(record).map_err(std::io::Error::from)?;
    files::write("write the public key", path, &json)
}

/// The keys of a folder; private keys are not read.
pub(crate) fn read(folder: &Path) -> Result<Keyring, Failure> {
    let mut records: Vec<KeyRecord> = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Failure::new(Exit::Failed, format!("read the keys in {}: {error}", folder.display()))
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json" || extension == "destroyed") {
            records.push(read_record(&path)?);
        }
    }
    // What was destroyed is so, whatever an interrupted destruction has left beside it.
    let destroyed: Vec<KeyId> = records
        .iter()
        .filter(|record| record.destroyed_at.is_some())
        .map(|record| record.key.id.clone())
        .collect();
    records.retain(|record| record.destroyed_at.is_some() || !destroyed.contains(&record.key.id));
    Ok(Keyring::new(records))
}

fn read_record(path: &Path) -> Result<KeyRecord, Failure> {
    let bytes = files::read("read the public key", path).map_err(|error: FileError| Failure::from(error))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        Failure::new(
            Exit::Failed,
            format!("{} does not describe a key as `sealprove keys new` writes it", path.display()),
        )
    })
}
