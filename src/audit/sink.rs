//! The sink of an audit log: standard output, or files in a folder that belongs to this start of the service.
//!
//! It is made before the service locks itself. A locked service can create new files in that one folder alone, so it cannot
//! touch the log of any earlier start.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::chain::Chain;
use crate::config::{AuditConfig, AuditTo};
use crate::protocol::{Sha256Digest, UnixSeconds, random::random_hex};

/// An audit log that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "start an audit log in {folder}; make the folder of [audit] in the configuration writable for the service"
)]
pub struct SinkError {
    folder: PathBuf,
    source: io::Error,
}

/// The sink of an audit log, with its chain.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    pub(super) chain: Chain,
    /// Hash of the last line of the previous start.
    pub(crate) follows: Option<Sha256Digest>,
}

#[derive(Debug)]
enum Target {
    Output,
    Files(Files),
}

impl Sink {
    /// Opens the sink that the configuration names. Returns `None` if it names none.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn create(config: &AuditConfig) -> Result<Option<Self>, SinkError> {
        let instance = random_hex::<16>();
        let (target, follows) = match (config.to, &config.folder) {
            (AuditTo::Off, _) => return Ok(None),
            (AuditTo::Folder, Some(folder)) => {
                let failed = |source| SinkError { folder: folder.clone(), source };
                let follows = last_line(folder).map_err(failed)?;
                let files =
                    Files::create(folder, &instance, config.file_bytes_max.as_u64()).map_err(failed)?;
                (Target::Files(files), follows)
            }
            // The configuration is refused if it wants a folder and names none.
            (AuditTo::Stdout, _) | (AuditTo::Folder, None) => (Target::Output, None),
        };
        Ok(Some(Sink { target, chain: Chain::new(instance), follows }))
    }

    /// Returns the folder in which it creates files.
    pub fn folder(&self) -> Option<&Path> {
        match &self.target {
            Target::Output => None,
            Target::Files(files) => Some(&files.folder),
        }
    }

    /// Writes a prefix of these bytes. Returns its length.
    pub(super) fn write(&mut self, bytes: &[u8], is_new_line: bool) -> io::Result<usize> {
        match &mut self.target {
            Target::Output => io::stdout().lock().write(bytes),
            Target::Files(files) => files.write(bytes, is_new_line),
        }
    }

    /// Has everything that was written on disk when it returns.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Output => io::stdout().lock().flush(),
            Target::Files(files) => files.file.sync_data(),
        }
    }

    /// A sink whose file takes no byte.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let files = Files { folder: "/nowhere".into(), file, number: 1, bytes: 0, bytes_max: u64::MAX };
        Sink { target: Target::Files(files), chain: Chain::new("0".repeat(32)), follows: None }
    }
}

/// The files of one start: `<folder>/<time>-<instance>/000001.jsonl` and so on. Each continues where the one before ended.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    file: File,
    number: u32,
    bytes: u64,
    bytes_max: u64,
}

impl Files {
    fn create(folder: &Path, instance: &str, bytes_max: u64) -> io::Result<Self> {
        let now = UnixSeconds::now().to_rfc3339().replace(['-', ':'], "");
        let own = folder.join(format!("{now}-{}", &instance[..8]));
        DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
        let file = create_file(&own, 1)?;
        Ok(Files { folder: own, file, number: 1, bytes: 0, bytes_max })
    }

    fn write(&mut self, bytes: &[u8], is_new_line: bool) -> io::Result<usize> {
        // No line is spread over two files: each can be read on its own.
        if is_new_line && self.bytes >= self.bytes_max {
            self.file.sync_data()?;
            self.file = create_file(&self.folder, self.number + 1)?;
            (self.number, self.bytes) = (self.number + 1, 0);
        }
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }
}

fn create_file(folder: &Path, number: u32) -> io::Result<File> {
    let path = folder.join(format!("{number:06}.jsonl"));
    File::options().append(true).create_new(true).mode(0o600).open(path)
}

/// Returns the hash of the last line of the newest start that has one.
fn last_line(folder: &Path) -> io::Result<Option<Sha256Digest>> {
    for start in newest_first(folder)? {
        for file in newest_first(&start)? {
            let bytes = std::fs::read(file)?;
            // Bytes after the last newline are a line that was not written whole.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map(|end| &bytes[..end]);
            if let Some(last) = whole.and_then(|whole| whole.rsplit(|byte| *byte == b'\n').next()) {
                return Ok(Some(Sha256Digest::hash(last)));
            }
        }
    }
    Ok(None)
}

/// Lists a folder by name, the last first: names begin with a time or a number. An absent folder is empty.
pub(super) fn newest_first(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.reverse();
    Ok(paths)
}
