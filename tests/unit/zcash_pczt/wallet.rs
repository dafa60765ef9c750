//! A wallet: it rewrites PCZTs, signs them and makes transactions of them.

use std::sync::OnceLock;

use getrandom::SysRng;
use orchard::circuit::{OrchardCircuitVersion, VerifyingKey};
use orchard::keys::{SpendAuthorizingKey, SpendingKey};
use pczt::roles::redactor::orchard::OrchardRedactor;
use pczt::roles::{
    redactor::Redactor, signer::Signer, spend_finalizer::SpendFinalizer, tx_extractor::TransactionExtractor,
};
use pczt::{Pczt, v2};
use rand_core::UnwrapErr;
use sealprove::circuit::{Circuit, Proof, ProvingKey};
use sealprove::circuits::zcash::{KeyVersion, SampleKind, TEST_ONLY_SPENDING_KEY, ZcashPczt, sample_pczt};
use zcash_primitives::transaction::Transaction;

pub(crate) fn circuit() -> ZcashPczt {
    ZcashPczt::default()
}

/// The keys of the service, built once.
pub(crate) fn keys() -> &'static dyn ProvingKey {
    static KEYS: OnceLock<Box<dyn ProvingKey>> = OnceLock::new();
    &**KEYS.get_or_init(|| circuit().build_proving_key().unwrap())
}

/// Checks a witness and proves it.
pub(crate) fn prove(witness: &[u8]) -> Proof {
    keys().prove(circuit().check(witness).unwrap()).unwrap()
}

/// The smallest sample of a kind.
pub(crate) fn sample(kind: SampleKind) -> Vec<u8> {
    let actions = if kind == SampleKind::Nu6_3Both { 4 } else { 2 };
    sample_pczt(kind, actions).unwrap().to_vec()
}

/// A proof of the smallest NU6.2 sample, made once.
pub(crate) fn proved() -> &'static Proof {
    static PROVED: OnceLock<Proof> = OnceLock::new();
    PROVED.get_or_init(|| prove(&sample(SampleKind::Nu6_2Orchard)))
}

/// A proof of the sample with two bundles, made once.
pub(crate) fn proved_both() -> &'static Proof {
    static PROVED: OnceLock<Proof> = OnceLock::new();
    PROVED.get_or_init(|| prove(&sample(SampleKind::Nu6_3Both)))
}

pub(crate) fn parse(bytes: &[u8]) -> Pczt {
    Pczt::parse(bytes).unwrap()
}

pub(crate) fn in_v2(bytes: &[u8]) -> Vec<u8> {
    v2::Pczt::try_from(parse(bytes)).unwrap().serialize()
}

/// Leaves out what a reader can recompute: only version 2 can write that.
pub(crate) fn compact(bytes: &[u8]) -> Vec<u8> {
    redact(bytes, |mut bundle| bundle.compact_resolvable_fields())
}

/// Redacts both bundles, and writes the shortest version that fits.
pub(crate) fn redact(bytes: &[u8], with: impl Fn(OrchardRedactor<'_>)) -> Vec<u8> {
    let redactor = Redactor::new(parse(bytes));
    redactor.redact_orchard_with(&with).redact_ironwood_with(&with).finish().serialize().unwrap()
}

/// Signs whatever is unsigned, finalises and extracts.
pub(crate) fn complete(proved: &[u8]) -> Transaction {
    let rng = UnwrapErr(SysRng);
    let key = SpendAuthorizingKey::from(&SpendingKey::from_bytes(TEST_ONLY_SPENDING_KEY).unwrap());
    let pczt = parse(proved);
    let unsigned = |bundle: &pczt::orchard::Bundle| -> Vec<usize> {
        let unsigned = |index: &usize| bundle.actions()[*index].spend().spend_auth_sig().is_none();
        (0..bundle.actions().len()).filter(unsigned).collect()
    };
    let (in_orchard, in_ironwood) = (unsigned(pczt.orchard()), unsigned(pczt.ironwood()));
    assert!(!in_orchard.is_empty() || !in_ironwood.is_empty(), "the sample spends something");
    let version = match *pczt.global().tx_version() {
        5 => KeyVersion::FixedPostNu6_2,
        _ => KeyVersion::PostNu6_3,
    };

    let mut signer = Signer::new(pczt).unwrap();
    for index in in_orchard {
        signer.sign_orchard(rng, index, &key).unwrap();
    }
    for index in in_ironwood {
        signer.sign_ironwood(rng, index, &key).unwrap();
    }
    let pczt = SpendFinalizer::new(signer.finish()).finalize_spends().unwrap();
    TransactionExtractor::new(pczt).with_orchard(upstream_key(version)).extract(rng).unwrap()
}

/// The verifying key as the rest of Zcash builds it.
fn upstream_key(version: KeyVersion) -> &'static VerifyingKey {
    static FIXED: OnceLock<VerifyingKey> = OnceLock::new();
    static POST: OnceLock<VerifyingKey> = OnceLock::new();
    match version {
        KeyVersion::FixedPostNu6_2 => {
            FIXED.get_or_init(|| VerifyingKey::build(OrchardCircuitVersion::FixedPostNu6_2))
        }
        KeyVersion::PostNu6_3 => POST.get_or_init(|| VerifyingKey::build(OrchardCircuitVersion::PostNu6_3)),
    }
}
