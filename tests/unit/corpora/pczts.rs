//! Seeds of the targets that read PCZTs, and the public inputs and proofs of every circuit.
//!
//! No prover runs for them: a proof in a document is three bytes here, since no decoder looks into one.

use pczt::roles::redactor::Redactor;
use pczt::roles::redactor::orchard::{ActionRedactor, OrchardRedactor};
use pczt::{Pczt, v2};
use sealprove::circuit::Circuit;
use sealprove::circuits::credentials::membership::Membership;
use sealprove::circuits::credentials::threshold::Threshold;
use sealprove::circuits::zcash::{SampleKind, ZcashPczt, sample_pczt};

use super::Seed;

pub(super) fn all() -> Vec<Seed> {
    [witnesses(), outputs(), combinations(), public_inputs()].concat()
}

fn orchard() -> &'static [u8] {
    sample_pczt(SampleKind::Nu6_2Orchard, 2).unwrap()
}

fn ironwood() -> &'static [u8] {
    sample_pczt(SampleKind::Nu6_3Ironwood, 2).unwrap()
}

fn both() -> &'static [u8] {
    sample_pczt(SampleKind::Nu6_3Both, 4).unwrap()
}

fn parse(bytes: &[u8]) -> Pczt {
    Pczt::parse(bytes).unwrap()
}

fn in_v2(bytes: &[u8]) -> Vec<u8> {
    v2::Pczt::try_from(parse(bytes)).unwrap().serialize()
}

fn redact(bytes: &[u8], with: impl Fn(OrchardRedactor<'_>)) -> Vec<u8> {
    let redactor = Redactor::new(parse(bytes));
    redactor.redact_orchard_with(&with).redact_ironwood_with(&with).finish().serialize().unwrap()
}

/// Redacts one action, as who left something out would have.
fn without(bytes: &[u8], clear: fn(&mut ActionRedactor<'_>)) -> Vec<u8> {
    redact(bytes, |mut bundle| bundle.redact_action(1, |mut action| clear(&mut action)))
}

/// Returns the last position of `part`.
fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).rposition(|window| window == part).unwrap()
}

/// Writes `new` over the bytes that begin at `part` plus an offset.
fn over(bytes: &[u8], part: &[u8], offset: isize, new: &[u8]) -> Vec<u8> {
    let at = find(bytes, part).checked_add_signed(offset).unwrap();
    [&bytes[..at], new, &bytes[at + new.len()..]].concat()
}

/// With a proof of three bytes in each bundle: it stands after the anchor and, in version 2, the note's version.
fn proved(bytes: &[u8]) -> Vec<u8> {
    let pczt = parse(bytes);
    let mut bytes = bytes.to_vec();
    for bundle in [pczt.orchard(), pczt.ironwood()] {
        if let (Some(anchor), false) = (bundle.anchor(), bundle.actions().is_empty()) {
            let at = find(&bytes, anchor) + 32 + usize::from(bytes[4] == 2);
            assert_eq!(bytes[at], 0, "there is a proof already");
            bytes.splice(at..=at, [1, 3, b'z', b'k', b'p']);
        }
    }
    let proof = parse(&bytes);
    assert!(proof.orchard().zkproof().is_some() || proof.ironwood().zkproof().is_some());
    bytes
}

const HIGH: [u8; 96] = [0xff; 96];

fn witnesses() -> Vec<Seed> {
    let sample = orchard();
    let pczt = parse(sample);
    let action = &pczt.orchard().actions()[1];
    let path = action.spend().witness().unwrap().1[0];
    let anchor = pczt.orchard().anchor().unwrap();
    let recipient = action.output().recipient().unwrap();
    let nullifier = action.spend().nullifier();
    let without_nullifier = {
        let bytes = in_v2(sample);
        let at = find(&bytes, nullifier);
        [&bytes[..at - 1], &[0], &bytes[at + 32..]].concat()
    };
    let seeds = [
        ("orchard", sample.to_vec()),
        ("orchard-in-version-2", in_v2(sample)),
        ("orchard-compact", redact(sample, |mut bundle| bundle.compact_resolvable_fields())),
        ("orchard-under-nu6-3", sample_pczt(SampleKind::Nu6_3Orchard, 2).unwrap().to_vec()),
        ("ironwood", ironwood().to_vec()),
        ("ironwood-under-nu6-2", over(ironwood(), b"PCZT", 8, &[5])),
        ("both", both().to_vec()),
        ("both-compact", redact(both(), |mut bundle| bundle.compact_resolvable_fields())),
        ("proved-already", proved(sample)),
        ("sapling-output", include_bytes!("../../../examples/pczt/refused-sapling-output.pczt").to_vec()),
        ("nothing", vec![]),
        ("header-alone", sample[..8].to_vec()),
        ("of-another-format", b"attack at dawn".to_vec()),
        ("of-version-3", over(sample, b"PCZT", 4, &[3])),
        ("cut-short", sample[..sample.len() - 1].to_vec()),
        ("with-bytes-behind", [sample, b"attack at dawn"].concat()),
        ("branch-unknown", over(sample, b"PCZT", 10, &[0xff])),
        ("no-anchor", redact(ironwood(), |mut bundle| bundle.clear_anchor())),
        ("no-alpha", without(sample, |action| action.clear_spend_alpha())),
        ("no-rcv", without(sample, |action| action.clear_rcv())),
        ("no-fvk", without(ironwood(), |action| action.clear_spend_fvk())),
        ("no-value", without(sample, |action| action.clear_output_value())),
        ("no-nullifier", without_nullifier),
        (
            "no-cv-net-and-no-rcv",
            without(sample, |action| {
                action.clear_cv_net();
                action.clear_rcv();
            }),
        ),
        (
            "memo-and-no-value",
            without(sample, |action| {
                action.replace_enc_ciphertext_with_memo_plaintext([0; 512]);
                action.clear_output_value();
            }),
        ),
        ("fvk-undecodable", over(sample, &path, -98, &HIGH)),
        ("recipient-undecodable", over(sample, &recipient, 0, &HIGH[..43])),
        ("alpha-undecodable", over(sample, &path, 32 * 32 + 1, &HIGH[..32])),
        ("sibling-undecodable", over(sample, &path, 32, &HIGH[..32])),
        ("nullifier-undecodable", over(sample, nullifier, 0, &HIGH[..32])),
        ("rk-the-identity", over(sample, action.spend().rk(), 0, &[0; 32])),
        ("anchor-undecodable", over(sample, &anchor, 0, &HIGH[..32])),
        ("anchor-of-another-tree", over(sample, &anchor, 0, &[1; 32])),
        ("flags-reserved", over(sample, &anchor, -4, &[0b1011])),
        ("spends-disabled", over(sample, &anchor, -4, &[0b10])),
        ("path-of-another-leaf", over(sample, &path, -1, &[5])),
        ("alpha-of-another-key", over(sample, &path, 32 * 32 + 1, &[1; 32])),
    ];
    seeds.map(|(name, bytes)| Seed::new("pczt_witness", name, bytes)).into()
}

fn outputs() -> Vec<Seed> {
    let circuit = ZcashPczt::default();
    let seeds = [
        ("orchard", proved(orchard())),
        ("orchard-in-version-2", proved(&in_v2(orchard()))),
        ("ironwood", proved(ironwood())),
        ("both", proved(both())),
        ("compact", redact(orchard(), |mut bundle| bundle.compact_resolvable_fields())),
        ("not-proved", orchard().to_vec()),
        ("redacted", circuit.redact(proved(orchard()))),
        ("no-anchor", redact(ironwood(), |mut bundle| bundle.clear_anchor())),
        ("sapling-output", include_bytes!("../../../examples/pczt/refused-sapling-output.pczt").to_vec()),
        ("cut-short", orchard()[..100].to_vec()),
        ("no-pczt", b"attack at dawn".to_vec()),
    ];
    seeds.map(|(name, bytes)| Seed::new("pczt_output", name, bytes)).into()
}

fn combinations() -> Vec<Seed> {
    let circuit = ZcashPczt::default();
    let compact = redact(orchard(), |mut bundle| bundle.compact_resolvable_fields());
    let rk = *parse(orchard()).orchard().actions()[0].spend().rk();
    let seeds = [
        ("whole-output", orchard(), proved(orchard())),
        ("redacted-output", orchard(), circuit.redact(proved(orchard()))),
        ("compact-witness", &compact, circuit.redact(proved(orchard()))),
        ("witness-in-version-2", &in_v2(orchard()), circuit.redact(proved(orchard()))),
        ("two-proofs", both(), circuit.redact(proved(both()))),
        ("no-proof", orchard(), orchard().to_vec()),
        ("proof-there-already", &proved(orchard()), proved(orchard())),
        ("another-transaction", orchard(), proved(ironwood())),
        ("another-key", orchard(), over(&circuit.redact(proved(orchard())), &rk, 0, &[1; 32])),
        ("no-output", orchard(), vec![]),
        ("no-witness", b"", proved(orchard())),
    ];
    let seed = |(name, witness, output): (&str, &[u8], Vec<u8>)| {
        let length = u16::try_from(witness.len()).unwrap().to_be_bytes();
        Seed::new("pczt_combine", name, [&length[..], witness, &output].concat())
    };
    seeds.map(seed).into()
}

fn public_inputs() -> Vec<Seed> {
    let public_inputs = |circuit: &dyn Circuit, witness: &[u8]| circuit.public_inputs(witness).unwrap().0;
    let circuit = ZcashPczt::default();
    let (one, two) = (public_inputs(&circuit, orchard()), public_inputs(&circuit, both()));
    let threshold = public_inputs(&Threshold, &Threshold.sample_witness());
    let label = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let proof = |pool: &str, length: u32| [&label(pool)[..], &length.to_le_bytes(), b"zkp"].concat();
    let actions = one.len() - 2 * 128 - 4;
    let seeds = [
        ("orchard", one.clone()),
        ("both", two.clone()),
        ("ironwood", public_inputs(&circuit, ironwood())),
        ("cut-short", one[..one.len() - 1].to_vec()),
        ("of-an-unknown-version", [&label("pre-nu6-2"), &one[17..]].concat()),
        ("more-actions-than-there-are", [&one[..actions], &[0xff; 4], &one[actions + 4..]].concat()),
        ("no-actions", [&one[..actions], &[0; 4]].concat()),
        ("one-pool-twice", [&one[..], &one[17..]].concat()),
        ("threshold", threshold.clone()),
        ("threshold-over-its-size", [&threshold[..63], &[1]].concat()),
        ("threshold-not-canonical", [&[0xff; 32], &threshold[32..]].concat()),
        ("membership", public_inputs(&Membership, &Membership.sample_witness())),
        ("proof", proof("orchard", 3)),
        ("proofs", [proof("orchard", 3), proof("ironwood", 3)].concat()),
        ("proof-longer-than-there-is", proof("orchard", u32::MAX)),
        ("proof-of-an-unknown-pool", proof("sapling", 3)),
        ("nothing", vec![]),
    ];
    seeds.map(|(name, bytes)| Seed::new("public_inputs", name, bytes)).into()
}
