//! Admission: every check of a job that needs no key, before a process is forked for it.
//!
//! This module does no I/O and reads no clock: everything that a job is checked against is handed in. The job process
//! repeats the checks, since the network side may be the attacker.

use crate::config::Tenants;
use crate::protocol::{
    BundleCircuit, CLOCK_SKEW_MAX, Code, HeaderFault, JOB_LIFETIME_MAX, JobHeader, JobSubject, UnixMillis,
    UnixSeconds, sealed_bytes,
};
use crate::service::prover::ChamberKeys;

/// First bytes of files and documents that a client might send unsealed by mistake, at least four each: a ciphertext
/// begins with given four bytes once in 2^32.
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

/// A job's message.
pub(crate) struct Message<'a, H> {
    /// Names from its subject.
    pub(crate) subject: &'a JobSubject,
    /// Names and values, repeated ones as often as they stand there.
    pub(crate) headers: H,
    pub(crate) payload: &'a [u8],
    /// Its timestamp in the stream.
    pub(crate) stored_at: UnixSeconds,
}

/// The recipient that a message is checked against.
pub(crate) struct Recipient<'a> {
    /// Circuits that the chamber has built.
    pub(crate) circuits: &'a [BundleCircuit],
    pub(crate) tenants: &'a Tenants,
    /// Keys of the chamber; `None` while no chamber is ready.
    pub(crate) keys: Option<&'a ChamberKeys>,
    /// Earliest moment at which a proof could be finished.
    pub(crate) earliest_finish: UnixMillis,
}

/// The outcome of admission.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The job is worth a process.
    Prove(JobHeader),
    /// The job is refused, and the code is its answer.
    Refuse(Code),
    /// Another service, or this one later, can tell. The reason is for the log.
    Retry(&'static str),
}

/// Checks a message.
pub(crate) fn check<'a, H>(message: Message<'a, H>, recipient: &Recipient<'_>) -> Admission
where
    H: Iterator<Item = (&'a str, &'a str)>,
{
    let Message { subject, headers, payload, stored_at } = message;
    let (header, circuit) = match check_header(subject, headers, payload, stored_at, recipient) {
        Ok(checked) => checked,
        Err(code) => return Admission::Refuse(code),
    };
    // Only now: a refusal by the header is the same whichever keys there are, and need not wait for a chamber.
    let Some(keys) = recipient.keys else { return Admission::Retry("the chamber is not ready") };
    match check_seal(&header, circuit, payload.len(), keys) {
        Ok(()) => Admission::Prove(header),
        Err(code) => Admission::Refuse(code),
    }
}

/// Checks everything that does not depend on the chamber's keys.
fn check_header<'a, 'r>(
    subject: &JobSubject,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    payload: &[u8],
    stored_at: UnixSeconds,
    recipient: &Recipient<'r>,
) -> Result<(JobHeader, &'r BundleCircuit), Code> {
    // Before the headers: a witness in clear has to be erased whatever else is wrong with the job.
    if is_plaintext(payload) {
        return Err(Code::PlaintextRejected);
    }
    let header = header(subject, headers)?;
    let circuit = circuit(&header, recipient)?;
    // From the broker's timestamp, which the publisher cannot choose. Answers are kept for twice this time, so a
    // captured job that is published again has its answer already, or has expired.
    if header.expires > stored_at + JOB_LIFETIME_MAX + CLOCK_SKEW_MAX {
        return Err(Code::MalformedJob);
    }
    if !is_in_time(recipient.earliest_finish, header.expires) {
        return Err(Code::Expired);
    }
    Ok((header, circuit))
}

/// Checks the key and the size of the sealed witness.
fn check_seal(
    header: &JobHeader,
    circuit: &BundleCircuit,
    payload_bytes: usize,
    keys: &ChamberKeys,
) -> Result<(), Code> {
    let scheme = keys.scheme(&header.key).ok_or_else(|| keys.missing_code(&header.key))?;
    if payload_bytes < sealed_bytes(scheme, 0) {
        return Err(Code::MalformedJob);
    }
    if payload_bytes > sealed_bytes(scheme, circuit.witness_bytes_max as usize) {
        return Err(Code::WitnessTooLarge);
    }
    Ok(())
}

/// Returns whether a proof that is finished at `finish` meets the deadline `expires`.
pub(super) fn is_in_time(finish: UnixMillis, expires: UnixSeconds) -> bool {
    finish < expires.to_millis()
}

/// Returns whether the payload is a witness in clear: it parses whole as JSON, or begins as a known format does.
fn is_plaintext(payload: &[u8]) -> bool {
    let is_known = MAGICS.iter().any(|magic| payload.starts_with(magic));
    is_known || serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
}

fn header<'a>(
    subject: &JobSubject,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<JobHeader, Code> {
    JobHeader::parse(subject.clone(), headers).map_err(|fault| match fault {
        HeaderFault::Version => Code::UnsupportedVersion,
        _ => Code::MalformedJob,
    })
}

/// Returns the job's circuit, if its tenant may use it.
fn circuit<'a>(header: &JobHeader, recipient: &Recipient<'a>) -> Result<&'a BundleCircuit, Code> {
    let JobSubject { tenant, circuit, .. } = &header.subject;
    // The circuits that are built, not those of the bundle: a job may have waited since a bundle that listed its
    // circuit, and its client may still have that one.
    let built = recipient.circuits.iter().find(|built| built.id == *circuit);
    let listed = built.ok_or(Code::CircuitNotFound)?;
    if !recipient.tenants.may_use(tenant, circuit) {
        return Err(Code::NotAuthorized);
    }
    if !header.verifying_key.takes(listed.verifying_key) {
        return Err(Code::VerifyingKeyMismatch);
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::is_plaintext;

    #[test]
    fn plaintext_is_recognised_by_its_form() {
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
