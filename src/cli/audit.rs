//! `sealprove audit`: whether audit logs are as a service wrote them.

use std::path::{Path, PathBuf};

use super::output::{count, note, say};
use super::{Exit, Failure, Outcome_, files};
use crate::audit::verify::{self, ChainSummary};
use crate::protocol::Sha256Digest;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Find lines of audit logs that were changed, removed, inserted or moved since they were written
    Verify {
        /// Files, or folders of them; - for standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The hash of a chain's last line, as it was noted elsewhere: finds an end that was cut off, or a chain
        /// that was written anew
        #[arg(long, value_name = "HASH")]
        expect: Vec<Sha256Digest>,
    },
}

pub(super) fn run(args: &Args) -> Outcome_ {
    let Command::Verify { files, expect } = &args.command;
    let mut paths = Vec::new();
    files.iter().try_for_each(|path| collect(path, &mut paths))?;
    let read = |path: &PathBuf| Ok((path.display().to_string(), files::read("read the audit log", path)?));
    let read: Vec<(String, Vec<u8>)> = paths.iter().map(read).collect::<Result<_, Failure>>()?;
    let opened: Vec<verify::File<'_>> =
        read.iter().map(|(name, bytes)| verify::File { name, bytes }).collect();
    let report = verify::verify(&opened, expect);
    if report.chains.is_empty() {
        return Err(Failure::new(Exit::Failed, "there is no line of an audit log in there"));
    }
    for fault in &report.faults {
        say!("{fault}")?;
    }
    for chain in &report.chains {
        say!(
            "chain {}: {}, {}; last {}",
            chain.instance,
            count(chain.lines, "line"),
            end(chain),
            chain.last
        )?;
        tell(chain);
    }
    if !report.faults.is_empty() {
        return Ok(Exit::Failed);
    }
    say!("whole: {} in {}", count(report.chains.len(), "chain"), count(paths.len(), "file"))?;
    if expect.is_empty() {
        note!("that no end was cut off is known by --expect alone: note the last hash elsewhere");
    }
    Ok(Exit::Done)
}

fn end(chain: &ChainSummary) -> &'static str {
    if chain.is_ended { "stopped" } else { "not stopped: it runs, was killed, or its end is cut off" }
}

fn tell(chain: &ChainSummary) {
    if chain.lost > 0 {
        note!(
            "chain {}: {} lost, as its lines say themselves",
            chain.instance,
            count(chain.lost as usize, "event")
        );
    }
    if let Some(hash) = chain.follows_unseen {
        note!("chain {}: follows a line that is in none of these files: {hash}", chain.instance);
    }
}

/// The files of a folder and of those below it; a file itself.
fn collect(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        into.push(path.to_owned());
        return Ok(());
    }
    let failed =
        |error| Failure::new(Exit::Failed, format!("read the audit log {}: {error}", path.display()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    let is_log = |path: &&PathBuf| path.is_dir() || path.extension().is_some_and(|end| end == "jsonl");
    entries.iter().filter(is_log).try_for_each(|entry| collect(entry, into))
}
