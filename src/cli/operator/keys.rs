//! `sealprove keys`: recipient keys through their whole life.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::{self, OutputError, count};
use crate::operator::key_folder::{KeyFolder, NewKey};
use crate::operator::keyring::{KeyRecord, KeyState, Keyring, KeyringError, Life};
use crate::protocol::{KeyId, Scheme, UnixSeconds};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key pair of each scheme: <id>.<scheme> (private, mode 0600) and <id>.json (public)
    New {
        /// The folder to put them in
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        #[command(flatten)]
        kind: Kind,
    },
    /// List the keys of a folder
    List {
        /// The folder of keys
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make new keys that clients move to; the present keys still open what was sealed to them
    Rotate {
        /// The folder of keys
        folder: PathBuf,
        /// Time until clients seal to the new keys; every service must have them by then
        #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
        lead: Duration,
        #[command(flatten)]
        kind: Kind,
    },
    /// Retire a key: from the next bundle on, clients no longer seal to it; it still opens
    Retire {
        /// The folder of keys
        folder: PathBuf,
        /// The key to retire
        id: KeyId,
    },
    /// Destroy the private half of a key: what was sealed to it can never be opened again
    Destroy {
        /// The folder of keys
        folder: PathBuf,
        /// The key to destroy
        id: KeyId,
        /// Destroy it although jobs sealed to it may wait: they are answered KEY_RETIRED
        #[arg(long)]
        compromised: bool,
    },
}

/// The kind and the lifetime of new keys.
#[derive(clap::Args)]
pub(crate) struct Kind {
    /// xwing or x25519 [default: a key of each]
    #[arg(long = "scheme", value_name = "SCHEME")]
    schemes: Vec<Scheme>,
    /// Time for which clients may seal to it
    #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
    seal_for: Duration,
    /// Longest validity of a bundle that lists it
    #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
    bundles_for: Duration,
}

impl Kind {
    /// Generates a key pair of each scheme.
    fn generate(&self, seal_from: UnixSeconds) -> Vec<NewKey> {
        let schemes = if self.schemes.is_empty() { &Scheme::STRONGEST_FIRST[..] } else { &self.schemes };
        let life = Life { seal_from, seal_for: self.seal_for, bundles_for: self.bundles_for };
        schemes.iter().map(|scheme| NewKey::generate(*scheme, life)).collect()
    }
}

pub(crate) fn run(command: &Command) -> CliResult {
    match command {
        Command::New { out, kind } => {
            let keys = kind.generate(UnixSeconds::now());
            KeyFolder::new(out).add(&keys)?;
            report_new(out, &keys)?;
        }
        Command::List { folder, json } => list(folder, *json)?,
        Command::Rotate { folder, lead, kind } => rotate(folder, *lead, kind)?,
        Command::Retire { folder, id } => retire(folder, id)?,
        Command::Destroy { folder, id, compromised } => destroy(folder, id, *compromised)?,
    }
    Ok(Exit::Done)
}

fn report_new(folder: &Path, keys: &[NewKey]) -> Result<(), OutputError> {
    for key in keys {
        say!("{}", key.record().key.id)?;
        note!("private key: {}", KeyFolder::new(folder).private_file(key.record()).display());
    }
    note!("next: `sealprove bundle sign --keys {} …`", folder.display());
    Ok(())
}

fn rotate(folder: &Path, lead: Duration, kind: &Kind) -> Result<(), Failure> {
    let now = UnixSeconds::now();
    let keys = KeyFolder::new(folder);
    let new = kind.generate(now + lead);
    let records = new.iter().map(|key| key.record().clone()).collect();
    // The old keys overlap the new ones by the same time, since clocks differ. Clients prefer the newest key anyway.
    let changed = keys.read()?.rotate(records, lead, now)?;
    keys.add(&new)?;
    for record in &changed {
        keys.update(record)?;
    }
    let lead = humantime::format_duration(lead);
    note!("clients seal to these keys from {lead} on; every service must have them by then");
    Ok(report_new(folder, &new)?)
}

fn retire(folder: &Path, id: &KeyId) -> Result<(), Failure> {
    let keys = KeyFolder::new(folder);
    keys.update(&keys.read()?.retire(id, UnixSeconds::now())?)?;
    note!("retired: clients with the next bundle no longer seal to it; it still opens");
    note!("next: `sealprove bundle sign --keys {} …`, and serve that bundle", folder.display());
    Ok(())
}

fn destroy(folder: &Path, id: &KeyId, compromised: bool) -> Result<(), Failure> {
    let keys = KeyFolder::new(folder);
    let mut keyring = keys.read()?;
    let record = match keyring.destroy(id, compromised, UnixSeconds::now()) {
        // An interrupted destruction is finished.
        Err(KeyringError::Destroyed(_)) if keys.has_remains(id) => find(&keyring, id)?,
        record => record?,
    };
    keys.destroy(&record)?;
    note!("destroyed here. Destroy it in every Secret, backup and snapshot that holds it, too");
    note!(
        "a running service keeps it in memory until another chamber takes over and the old one has ended; it logs both"
    );
    if !keyring.records().iter().any(|record| record.state(UnixSeconds::now()) == KeyState::Active) {
        note!(
            "no other key is active, so clients cannot seal: run `sealprove keys rotate {} --lead 0s`",
            folder.display()
        );
    }
    note!("next: `sealprove bundle sign --keys {} …`, since the bundle may still list it", folder.display());
    Ok(())
}

fn find(keyring: &Keyring, id: &KeyId) -> Result<KeyRecord, KeyringError> {
    let found = keyring.records().iter().find(|record| record.key.id == *id);
    found.cloned().ok_or_else(|| KeyringError::Unknown(id.clone()))
}

fn list(folder: &Path, json: bool) -> Result<(), Failure> {
    let now = UnixSeconds::now();
    let keyring = KeyFolder::new(folder).read()?;
    if json {
        let rows = keyring.records().iter().map(|record| to_json(record, folder, now));
        output::json(&rows.collect::<Result<Vec<_>, _>>()?)?;
        return Ok(());
    }
    keyring.records().iter().try_for_each(|record| print(record, now))?;
    let unneeded = keyring.records().iter().filter(|record| is_unneeded(record, now)).count();
    if unneeded > 0 {
        let (keys, folder) = (count(unneeded, "key"), folder.display());
        note!("{keys} no longer needed: `sealprove keys destroy {folder} ID`");
    }
    Ok(())
}

fn to_json(record: &KeyRecord, folder: &Path, now: UnixSeconds) -> std::io::Result<serde_json::Value> {
    let mut row = serde_json::to_value(record)?;
    row["state"] = record.state(now).as_str().into();
    row["has_private"] = KeyFolder::new(folder).private_file(record).exists().into();
    Ok(row)
}

fn is_unneeded(record: &KeyRecord, now: UnixSeconds) -> bool {
    record.state(now) == KeyState::Retired && record.needed_until() <= now
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
