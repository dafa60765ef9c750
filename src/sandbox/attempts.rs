//! What `sealprove doctor` tries inside a job process: a circuit that breaks the rules, one at a time, after
//! its seal was opened. Its witness is the name of what it is to try.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::circuit::{
    BuildError, CheckedWitness, Circuit, Descriptor, InvalidWitness, Proof, ProveError, ProvingKey,
    PublicInputs, VerifyError, VerifyingKey,
};
use crate::frame::End;
use crate::protocol::{CircuitId, Sha256Digest, VerifyingKeyDigest};

/// The ceiling that the doctor gives its jobs, in bytes.
pub(crate) const MEMORY_BYTES: u64 = 32 << 20;
/// How long it lets them live.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Something that a job process must not be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    OpenFile,
    ConnectTcp,
    SendUdp,
    StartProgram,
    StartThread,
    SignalChamber,
    TakeMemory,
    TakeTime,
}

impl Attempt {
    pub(crate) const ALL: [Attempt; 8] = [
        Attempt::OpenFile,
        Attempt::ConnectTcp,
        Attempt::SendUdp,
        Attempt::StartProgram,
        Attempt::StartThread,
        Attempt::SignalChamber,
        Attempt::TakeMemory,
        Attempt::TakeTime,
    ];

    /// For a person.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Attempt::OpenFile => "open a file",
            Attempt::ConnectTcp => "connect by TCP",
            Attempt::SendUdp => "send by UDP",
            Attempt::StartProgram => "start a program",
            Attempt::StartThread => "start a thread",
            Attempt::SignalChamber => "signal the chamber",
            Attempt::TakeMemory => "take more memory than granted",
            Attempt::TakeTime => "outlive its limit",
        }
    }

    /// How its process must end.
    pub(crate) fn end(self) -> End {
        match self {
            Attempt::TakeMemory => End::OutOfMemory,
            Attempt::TakeTime => End::TimedOut,
            _ => End::Violation,
        }
    }

    /// Tries it. That it came of it is not said: the process should not be there any more.
    fn make(self) {
        let nobody = (Ipv4Addr::LOCALHOST, 9);
        match self {
            Attempt::OpenFile => drop(std::fs::File::open("/etc/hostname")),
            Attempt::ConnectTcp => drop(TcpStream::connect(nobody)),
            Attempt::SendUdp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
                drop(socket.and_then(|socket| socket.send_to(b"out", nobody)));
            }
            Attempt::StartProgram => drop(std::process::Command::new("/bin/true").spawn()),
            Attempt::StartThread => drop(std::thread::Builder::new().spawn(|| {})),
            Attempt::SignalChamber => {
                let signal = rustix::process::Signal::CONT;
                let _ =
                    rustix::process::getppid().map(|chamber| rustix::process::kill_process(chamber, signal));
            }
            Attempt::TakeMemory => {
                let bytes = usize::try_from(MEMORY_BYTES).unwrap_or(usize::MAX);
                drop(std::hint::black_box(vec![1_u8; bytes.saturating_mul(2)]));
            }
            Attempt::TakeTime => std::thread::sleep(TIME_LIMIT * 10),
        }
    }
}

/// A circuit that tries, and proves nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts;

impl Attempts {
    pub(crate) fn id() -> CircuitId {
        "doctor-v1".parse().expect("cannot panic: the constant is a circuit name")
    }
}

const VERIFYING_KEY: VerifyingKeyDigest = Sha256Digest([0; 32]);

impl Circuit for Attempts {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: Attempts::id(),
            summary: "breaks the rules of a job process, one at a time",
            media_type: "text/plain",
            schema: None,
            output_media_type: None,
            verifying_keys: vec![("none", VERIFYING_KEY)],
            witness_bytes_max: 256,
            answer_bytes_max: 4096,
            time_limit: TIME_LIMIT,
            memory_bytes: MEMORY_BYTES,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<CheckedWitness, InvalidWitness> {
        let wanted = Attempt::ALL.into_iter().find(|attempt| attempt.as_str().as_bytes() == witness);
        wanted.into_iter().for_each(Attempt::make);
        Ok(CheckedWitness::new(wanted, PublicInputs(Vec::new())))
    }

    fn sample_witness(&self) -> Vec<u8> {
        b"nothing".to_vec()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(Attempts))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(Attempts))
    }
}

impl ProvingKey for Attempts {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        vec![("none", VERIFYING_KEY)]
    }

    fn prove(&self, witness: CheckedWitness) -> Result<Proof, ProveError> {
        let public_inputs = witness.into_public_inputs();
        Ok(Proof { proof: Vec::new(), public_inputs, output: None, verifying_key: VERIFYING_KEY })
    }

    fn verify(&self, _proof: &Proof) -> Result<(), VerifyError> {
        Ok(())
    }
}

impl VerifyingKey for Attempts {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        vec![("none", VERIFYING_KEY)]
    }

    fn verify(&self, _proof: &Proof) -> Result<(), VerifyError> {
        Ok(())
    }
}
