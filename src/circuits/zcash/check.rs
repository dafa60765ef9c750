//! The checks of a witness that need no proving.
//!
//! A witness that passes satisfies the circuit: every private input is there, and every public input follows
//! from them. So the prover cannot fail on it, and the client that sent a bad one learns which field is
//! wrong.
//!
//! Reasons are fixed text, and paths are names and indices: no value of the witness leaves this module.

use orchard::Address;
use orchard::note::{ExtractedNoteCommitment, Nullifier, RandomSeed, Rho};
use orchard::pczt::{Action, Bundle, ParseError, Spend, VerifyError};
use orchard::primitives::redpallas::{SpendAuth, VerificationKey};
use orchard::value::ValueCommitment;
use pczt::Pczt;
use pczt::orchard::EncCiphertext;
use pczt::roles::prover::Prover;
use pczt::roles::verifier::{OrchardError, Verifier};
use zcash_protocol::constants::V6_TX_VERSION;

use crate::circuit::InvalidWitness;

use super::document::Document;
use super::redact::isolate;
use super::statement::{KeyVersion, Pool, Statement};

const MISSING: &str = "is missing; the prover needs it";
const ENCODING: &str = "is not a valid encoding";

/// A PCZT that passed the check, with its compact fields resolved, and the statement that a proof of it
/// makes. Only [`check`] makes one.
pub(super) struct CheckedPczt {
    pub(super) document: Document,
    pub(super) statement: Statement,
}

/// Checks a witness.
pub(super) fn check(document: Document, actions_max: usize) -> Result<CheckedPczt, InvalidWitness> {
    let version = KeyVersion::from_pczt(&document.pczt)?;
    // The number of actions is bounded before `resolve` and `orchard` compute with any of them.
    check_work(&document.pczt, actions_max)?;
    check_ironwood(&document.pczt, version)?;
    let document = document.resolve()?;
    let pczt = &document.pczt;
    let statement = Statement::from_pczt(pczt, |pool| pool.needs_proof(pczt))?;
    // Bundles that have a proof already are not looked at: nothing is proved of them.
    for bundle in &statement.bundles {
        check_public(pczt, bundle.pool)?;
        check_private(pczt, bundle.pool)?;
    }
    Ok(CheckedPczt { document, statement })
}

/// Checks that there is something to prove, that this circuit can prove all of it, and that it is not too
/// much.
fn check_work(pczt: &Pczt, actions_max: usize) -> Result<(), InvalidWitness> {
    let Some(first) = Pool::ALL.into_iter().find(|pool| !pool.bundle(pczt).actions().is_empty()) else {
        return Err(InvalidWitness::whole("has no Orchard and no Ironwood actions: nothing to prove"));
    };
    if Pool::ALL.iter().map(|pool| pool.bundle(pczt).actions().len()).sum::<usize>() > actions_max {
        return Err(InvalidWitness::whole(
            "has more actions, over both bundles, than this service proves in one transaction",
        ));
    }
    if !Pool::ALL.into_iter().any(|pool| pool.needs_proof(pczt)) {
        return Err(InvalidWitness::at(first.path("zkproof"), "is there already: nothing left to prove"));
    }
    if Prover::new(pczt.clone()).requires_sapling_proofs() {
        return Err(InvalidWitness::at(
            "sapling",
            "needs Sapling proofs, which this circuit does not make; make them first and submit what comes out",
        ));
    }
    Ok(())
}

/// Checks that a PCZT with Ironwood actions can have them: in version 6 transactions, from NU6.3 on.
fn check_ironwood(pczt: &Pczt, version: KeyVersion) -> Result<(), InvalidWitness> {
    if pczt.ironwood().actions().is_empty() {
        return Ok(());
    }
    if version < KeyVersion::PostNu6_3 {
        return Err(InvalidWitness::at(
            "ironwood",
            "has actions, and the consensus branch has no Ironwood pool",
        ));
    }
    // An earlier transaction has no field for the bundle, so the proof could never be sent.
    if *pczt.global().tx_version() < V6_TX_VERSION {
        return Err(InvalidWitness::at("global.tx_version", "has no Ironwood bundle; expected 6 or later"));
    }
    Ok(())
}

/// Checks the fields of a bundle that can be decoded one by one, so that an error in them has its index.
fn check_public(pczt: &Pczt, pool: Pool) -> Result<(), InvalidWitness> {
    for (index, action) in pool.bundle(pczt).actions().iter().enumerate() {
        let valid = |valid: bool, field| match valid {
            true => Ok(()),
            false => Err(InvalidWitness::at(pool.action_path(index, field), ENCODING)),
        };
        let (spend, output) = (action.spend(), action.output());
        // The nullifier of the spent note is the rho of the new one (ZIP 224), so it has to decode as both.
        let rho = Rho::from_bytes(spend.nullifier()).into_option();
        valid(Nullifier::from_bytes(spend.nullifier()).is_some().into() && rho.is_some(), "spend.nullifier")?;
        valid(VerificationKey::<SpendAuth>::try_from(*spend.rk()).is_ok(), "spend.rk")?;
        valid(action.cv_net().is_some_and(|cv| ValueCommitment::from_bytes(&cv).is_some().into()), "cv_net")?;
        valid(
            output.cmx().is_some_and(|cmx| ExtractedNoteCommitment::from_bytes(&cmx).is_some().into()),
            "output.cmx",
        )?;
        // A note of 52 bytes, its memo of 512 and a tag of 16; in the other ciphertext, two keys of 32 bytes
        // and a tag.
        let enc_ciphertext = output.enc_ciphertext();
        valid(
            matches!(enc_ciphertext, EncCiphertext::Encrypted(bytes) if bytes.len() == 580),
            "output.enc_ciphertext",
        )?;
        valid(output.out_ciphertext().len() == 80, "output.out_ciphertext")?;
        let recipient = output.recipient().as_ref();
        valid(
            recipient.is_none_or(|raw| Address::from_raw_address_bytes(raw).is_some().into()),
            "output.recipient",
        )?;
        let rseed = output.rseed().zip(rho);
        valid(
            rseed.is_none_or(|(seed, rho)| RandomSeed::from_bytes(seed, &rho).is_some().into()),
            "output.rseed",
        )?;
    }
    Ok(())
}

/// Checks the private fields of a bundle, which `pczt` shows only in their decoded form.
fn check_private(pczt: &Pczt, pool: Pool) -> Result<(), InvalidWitness> {
    inspect(pczt.clone(), pool, |bundle| check_bundle(bundle, pool)).map_err(|error| match error {
        Trouble::Refused(refused) => refused,
        // A decoding error has no index. Copies that keep the private fields of a single action show which of
        // them fails the same way.
        Trouble::Undecodable(whole) => (0..pool.bundle(pczt).actions().len())
            .find_map(|index| match inspect(isolate(pczt.clone(), pool, index), pool, |_| Ok(())) {
                Err(Trouble::Undecodable(error)) => Some(undecodable(&error, pool, Some(index))),
                _ => None,
            })
            .unwrap_or_else(|| undecodable(&whole, pool, None)),
    })
}

/// A bundle that was not accepted.
enum Trouble {
    Undecodable(pczt::orchard::ParseError),
    Refused(InvalidWitness),
}

/// Decodes one bundle of a PCZT and passes it to `check`.
fn inspect(
    pczt: Pczt,
    pool: Pool,
    check: impl FnOnce(&Bundle) -> Result<(), InvalidWitness>,
) -> Result<(), Trouble> {
    let verifier = Verifier::new(pczt);
    let check = |bundle: &Bundle| check(bundle).map_err(OrchardError::Custom);
    let seen = match pool {
        Pool::Orchard => verifier.with_orchard(check),
        Pool::Ironwood => verifier.with_ironwood(check),
    };
    seen.map(|_| ()).map_err(|error| match error {
        OrchardError::Parse(error) => Trouble::Undecodable(error),
        OrchardError::Custom(refused) => Trouble::Refused(refused),
        _ => Trouble::Refused(InvalidWitness::at(pool.label(), "is not a bundle of its consensus branch")),
    })
}

/// Names the field of a decoding error.
fn undecodable(error: &pczt::orchard::ParseError, pool: Pool, index: Option<usize>) -> InvalidWitness {
    let pczt::orchard::ParseError::Bundle(error) = error else {
        return InvalidWitness::at(pool.path("anchor"), MISSING);
    };
    let (field, reason) = match error {
        ParseError::InvalidAnchor => return InvalidWitness::at(pool.path("anchor"), ENCODING),
        ParseError::InvalidBindingSignatureSigningKey => {
            return InvalidWitness::at(pool.path("bsk"), ENCODING);
        }
        ParseError::UnexpectedFlagBitsSet => {
            return InvalidWitness::at(pool.path("flags"), "has bits set that its consensus branch reserves");
        }
        ParseError::InvalidNoteVersion => {
            return InvalidWitness::at(pool.path("note_version"), "is not the version of this pool's notes");
        }
        ParseError::InvalidDummySpendingKey => ("spend.dummy_sk", ENCODING),
        ParseError::InvalidFullViewingKey => ("spend.fvk", ENCODING),
        ParseError::InvalidRandomSeed => ("spend.rseed", ENCODING),
        ParseError::InvalidRecipient => ("spend.recipient", ENCODING),
        ParseError::InvalidRho => ("spend.rho", ENCODING),
        ParseError::MissingRho => ("spend.rho", MISSING),
        ParseError::InvalidSpendAuthRandomizer => ("spend.alpha", ENCODING),
        ParseError::InvalidWitness => ("spend.witness", ENCODING),
        ParseError::InvalidValueCommitTrapdoor => ("rcv", ENCODING),
        ParseError::InvalidZip32Derivation => {
            ("zip32_derivation", "has an index that is not hardened, in the spend or in the output")
        }
        // Fields that `check_public` has decoded already, and errors that a later version of `pczt` may add.
        _ => return InvalidWitness::at(pool.label(), "does not decode"),
    };
    match index {
        Some(index) => InvalidWitness::at(pool.action_path(index, field), reason),
        None => InvalidWitness::at(pool.path(field), reason),
    }
}

fn check_bundle(bundle: &Bundle, pool: Pool) -> Result<(), InvalidWitness> {
    for (index, action) in bundle.actions().iter().enumerate() {
        check_action(bundle, action)
            .map_err(|(field, reason)| InvalidWitness::at(pool.action_path(index, field), reason))?;
    }
    // `orchard` compares here what the circuit compares.
    bundle.verify_cross_address_restriction().map_err(|_| {
        InvalidWitness::at(
            pool.path("actions"),
            "pay to another address than they spend from, which this bundle's flags forbid",
        )
    })
}

/// A field of an action, and the reason why it is refused.
type Wrong = (&'static str, &'static str);

fn check_action(bundle: &Bundle, action: &Action) -> Result<(), Wrong> {
    let (spend, output) = (action.spend(), action.output());
    // The format has all of these as optional. Looked for first, so that a field that is missing is told
    // apart from one that is wrong.
    for (there, field) in [
        (spend.recipient().is_some(), "spend.recipient"),
        (spend.value().is_some(), "spend.value"),
        (spend.rho().is_some(), "spend.rho"),
        (spend.rseed().is_some(), "spend.rseed"),
        (spend.fvk().is_some(), "spend.fvk"),
        (spend.witness().is_some(), "spend.witness"),
        (spend.alpha().is_some(), "spend.alpha"),
        (output.recipient().is_some(), "output.recipient"),
        (output.value().is_some(), "output.value"),
        (output.rseed().is_some(), "output.rseed"),
        (action.rcv().is_some(), "rcv"),
    ] {
        if !there {
            return Err((field, MISSING));
        }
    }
    // Each of these computes a public input from the private ones, as the circuit does, so that a
    // contradiction has the name of its field.
    spend.verify_nullifier(None).map_err(wrong)?;
    // `orchard` makes no instance of such an action, so a proof of it could not be verified.
    if spend.rk().is_identity() {
        return Err(("spend.rk", "is the identity, which consensus forbids"));
    }
    spend.verify_rk(None).map_err(wrong)?;
    output.verify_note_commitment(spend).map_err(wrong)?;
    action.verify_cv_net().map_err(wrong)?;
    check_flags(bundle, action)?;
    check_path(bundle, spend)
}

/// Checks that a side which the flags disable has no value: the circuit allows only notes of value 0 there.
fn check_flags(bundle: &Bundle, action: &Action) -> Result<(), Wrong> {
    const DISABLED: &str = "is not zero, and the bundle's flags disable this side";
    let valuable = |value: &Option<orchard::value::NoteValue>| value.is_some_and(|value| value.inner() != 0);
    if !bundle.flags().spends_enabled() && valuable(action.spend().value()) {
        return Err(("spend.value", DISABLED));
    }
    if !bundle.flags().outputs_enabled() && valuable(action.output().value()) {
        return Err(("output.value", DISABLED));
    }
    Ok(())
}

/// Checks that the Merkle path of a note leads to the anchor. That of a dummy, a note of value 0, need not.
fn check_path(bundle: &Bundle, spend: &Spend) -> Result<(), Wrong> {
    let parts = (spend.recipient().zip(*spend.value())).zip(spend.rho().zip(*spend.rseed()));
    let ((recipient, value), (rho, rseed)) = parts.ok_or(("spend", MISSING))?;
    // The circuit's own condition: value · (root - anchor) = 0.
    if value.inner() == 0 {
        return Ok(());
    }
    let note = orchard::Note::from_parts(recipient, value, rho, rseed, *spend.note_version())
        .into_option()
        .ok_or(wrong(VerifyError::InvalidSpendNote))?;
    let path = spend.witness().as_ref().ok_or(("spend.witness", MISSING))?;
    if path.root(note.commitment().into()) == *bundle.anchor() {
        Ok(())
    } else {
        Err(("spend.witness", "does not lead from the spent note to the bundle's anchor"))
    }
}

/// Names the field that contradicts the others.
fn wrong(error: VerifyError) -> Wrong {
    match error {
        VerifyError::InvalidSpendNote => ("spend", "is of parts that make no note"),
        VerifyError::WrongFvkForNote => ("spend.fvk", "does not own the spent note"),
        VerifyError::InvalidNullifier => ("spend.nullifier", "does not follow from the spent note and fvk"),
        VerifyError::InvalidRandomizedVerificationKey => {
            ("spend.rk", "does not follow from spend.fvk and spend.alpha")
        }
        VerifyError::InvalidOutputNote => ("output", "is of parts that make no note"),
        VerifyError::InvalidExtractedNoteCommitment => {
            ("output.cmx", "does not follow from the output's note")
        }
        VerifyError::InvalidValueCommitment => ("cv_net", "does not follow from the two values and rcv"),
        _ => ("spend", "contradicts itself"),
    }
}
