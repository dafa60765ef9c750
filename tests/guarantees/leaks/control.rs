//! The control: the same job in a program without any precaution, and the same scan of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use sealprove::protocol::Scheme;
use tempfile::TempDir;

use super::cores;
use super::needles::{Encoding, Kind, What};
use super::report::{May, Place, Report};
use super::scan::Scanner;
use super::{BLINDING_HEX, BLINDING_MONTGOMERY, VALUE_MONTGOMERY};
use crate::kit::{RawJob, example};

/// Secrets left when the seal is open: those that opened it, on the stack.
const OPENED: [Kind; 2] = [(What::AeadKey, Encoding::Limb), (What::BaseNonce, Encoding::Raw)];
/// Secrets left after the proof, in blocks that were freed. An allocator uses the first bytes of such a block
/// itself, so there are limbs where there was a whole.
const PROVED: [Kind; 4] =
    [BLINDING_HEX, BLINDING_MONTGOMERY, VALUE_MONTGOMERY, (What::PrivateKey, Encoding::Limb)];

/// The program.
struct Bare {
    child: Child,
    said: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Bare {
    fn start(scheme: Scheme, key: &[u8], job: &RawJob) -> Self {
        let folder = tempfile::Builder::new().prefix("sealprove-bare-").tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("write a file");
            path
        };
        let files = [file("key", key), file("info", &job.info), file("payload", &job.payload)];
        let mut command = Command::new(example("bare"));
        command.arg(scheme.as_str()).args(files).current_dir(folder.path()).env_clear();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start it");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        Bare { child, said, folder }
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Waits until it is there.
    fn is_at(&mut self, place: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("read what it says");
        assert_eq!(line.trim_end(), place);
    }

    fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("write to it");
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at the program when it has opened the seal, after its proof, and at the core that it leaves.
pub(crate) async fn run(report: &mut Report, scanner: &Scanner, scheme: Scheme, key: &[u8], job: &RawJob) {
    let mut bare = Bare::start(scheme, key, job);
    let control = format!("control ({})", scheme.as_str());
    let mut look = |name: &str, bare: &Bare, wanted: &[Kind]| {
        let scan = scanner.process(bare.pid()).expect("a process");
        report.add(Place::new(name, May::HoldAll(wanted.to_vec()), scan));
    };
    bare.is_at("opened");
    look(&format!("{control}: no precautions, opened"), &bare, &OPENED);
    bare.go_on();
    bare.is_at("proved");
    look(&format!("{control}: no precautions, proved"), &bare, &PROVED);
    if cores::elsewhere().is_none() {
        let scan = cores::attempt(bare.pid(), bare.folder.path(), scanner).await;
        report.add(Place::new(&format!("{control}: its core dump"), May::HoldAll(PROVED.to_vec()), scan));
    }
}
