//! The actions that a job process must not survive, and a circuit that tries one: the doctor's proof that the locks hold.
//!
//! The circuit acts once its seal is open, where a hostile witness would. Its witness is the name of the action.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::circuit::{
    BuildError, CheckedWitness, Circuit, Descriptor, InvalidWitness, Proof, ProveError, ProvingKey,
    PublicInputs, VerifyError, VerifyingKey,
};
use crate::frame::End;
use crate::protocol::{BadName, CircuitId, Sha256Digest, VerifyingKeyDigest};

/// Memory ceiling of the doctor's jobs, in bytes.
pub(crate) const MEMORY_BYTES: u64 = 32 << 20;
/// Time limit of the doctor's jobs.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(2);

closed_set! {
    /// An action that a job process must not be able to take.
    pub(crate) ForbiddenAction, "forbidden action" {
        OpenFile = "open a file",
        ConnectTcp = "connect by TCP",
        SendUdp = "send by UDP",
        StartProgram = "start a program",
        StartThread = "start a thread",
        SignalChamber = "signal the chamber",
        TakeMemory = "take more memory than granted",
        TakeTime = "outlive its limit",
    }
}

impl ForbiddenAction {
    /// Returns the way in which the process must end.
    pub(crate) fn end(self) -> End {
        match self {
            ForbiddenAction::TakeMemory => End::OutOfMemory,
            ForbiddenAction::TakeTime => End::TimedOut,
            _ => End::Violation,
        }
    }

    /// Performs the action. Reports nothing: the process should have been killed.
    fn perform(self) {
        // The discard port. No one needs to listen there: the call itself is forbidden.
        let address = (Ipv4Addr::LOCALHOST, 9);
        match self {
            ForbiddenAction::OpenFile => drop(std::fs::File::open("/etc/hostname")),
            ForbiddenAction::ConnectTcp => drop(TcpStream::connect(address)),
            ForbiddenAction::SendUdp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
                drop(socket.and_then(|socket| socket.send_to(b"out", address)));
            }
            ForbiddenAction::StartProgram => drop(std::process::Command::new("/bin/true").spawn()),
            ForbiddenAction::StartThread => drop(std::thread::Builder::new().spawn(|| {})),
            ForbiddenAction::SignalChamber => {
                let signal = rustix::process::Signal::CONT;
                // Harmless if it gets through: the chamber is not stopped.
                let _ =
                    rustix::process::getppid().map(|chamber| rustix::process::kill_process(chamber, signal));
            }
            ForbiddenAction::TakeMemory => {
                let bytes = usize::try_from(MEMORY_BYTES).unwrap_or(usize::MAX);
                drop(std::hint::black_box(vec![1_u8; bytes.saturating_mul(2)]));
            }
            ForbiddenAction::TakeTime => std::thread::sleep(TIME_LIMIT * 10),
        }
    }
}

/// A circuit that performs a forbidden action, and proves nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleBreaker;

impl RuleBreaker {
    pub(crate) fn id() -> CircuitId {
        // Cannot panic: the constant is a circuit name.
        "doctor-v1".parse().expect("a circuit name")
    }
}

/// Stands for a key: this circuit has none.
const VERIFYING_KEY: VerifyingKeyDigest = Sha256Digest([0; 32]);

impl Circuit for RuleBreaker {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: RuleBreaker::id(),
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
        let wanted: Option<ForbiddenAction> = str::from_utf8(witness).ok().and_then(|name| name.parse().ok());
        wanted.into_iter().for_each(ForbiddenAction::perform);
        Ok(CheckedWitness::new(wanted, PublicInputs(Vec::new())))
    }

    fn sample_witness(&self) -> Vec<u8> {
        b"nothing".to_vec()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(RuleBreaker))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(RuleBreaker))
    }
}

impl ProvingKey for RuleBreaker {
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

impl VerifyingKey for RuleBreaker {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        vec![("none", VERIFYING_KEY)]
    }

    fn verify(&self, _proof: &Proof) -> Result<(), VerifyError> {
        Ok(())
    }
}
