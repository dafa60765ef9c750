//! Admission: everything about a job that can be judged without a key, the cheapest first.

use super::Shared;
use super::delivery::Job;
use crate::bundle::BundleCircuit;
use crate::envelope::{Scheme, sealed_bytes};
use crate::wire::{Code, HeaderFault, JobHeader, LIFETIME_SECONDS_MAX, SKEW_SECONDS};

/// What files and documents begin with that somebody might send instead of a seal.
const MAGICS: [&[u8]; 8] = [
    b"PCZT",
    b"midnight:",
    b"%PDF-",
    b"PK\x03\x04",
    b"age-encryption.org/",
    b"-----BEGIN ",
    // JSON after the byte order mark that some editors put before it.
    b"\xef\xbb\xbf{",
    b"\xef\xbb\xbf[",
];

/// What is to be done with a job that is not proved here and now.
pub(super) enum NotNow {
    /// It has its answer already.
    Answered,
    /// It is refused, and that is its answer.
    Refused(Code),
    /// Another service, or this one later, can do it.
    HandBack(&'static str),
}

impl From<Code> for NotNow {
    fn from(code: Code) -> Self {
        NotNow::Refused(code)
    }
}

/// The header of a job that is worth a process.
pub(super) fn check(job: &Job, shared: &Shared) -> Result<JobHeader, NotNow> {
    let payload = &job.message.payload;
    if is_plaintext(payload) {
        return Err(Code::PlaintextRejected.into());
    }
    let header = header(job)?;
    let circuit = circuit(job, &header, shared)?;
    if payload.len() < sealed_bytes(Scheme::X25519, 0) {
        return Err(Code::MalformedJob.into());
    }
    if payload.len() > sealed_bytes(Scheme::X25519, circuit.witness_bytes_max as usize) {
        return Err(Code::WitnessTooLarge.into());
    }
    lifetime(job, &header, shared)?;
    match shared.chambers.live() {
        None => Err(NotNow::HandBack("the chamber is not ready")),
        Some(chamber) if !chamber.keys.contains(&header.key) => Err(Code::KeyUnknown.into()),
        Some(_) => Ok(header),
    }
}

/// A witness in clear: the payload parses whole as JSON, or begins as a known format does. Ciphertext
/// does neither but by chance of less than one in 2^32.
fn is_plaintext(payload: &[u8]) -> bool {
    let is_magic = MAGICS.iter().any(|magic| payload.starts_with(magic));
    is_magic || serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
}

fn header(job: &Job) -> Result<JobHeader, Code> {
    let headers = job.message.headers.iter().flat_map(|headers| headers.iter());
    let pairs = headers.flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| (name, value.as_str()))
    });
    JobHeader::parse(job.subject.clone(), pairs).map_err(|fault| match fault {
        HeaderFault::Version => Code::UnsupportedVersion,
        _ => Code::MalformedJob,
    })
}

/// The job's circuit as the bundle lists it, if its tenant may use it; the chamber has built all of them.
fn circuit<'a>(job: &Job, header: &JobHeader, shared: &'a Shared) -> Result<&'a BundleCircuit, Code> {
    let listed = shared.bundle.circuit(&job.subject.circuit).ok_or(Code::CircuitNotFound)?;
    if !shared.config.tenants.may_use(&job.subject.tenant, &job.subject.circuit) {
        return Err(Code::NotAuthorized);
    }
    if !header.verifying_key.takes(listed.verifying_key) {
        return Err(Code::VerifyingKeyMismatch);
    }
    Ok(listed)
}

fn lifetime(job: &Job, header: &JobHeader, shared: &Shared) -> Result<(), Code> {
    if header.expires > job.stored_at_ms / 1000 + LIFETIME_SECONDS_MAX + SKEW_SECONDS {
        return Err(Code::MalformedJob);
    }
    if !shared.can_be_done(&job.subject.circuit, job.payload_bytes(), header.expires) {
        return Err(Code::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_plaintext;

    #[test]
    fn plaintext_is_known_by_its_form() {
        for payload in [
            &b"{\"value\": 1}"[..],
            b"[1,2]",
            b" \"text\" ",
            b"PCZT\x01\0\0\0rest",
            b"midnight:proof-preimage",
            b"\xef\xbb\xbf{\"value\": 1}",
            b"\xef\xbb\xbf[1,2]",
        ] {
            assert!(is_plaintext(payload), "{payload:?}");
        }
        for payload in [&b""[..], b"{\"value\": 1", b"\x00\x01\x02", b"{} trailing", b"\xef\xbb\xbf"] {
            assert!(!is_plaintext(payload), "{payload:?}");
        }
    }
}
