//! Admission: everything about a job that can be judged without a key, the cheapest first. Pure: what it
//! judges by is handed to it.

use crate::bundle::BundleCircuit;
use crate::config::Tenants;
use crate::envelope::{Scheme, sealed_bytes};
use crate::frame::ReadyKey;
use crate::job::{JobSubject, KeyId};
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

/// A job's message.
pub(crate) struct Message<'a, H> {
    /// What its subject says.
    pub(crate) subject: &'a JobSubject,
    /// Names and values, as often and in the order in which they stand there.
    pub(crate) headers: H,
    pub(crate) payload: &'a [u8],
    /// Its timestamp in the stream, in Unix seconds.
    pub(crate) stored_at: u64,
}

/// What a message is judged by.
pub(crate) struct Recipient<'a> {
    /// The circuits that the chamber has built.
    pub(crate) circuits: &'a [BundleCircuit],
    pub(crate) tenants: &'a Tenants,
    /// The keys that the chamber has; none, while none is ready.
    pub(crate) keys: Option<&'a Keys>,
    /// The earliest moment at which a proof could be there, in Unix milliseconds.
    pub(crate) done_at_ms: u64,
}

/// What is known of the private keys: all but themselves.
#[derive(Default)]
pub(crate) struct Keys {
    /// Those that are there.
    pub(crate) ready: Vec<ReadyKey>,
    /// Those that were there once, and are destroyed.
    pub(crate) destroyed: Vec<KeyId>,
}

impl Keys {
    /// How this key is sealed to, if it is there.
    pub(crate) fn scheme_of(&self, id: &KeyId) -> Option<Scheme> {
        self.ready.iter().find(|key| key.id == *id).map(|key| key.scheme)
    }

    /// Why it is not there.
    fn missing(&self, id: &KeyId) -> Code {
        if self.destroyed.contains(id) { Code::KeyRetired } else { Code::KeyUnknown }
    }
}

/// What is to be done with a job that is not proved here and now.
#[derive(Debug)]
pub(crate) enum NotNow {
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
pub(crate) fn judge<'a, H>(message: Message<'a, H>, recipient: &Recipient<'_>) -> Result<JobHeader, NotNow>
where
    H: Iterator<Item = (&'a str, &'a str)>,
{
    let Message { subject, headers, payload, stored_at } = message;
    if is_plaintext(payload) {
        return Err(Code::PlaintextRejected.into());
    }
    let header = header(subject, headers)?;
    let circuit = circuit(&header, recipient)?;
    if header.expires > stored_at + LIFETIME_SECONDS_MAX + SKEW_SECONDS {
        return Err(Code::MalformedJob.into());
    }
    if !is_in_time(recipient.done_at_ms, header.expires) {
        return Err(Code::Expired.into());
    }
    let keys = recipient.keys.ok_or(NotNow::HandBack("the chamber is not ready"))?;
    let scheme = keys.scheme_of(&header.key).ok_or_else(|| keys.missing(&header.key))?;
    if payload.len() < sealed_bytes(scheme, 0) {
        return Err(Code::MalformedJob.into());
    }
    if payload.len() > sealed_bytes(scheme, circuit.witness_bytes_max as usize) {
        return Err(Code::WitnessTooLarge.into());
    }
    Ok(header)
}

/// Whether what is done at `done_at_ms`, in Unix milliseconds, is done before `expires`, in seconds.
pub(super) fn is_in_time(done_at_ms: u64, expires: u64) -> bool {
    done_at_ms < expires.saturating_mul(1000)
}

/// A witness in clear: the payload parses whole as JSON, or begins as a known format does. Ciphertext
/// does neither but by chance of less than one in 2^32.
fn is_plaintext(payload: &[u8]) -> bool {
    let is_magic = MAGICS.iter().any(|magic| payload.starts_with(magic));
    is_magic || serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
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

/// The job's circuit, if its tenant may use it. Whether the bundle still lists it does not matter: a job may have
/// waited since it did, or its client have the bundle before.
fn circuit<'a>(header: &JobHeader, recipient: &Recipient<'a>) -> Result<&'a BundleCircuit, Code> {
    let JobSubject { tenant, circuit, .. } = &header.subject;
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
