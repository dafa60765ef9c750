//! Reading and writing the user's files.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::exit::{Exit, Failure};
use super::output;
use crate::private_file;

/// Largest file that is read as a witness, in bytes.
const WITNESS_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{step} {path}")]
pub(crate) struct FileError {
    step: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Failure::new(Exit::Failed, error)
    }
}

/// Reads a witness from a file, or from standard input if the path is `-`.
pub(crate) fn read_witness(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let failed = |source| FileError { step: "read the witness", path: path.to_owned(), source };
    // The vector has its final size from the start: growing it would leave unwiped blocks behind.
    let mut witness = Zeroizing::new(Vec::with_capacity(witness_capacity(path)));
    let reader: Box<dyn Read> = if is_standard(path) {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    reader.take(WITNESS_BYTES_MAX + 1).read_to_end(&mut witness).map_err(failed)?;
    if witness.len() as u64 > WITNESS_BYTES_MAX {
        return Err(failed(std::io::Error::other("larger than 8 MiB")));
    }
    Ok(witness)
}

fn witness_capacity(path: &Path) -> usize {
    let size = std::fs::metadata(path).map_or(64 * 1024, |metadata| metadata.len());
    usize::try_from(size.min(WITNESS_BYTES_MAX) + 1).unwrap_or(0)
}

/// Reads a file, or standard input if the path is `-`.
pub(crate) fn read(step: &'static str, path: &Path) -> Result<Vec<u8>, FileError> {
    let read = if is_standard(path) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|source| FileError { step, path: path.to_owned(), source })
}

/// Reads a file that only its owner and group may read.
pub(crate) fn read_secret(step: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let failed = |source| FileError { step, path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o007 != 0 {
        let others = "others can read it; run chmod o-rwx on it, and consider it disclosed";
        return Err(failed(std::io::Error::other(others)));
    }
    Ok(Zeroizing::new(std::fs::read(path).map_err(failed)?))
}

/// Writes a file, or standard output if the path is `-`.
pub(crate) fn write(step: &'static str, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_standard(path) {
        return Ok(output::bytes(bytes)?);
    }
    let written = std::fs::write(path, bytes);
    Ok(written.map_err(|source| FileError { step, path: path.to_owned(), source })?)
}

/// Checks that [`write`] could write a file now, without changing it, so that a wrong path is found before a proof is made.
pub(crate) fn check_writable(step: &'static str, path: &Path) -> Result<(), FileError> {
    let checked = if is_standard(path) {
        Ok(())
    } else if path.exists() {
        File::options().write(true).open(path).map(drop)
    } else {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        tempfile::tempfile_in(folder.unwrap_or(Path::new("."))).map(drop)
    };
    checked.map_err(|source| FileError { step, path: path.to_owned(), source })
}

/// Writes a new file that only its owner can read.
pub(crate) fn write_secret(step: &'static str, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let written = private_file::write_new(path, bytes);
    written.map_err(|source| FileError { step, path: path.to_owned(), source })
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}
