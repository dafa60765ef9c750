//! Redacting a proved PCZT for an open answer, which every reader of the broker may see.
//!
//! The result holds what the transaction will show on the chain, the proof included. Every optional field is
//! cleared: most of them are private, and the owner has the others. Signatures and `bsk` are cleared too:
//! with them and the proof, a reader of the answer could complete the transaction and send it.

use pczt::Pczt;
use pczt::roles::redactor::Redactor;
use pczt::roles::redactor::orchard::{ActionRedactor, OrchardRedactor};

use super::document::Document;
use super::statement::Pool;

/// Redacts an output document. Returns nothing of one that does not decode.
pub(super) fn redact(output: &[u8]) -> Vec<u8> {
    let redacted = Document::parse(output)
        .map(|document| Document { pczt: redact_pczt(document.pczt), ..document })
        .and_then(Document::encode);
    // What cannot be decoded cannot be redacted either, so none of it is disclosed.
    redacted.unwrap_or_default()
}

/// Clears every field that the format lets a proved PCZT drop.
pub(super) fn redact_pczt(pczt: Pczt) -> Pczt {
    // All optional fields, and not the private ones only: the owner has them, so a field too many costs
    // nothing and a field too few discloses it.
    Redactor::new(pczt)
        .redact_global_with(|mut global| global.clear_proprietary())
        .redact_transparent_with(|mut transparent| {
            transparent.redact_inputs(|mut input| {
                input.clear_script_sig();
                input.clear_redeem_script();
                input.clear_partial_signatures();
                // A derivation has the fingerprint of the wallet's seed, which links its transactions.
                input.clear_bip32_derivation();
                input.clear_ripemd160_preimages();
                input.clear_sha256_preimages();
                input.clear_hash160_preimages();
                input.clear_hash256_preimages();
                input.clear_proprietary();
            });
            transparent.redact_outputs(|mut output| {
                output.clear_redeem_script();
                output.clear_bip32_derivation();
                output.clear_user_address();
                output.clear_proprietary();
            });
        })
        .redact_sapling_with(|mut sapling| {
            sapling.redact_spends(|mut spend| {
                spend.clear_spend_auth_sig();
                spend.clear_recipient();
                spend.clear_value();
                spend.clear_rcm();
                spend.clear_rseed();
                spend.clear_rcv();
                spend.clear_proof_generation_key();
                spend.clear_witness();
                spend.clear_alpha();
                spend.clear_zip32_derivation();
                spend.clear_dummy_ask();
                spend.clear_proprietary();
            });
            sapling.redact_outputs(|mut output| {
                output.clear_recipient();
                output.clear_value();
                output.clear_rseed();
                output.clear_rcv();
                output.clear_ock();
                output.clear_zip32_derivation();
                output.clear_user_address();
                output.clear_proprietary();
            });
            sapling.clear_bsk();
        })
        .redact_orchard_with(redact_bundle)
        .redact_ironwood_with(redact_bundle)
        .finish()
}

fn redact_bundle(mut bundle: OrchardRedactor<'_>) {
    bundle.redact_actions(|mut action| {
        redact_action(&mut action);
        action.clear_spend_auth_sig();
    });
    bundle.clear_bsk();
}

fn redact_action(action: &mut ActionRedactor<'_>) {
    action.clear_spend_recipient();
    action.clear_spend_value();
    action.clear_spend_rho();
    action.clear_spend_rseed();
    action.clear_spend_fvk();
    action.clear_spend_witness();
    action.clear_spend_alpha();
    action.clear_spend_zip32_derivation();
    action.clear_spend_dummy_sk();
    action.clear_spend_proprietary();
    action.clear_output_recipient();
    action.clear_output_value();
    action.clear_output_rseed();
    action.clear_output_ock();
    action.clear_output_zip32_derivation();
    action.clear_output_user_address();
    action.clear_output_proprietary();
    action.clear_rcv();
}

/// Keeps the private fields of one action of one bundle only.
pub(super) fn isolate(pczt: Pczt, pool: Pool, kept: usize) -> Pczt {
    let others: Vec<usize> = (0..pool.bundle(&pczt).actions().len()).filter(|index| *index != kept).collect();
    let redact = |mut bundle: OrchardRedactor<'_>| {
        for index in others {
            bundle.redact_action(index, |mut action| redact_action(&mut action));
        }
    };
    let redactor = Redactor::new(pczt);
    match pool {
        Pool::Orchard => redactor.redact_orchard_with(redact),
        Pool::Ironwood => redactor.redact_ironwood_with(redact),
    }
    .finish()
}

/// Removes the proofs of the pools for which `removed` returns `true`.
pub(super) fn without_proofs(pczt: Pczt, mut removed: impl FnMut(Pool) -> bool) -> Pczt {
    let mut redactor = Redactor::new(pczt);
    if removed(Pool::Orchard) {
        redactor = redactor.redact_orchard_with(|mut bundle| bundle.clear_zkproof());
    }
    if removed(Pool::Ironwood) {
        redactor = redactor.redact_ironwood_with(|mut bundle| bundle.clear_zkproof());
    }
    redactor.finish()
}
