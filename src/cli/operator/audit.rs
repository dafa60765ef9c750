//! `sealprove audit`: verifies audit logs.

use std::path::{Path, PathBuf};

use crate::audit::verify::{self, ChainSummary};
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::files;
use crate::cli::output::count;
use crate::protocol::Sha256Digest;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Find lines of audit logs that were changed, removed, inserted or moved after they were written
    Verify {
        /// Files, or folders of them; - for standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The hash of a chain's last line, as it was noted elsewhere: finds an end that was cut off, or a chain
        /// that was rewritten
        #[arg(long, value_name = "HASH")]
        expect: Vec<Sha256Digest>,
    },
}

pub(crate) fn run(command: &Command) -> CliResult {
    let Command::Verify { files, expect } = command;
    let mut paths = Vec::new();
    files.iter().try_for_each(|path| collect(path, &mut paths))?;
    let mut read = Vec::new();
    for path in &paths {
        read.push((path.display().to_string(), files::read("read the audit log", path)?));
    }
    let opened: Vec<verify::File<'_>> =
        read.iter().map(|(name, bytes)| verify::File { name, bytes }).collect();
    let report = verify::verify(&opened, expect);
    if report.chains.is_empty() {
        return Err(Failure::new(Exit::Failed, "these files hold no line of an audit log"));
    }
    for fault in &report.faults {
        say!("{fault}")?;
    }
    for chain in &report.chains {
        say!(
            "chain {}: {}, {}; last {}",
            chain.instance,
            count(chain.lines, "line"),
            describe_end(chain),
            chain.last
        )?;
        report_gaps(chain);
    }
    if !report.faults.is_empty() {
        return Ok(Exit::Failed);
    }
    say!("whole: {} in {}", count(report.chains.len(), "chain"), count(paths.len(), "file"))?;
    if expect.is_empty() {
        note!("only --expect finds an end that was cut off: note each last hash elsewhere");
    }
    Ok(Exit::Done)
}

fn describe_end(chain: &ChainSummary) -> &'static str {
    if chain.is_ended { "stopped" } else { "not stopped: it runs, was killed, or its end is cut off" }
}

fn report_gaps(chain: &ChainSummary) {
    if chain.lost > 0 {
        note!(
            "chain {}: {} lost, as its own lines report",
            chain.instance,
            count(chain.lost as usize, "event")
        );
    }
    if let Some(hash) = chain.follows_unseen {
        note!("chain {}: follows a line that is not in these files: {hash}", chain.instance);
    }
}

/// Collects a file, or the files of a folder and of the folders in it.
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
    entries.retain(|path| path.is_dir() || path.extension().is_some_and(|end| end == "jsonl"));
    entries.iter().try_for_each(|entry| collect(entry, into))
}
