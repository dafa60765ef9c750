//! Bad witnesses: each is refused by `check`, at the field that is bad, with a fixed reason.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use orchard::keys::{FullViewingKey, Scope, SpendingKey};
use pczt::roles::creator::Creator;
use pczt::roles::redactor::orchard::{ActionRedactor, OrchardRedactor};
use sealprove::circuit::Circuit;
use sealprove::circuits::zcash::{SampleKind, ZcashPczt};
use zcash_protocol::consensus::BranchId;

use super::wallet::*;

const MISSING: &str = "is missing; the prover needs it";
const ENCODING: &str = "is not a valid encoding";

fn refused(witness: &[u8]) -> (String, &'static str) {
    let refused = circuit().check(witness).expect_err("is a bad witness");
    (refused.path, refused.reason)
}

#[track_caller]
fn assert_refused(witness: &[u8], path: &str, reason: &str) {
    assert_eq!(refused(witness), (path.to_owned(), refused(witness).1));
    assert_eq!(refused(witness).1, reason, "{path}");
}

fn sample_nu6_2() -> Vec<u8> {
    sample(SampleKind::Nu6_2Orchard)
}

/// Returns the positions of the fields of an Orchard action in the encoding of a sample.
struct Action {
    bytes: Vec<u8>,
    path: usize,
    output_recipient: usize,
    rcv: usize,
}

/// The second action of the NU6.2 sample.
fn action() -> Action {
    let bytes = sample_nu6_2();
    let pczt = parse(&bytes);
    let action = &pczt.orchard().actions()[1];
    let find = |part: &[u8]| bytes.windows(part.len()).rposition(|window| window == part).unwrap();
    let output_recipient = find(&action.output().recipient().unwrap());
    let anchor = find(&pczt.orchard().anchor().unwrap());
    // After the last action: flags, value sum (two bytes and a sign), anchor.
    Action {
        path: find(&action.spend().witness().unwrap().1[0]),
        output_recipient,
        rcv: anchor - 4 - 32,
        bytes,
    }
}

impl Action {
    fn with(mut self, at: usize, bytes: &[u8]) -> Vec<u8> {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.bytes
    }

    fn with_each(self, parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = self.bytes;
        for (at, part) in parts {
            bytes[*at..*at + part.len()].copy_from_slice(part);
        }
        bytes
    }

    // Backwards from the Merkle path: position and tag, fvk and tag, rseed and tag, rho and tag,
    // value (three bytes) and tag, recipient.
    fn fvk(&self) -> usize {
        self.path - 2 - 96
    }
    fn rseed(&self) -> usize {
        self.fvk() - 1 - 32
    }
    fn rho(&self) -> usize {
        self.rseed() - 1 - 32
    }
    fn value(&self) -> usize {
        self.rho() - 1 - 3
    }
    fn recipient(&self) -> usize {
        self.value() - 1 - 43
    }
    // Forwards: tag and alpha.
    fn alpha(&self) -> usize {
        self.path + 32 * 32 + 1
    }
}

fn small(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("the old bytes are there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// As the format writes numbers: seven bits to a byte, the least significant first.
fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn in_branch(witness: &[u8], old: BranchId, new: u32) -> Vec<u8> {
    replace(witness, &varint(old.into()), &varint(new))
}

fn other_fvk() -> FullViewingKey {
    FullViewingKey::from(&SpendingKey::from_bytes([1; 32]).unwrap())
}

#[test]
fn bytes_that_are_not_a_pczt_are_refused() {
    let sample = sample_nu6_2();
    assert_refused(b"", "witness", "too short for a PCZT: the header alone is 8 bytes");
    assert_refused(b"attack at dawn", "witness", "not a PCZT: expected the bytes PCZT at the start");
    let version_3 = [b"PCZT\x03\0\0\0", &sample[8..]].concat();
    assert_refused(&version_3, "witness", "an unknown version of the PCZT format: expected 1 or 2");
    for length in 8..sample.len() {
        assert_refused(&sample[..length], "witness", "not a well-formed PCZT encoding");
    }
    let sample = in_v2(&sample);
    for length in 8..sample.len() {
        assert_refused(&sample[..length], "witness", "not a well-formed PCZT encoding");
    }
}

#[test]
fn unsupported_consensus_branches_are_refused() {
    let sample = sample_nu6_2();
    let path = "global.consensus_branch_id";
    for old in [BranchId::Nu5, BranchId::Nu6, BranchId::Nu6_1] {
        assert_refused(
            &in_branch(&sample, BranchId::Nu6_2, old.into()),
            path,
            "is of a branch before NU6.2, whose Orchard circuit is unsound; expected NU6.2 or later",
        );
    }
    assert_refused(
        &in_branch(&sample, BranchId::Nu6_2, BranchId::Canopy.into()),
        path,
        "is of a branch before NU5, which has no Orchard pool",
    );
    assert_refused(
        &in_branch(&sample, BranchId::Nu6_2, 0xdead_beef),
        path,
        "is not the id of a known consensus branch",
    );
}

#[test]
fn ironwood_before_its_branch_is_refused() {
    let sample = sample(SampleKind::Nu6_3Ironwood);
    assert_refused(
        &in_branch(&sample, BranchId::Nu6_3, BranchId::Nu6_2.into()),
        "ironwood",
        "has actions, and the consensus branch has no Ironwood pool",
    );
    let mut version_5 = sample;
    version_5[8] = 5;
    assert_refused(&version_5, "global.tx_version", "has no Ironwood bundle; expected 6 or later");
}

#[test]
fn a_pczt_with_nothing_to_prove_is_refused() {
    let empty = Creator::new(BranchId::Nu6_2.into(), 10_000_000, 133, None, None).unwrap().build().unwrap();
    assert_refused(
        &empty.serialize().unwrap(),
        "witness",
        "has no Orchard and no Ironwood actions: nothing to prove",
    );
    let reason = "is there already: nothing left to prove";
    assert_refused(proved().output.as_deref().unwrap(), "orchard.zkproof", reason);
}

#[test]
fn a_pczt_with_too_many_actions_is_refused() {
    let reason = "has more actions, over both bundles, than this service proves in one transaction";
    let refused = ZcashPczt { actions_max: 3 }.check(&sample(SampleKind::Nu6_3Both)).unwrap_err();
    assert_eq!((refused.path.as_str(), refused.reason), ("witness", reason));
    ZcashPczt { actions_max: 4 }.check(&sample(SampleKind::Nu6_3Both)).unwrap();
}

#[test]
fn a_pczt_that_needs_sapling_proofs_is_refused() {
    assert_refused(
        include_bytes!("../../../examples/pczt/refused-sapling-output.pczt"),
        "sapling",
        "needs Sapling proofs, which this circuit does not make; make them first and submit what comes out",
    );
}

#[test]
fn missing_private_fields_are_refused() {
    type Clear = fn(&mut ActionRedactor<'_>);
    let fields: [(&str, Clear); 11] = [
        ("spend.recipient", |action| action.clear_spend_recipient()),
        ("spend.value", |action| action.clear_spend_value()),
        ("spend.rho", |action| action.clear_spend_rho()),
        ("spend.rseed", |action| action.clear_spend_rseed()),
        ("spend.fvk", |action| action.clear_spend_fvk()),
        ("spend.witness", |action| action.clear_spend_witness()),
        ("spend.alpha", |action| action.clear_spend_alpha()),
        ("output.recipient", |action| action.clear_output_recipient()),
        ("output.value", |action| action.clear_output_value()),
        ("output.rseed", |action| action.clear_output_rseed()),
        ("rcv", |action| action.clear_rcv()),
    ];
    for (field, clear) in fields {
        for (kind, pool) in [(SampleKind::Nu6_2Orchard, "orchard"), (SampleKind::Nu6_3Ironwood, "ironwood")] {
            let cleared = |mut bundle: OrchardRedactor<'_>| {
                bundle.redact_action(1, |mut action| clear(&mut action));
            };
            let witness = redact(&sample(kind), cleared);
            assert_refused(&witness, &format!("{pool}.actions[1].{field}"), MISSING);
        }
    }
    for (kind, pool) in [(SampleKind::Nu6_3Orchard, "orchard"), (SampleKind::Nu6_3Ironwood, "ironwood")] {
        let witness = redact(&sample(kind), |mut bundle| bundle.clear_anchor());
        assert_refused(&witness, &format!("{pool}.anchor"), MISSING);
    }
}

#[test]
fn compact_fields_that_cannot_be_recomputed_are_refused() {
    type Clear = fn(&mut ActionRedactor<'_>);
    let fields: [(&str, &str, Clear); 3] = [
        ("cv_net", "is left out, and does not follow from the values and rcv", |action| {
            action.clear_cv_net();
            action.clear_rcv();
        }),
        ("output.cmx", "is left out, and does not follow from the output's note", |action| {
            action.clear_cmx();
            action.clear_output_rseed();
        }),
        (
            "output.enc_ciphertext",
            "is left as a memo, and does not follow from the output's note",
            |action| {
                action.replace_enc_ciphertext_with_memo_plaintext([0; 512]);
                action.clear_output_value();
            },
        ),
    ];
    for (field, reason, clear) in fields {
        let witness = redact(&sample_nu6_2(), |mut bundle| {
            bundle.redact_action(1, |mut action| clear(&mut action));
        });
        assert_refused(&witness, &format!("orchard.actions[1].{field}"), reason);
        assert!(circuit().prepare(&witness).is_err());
    }
    // Nullifier and rk are optional in version 2 only in name.
    let sample = in_v2(&sample_nu6_2());
    let nullifier = *parse(&sample).orchard().actions()[1].spend().nullifier();
    let without = replace(&sample, &[&[1][..], &nullifier].concat(), &[0]);
    assert_refused(&without, "orchard.actions[].spend.nullifier", "is missing; every PCZT has it");
}

#[test]
fn fields_that_do_not_decode_are_refused() {
    let high = [0xff; 96];
    for (field, witness) in [
        ("actions[1].spend.recipient", action().with(action().recipient(), &high[..43])),
        ("actions[1].spend.rho", action().with(action().rho(), &high[..32])),
        ("actions[1].spend.fvk", action().with(action().fvk(), &high)),
        ("actions[1].spend.witness", action().with(action().path + 32, &high[..32])),
        ("actions[1].spend.alpha", action().with(action().alpha(), &high[..32])),
        ("actions[1].output.recipient", action().with(action().output_recipient, &high[..43])),
        ("actions[1].rcv", action().with(action().rcv, &high[..32])),
        ("anchor", action().with(action().rcv + 36, &high[..32])),
        ("bsk", action().with(action().rcv + 36 + 32 + 2, &high[..32])),
    ] {
        assert_refused(&witness, &format!("orchard.{field}"), ENCODING);
    }

    let sample = sample_nu6_2();
    let pczt = parse(&sample);
    let public = &pczt.orchard().actions()[1];
    for (field, bytes) in [
        ("cv_net", public.cv_net().unwrap()),
        ("spend.nullifier", *public.spend().nullifier()),
        ("spend.rk", *public.spend().rk()),
        ("output.cmx", public.output().cmx().unwrap()),
    ] {
        let witness = replace(&sample, &bytes, &high[..32]);
        assert_refused(&witness, &format!("orchard.actions[1].{field}"), ENCODING);
    }

    let out_ciphertext = public.output().out_ciphertext();
    let longer =
        replace(&sample, &[&[80], &out_ciphertext[..]].concat(), &[&[81, 0], &out_ciphertext[..]].concat());
    assert_refused(&longer, "orchard.actions[1].output.out_ciphertext", ENCODING);
    let epk = public.output().ephemeral_key();
    let at = sample.windows(32).position(|window| window == epk).unwrap() + 32;
    assert_eq!(sample[at..at + 2], [0xc4, 0x04], "the length 580");
    let shorter = [&sample[..at], &[0xc3, 0x04], &sample[at + 3..]].concat();
    assert_refused(&shorter, "orchard.actions[1].output.enc_ciphertext", ENCODING);

    let derivation = action().alpha() + 32;
    let with_derivation =
        [&sample[..derivation], &[1][..], &[9; 32], &[1, 5], &sample[derivation + 1..]].concat();
    assert_refused(
        &with_derivation,
        "orchard.actions[1].zip32_derivation",
        "has an index that is not hardened, in the spend or in the output",
    );
}

#[test]
fn bundles_that_break_the_rules_of_their_branch_are_refused() {
    let flags = |byte: u8| action().with(action().rcv + 32, &[byte]);
    let reserved = "has bits set that its consensus branch reserves";
    assert_refused(&flags(0b1011), "orchard.flags", reserved);
    assert_refused(&flags(0b0111), "orchard.flags", reserved);
    let disabled = "is not zero, and the bundle's flags disable this side";
    assert_refused(&flags(0b10), "orchard.actions[0].spend.value", disabled);
    assert_refused(&flags(0b01), "orchard.actions[0].output.value", disabled);

    let sample = in_v2(&sample_nu6_2());
    let anchor = parse(&sample).orchard().anchor().unwrap();
    let note_version_3 = replace(&sample, &[&anchor[..], &[0]].concat(), &[&anchor[..], &[1]].concat());
    assert_refused(&note_version_3, "orchard.note_version", "is not the version of this pool's notes");

    let no_rk = replace(&sample, parse(&sample).orchard().actions()[0].spend().rk(), &[0; 32]);
    assert_refused(&no_rk, "orchard.actions[0].spend.rk", "is the identity, which consensus forbids");
}

#[test]
fn fields_that_contradict_each_other_are_refused() {
    let elsewhere = "does not lead from the spent note to the bundle's anchor";
    let other = other_fvk();
    let rseed = sample_nu6_2()[action().rseed()..][..32].to_vec();
    let mut other_rseed = rseed.clone();
    other_rseed[31] ^= 1;
    let output = parse(&sample_nu6_2()).orchard().actions()[1].output().clone();
    let mut other_output_rseed = output.rseed().unwrap();
    other_output_rseed[31] ^= 1;
    for (field, reason, witness) in [
        (
            "spend.nullifier",
            "does not follow from the spent note and fvk",
            action().with(action().rseed(), &other_rseed),
        ),
        (
            "spend.nullifier",
            "does not follow from the spent note and fvk",
            action().with(action().value(), &varint(1_000_001)),
        ),
        ("spend.fvk", "does not own the spent note", action().with(action().fvk(), &other.to_bytes())),
        (
            "spend.rk",
            "does not follow from spend.fvk and spend.alpha",
            action().with(action().alpha(), &small(1)),
        ),
        (
            "output.cmx",
            "does not follow from the output's note",
            replace(&sample_nu6_2(), &output.rseed().unwrap(), &other_output_rseed),
        ),
        ("cv_net", "does not follow from the two values and rcv", action().with(action().rcv, &small(1))),
        ("spend.witness", elsewhere, action().with(action().path, &small(1))),
        ("spend.witness", elsewhere, action().with_each(&[(action().path - 1, &[5])])),
    ] {
        assert_refused(&witness, &format!("orchard.actions[1].{field}"), reason);
    }
    // All paths lead elsewhere than a wrong anchor, the first one first.
    let other_anchor = action().with(action().rcv + 36, &small(1));
    assert_refused(&other_anchor, "orchard.actions[0].spend.witness", elsewhere);
}

/// A change of any byte that the prover reads is noticed before proving.
#[test]
fn every_private_byte_counts() {
    let spend = action().recipient() - 1..action().path;
    let path = (action().path..action().alpha()).step_by(11);
    let alpha = action().alpha() - 1..action().alpha() + 32;
    // The tag and the recipient, the tag and the value, the tag and rseed.
    let output = action().output_recipient - 1..action().output_recipient + 43 + 4 + 33;
    let rcv = action().rcv - 1..action().rcv + 32;
    let mut covered = 0;
    for at in spend.chain(path).chain(alpha).chain(output).chain(rcv) {
        let mut witness = sample_nu6_2();
        witness[at] ^= 1;
        assert!(circuit().check(&witness).is_err(), "byte {at}");
        covered += 1;
    }
    assert_eq!(covered, 213 + 94 + 33 + 81 + 33);
}

#[test]
fn a_payment_to_an_address_that_the_pool_forbids_is_refused() {
    let sample = sample(SampleKind::Nu6_3Orchard);
    let recipient = parse(&sample).orchard().actions()[0].output().recipient().unwrap();
    let payee = other_fvk().address_at(0u32, Scope::External).to_raw_address_bytes();
    // Without cmx, which follows the address, nothing else is wrong.
    let compact = redact(&sample, |mut bundle| bundle.redact_actions(|mut action| action.clear_cmx()));
    let at = compact.windows(43).rposition(|window| window == recipient).unwrap();
    let elsewhere = [&compact[..at], &payee, &compact[at + 43..]].concat();
    assert_refused(
        &elsewhere,
        "orchard.actions",
        "pay to another address than they spend from, which this bundle's flags forbid",
    );
}

#[test]
fn arbitrary_witnesses_never_panic() {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    for round in 0..1_500 {
        let kind = [SampleKind::Nu6_2Orchard, SampleKind::Nu6_3Orchard, SampleKind::Nu6_3Both][round % 3];
        let mut witness = if round % 2 == 0 { sample(kind) } else { compact(&sample(kind)) };
        for _ in 0..1 + rng.next_u32() % 4 {
            let at = rng.next_u32() as usize % witness.len();
            witness[at] = rng.next_u32() as u8;
        }
        let _ = circuit().check(&witness);
    }
    for _ in 0..1_500 {
        let mut garbage = vec![0; rng.next_u32() as usize % 4096];
        rng.fill_bytes(&mut garbage);
        let header: &[u8] =
            if garbage.len().is_multiple_of(2) { b"PCZT\x01\0\0\0" } else { b"PCZT\x02\0\0\0" };
        circuit().check(&[header, &garbage].concat()).unwrap_err();
    }
}
