//! Puts the proofs of a service's answer into the client's own PCZT, and takes nothing else over.

use pczt::Pczt;
use pczt::roles::combiner::Combiner;

use crate::circuit::{InvalidWitness, VerifyError};

use super::document::Document;
use super::redact::{redact_pczt, without_proofs};
use super::statement::Pool;

/// Returns the client's document with the proofs that it lacked, in the format version that it came in.
pub(super) fn combine(witness: &[u8], output: &[u8]) -> Result<Vec<u8>, VerifyError> {
    // Expanded like the output: the Combiner does not match a memo with its ciphertext, and a field that only
    // the output has would count as added.
    let original = Document::parse(witness)
        .and_then(Document::resolve)
        .map_err(|_| VerifyError("the witness is not a PCZT"))?;
    let offered = Document::parse(output).map_err(|_| VerifyError("the output is not a PCZT"))?.pczt;
    let combined = combine_pczts(&original.pczt, offered)?;
    let document = Document { pczt: combined, encoding: original.encoding };
    document.encode().map_err(|_| VerifyError("the combination cannot be written"))
}

fn combine_pczts(original: &Pczt, offered: Pczt) -> Result<Pczt, VerifyError> {
    // Redacted first, the offer can still contradict the original, but has hardly anything to add to it.
    let offered = redact_pczt(offered);
    if Pool::ALL.into_iter().any(|pool| pool.needs_proof(&offered)) {
        return Err(VerifyError("the output lacks a proof"));
    }
    let combined = Combiner::new(vec![original.clone(), offered])
        .combine()
        .map_err(|_| VerifyError("the output is not of the same transaction as the witness"))?;
    // Anything else that the Combiner took over shows as a difference once the proofs are removed.
    let rest = without_proofs(combined.clone(), |pool| pool.needs_proof(original));
    if contents(&rest) != contents(original) {
        return Err(VerifyError("the output adds more than proofs to the witness"));
    }
    Ok(combined)
}

/// Encodes the logical contents. Version 2 of the format can write every PCZT.
fn contents(pczt: &Pczt) -> Result<Vec<u8>, InvalidWitness> {
    Document { pczt: pczt.clone(), encoding: pczt::EncodingVersion::V2 }.encode()
}
