//! Makes the sample PCZTs in `examples/pczt/`, always the same ones.
//!
//!     cargo run --example make_pczt --no-default-features --features zcash
//!
//! Each spends notes of a test-only key out of a tree that is on no chain, and is as a wallet hands
//! it to a prover: inputs and outputs final, dummies signed, proofs and signatures still to come.
//! With a folder as its argument it writes there.

use std::path::PathBuf;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use incrementalmerkletree::{Hashable, Level};
use orchard::keys::{FullViewingKey, Scope, SpendingKey};
use orchard::note::{ExtractedNoteCommitment, NoteVersion, RandomSeed, Rho};
use orchard::tree::{MerkleHashOrchard, MerklePath};
use orchard::value::NoteValue;
use orchard::{Anchor, NOTE_COMMITMENT_TREE_DEPTH as DEPTH, Note};
use pczt::Pczt;
use pczt::roles::{creator::Creator, io_finalizer::IoFinalizer};
use sapling_crypto::zip32::ExtendedSpendingKey;
use sealprove::circuits::zcash::{SampleKind, TEST_ONLY_SPENDING_KEY};
use zcash_primitives::transaction::builder::{BuildConfig, Builder, BundlePadding};
use zcash_primitives::transaction::fees::zip317::FeeRule;
use zcash_protocol::consensus::BlockHeight;
use zcash_protocol::local_consensus::LocalNetwork;
use zcash_protocol::memo::MemoBytes;
use zcash_protocol::value::Zatoshis;

/// The value of each note that is spent, in zatoshis.
const NOTE: u64 = 1_000_000;

/// What each action costs (ZIP 317).
const FEE_PER_ACTION: u64 = 5_000;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("examples/pczt"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (kind, name) in [
        (SampleKind::Nu6_2Orchard, "nu6.2-orchard"),
        (SampleKind::Nu6_3Orchard, "nu6.3-orchard"),
        (SampleKind::Nu6_3Ironwood, "nu6.3-ironwood"),
    ] {
        for actions in [2, 4, 8, 16] {
            std::fs::write(folder.join(format!("{name}-{actions}.pczt")), make(kind, actions))?;
        }
    }
    std::fs::write(folder.join("nu6.3-both-4.pczt"), make(SampleKind::Nu6_3Both, 4))?;
    std::fs::write(folder.join("refused-sapling-output.pczt"), make_with_sapling_output())
}

/// Makes one sample.
pub(crate) fn make(kind: SampleKind, actions: usize) -> Vec<u8> {
    let spending_key = SpendingKey::from_bytes(TEST_ONLY_SPENDING_KEY).expect("is a spending key");
    let fvk = FullViewingKey::from(&spending_key);
    // Under NU6.3 the Orchard pool pays nobody else: a spend and a change are two actions there.
    let (spends, outputs) = match kind {
        SampleKind::Nu6_2Orchard | SampleKind::Nu6_3Ironwood => (actions, actions),
        SampleKind::Nu6_3Orchard => (actions / 2, actions / 2),
        SampleKind::Nu6_3Both => (1, 1),
    };
    let ironwood = kind == SampleKind::Nu6_3Ironwood;
    let version = if ironwood { NoteVersion::V3 } else { NoteVersion::V2 };
    let (anchor, notes) = tree(&fvk, spends, version);
    let value = (NOTE * spends as u64 - FEE_PER_ACTION * actions as u64) / outputs as u64;
    let value = Zatoshis::const_from_u64(value);

    let anchors = match kind {
        SampleKind::Nu6_2Orchard | SampleKind::Nu6_3Orchard => {
            Anchors { orchard: Some(anchor), ..Anchors::default() }
        }
        SampleKind::Nu6_3Ironwood => Anchors { ironwood: Some(anchor), ..Anchors::default() },
        SampleKind::Nu6_3Both => {
            Anchors { orchard: Some(anchor), ironwood: Some(Anchor::empty_tree()), ..Anchors::default() }
        }
    };
    let mut builder = builder(kind != SampleKind::Nu6_2Orchard, anchors);
    for (note, path) in notes {
        match kind {
            SampleKind::Nu6_3Ironwood => builder.add_ironwood_spend::<FeeRule>(fvk.clone(), note, path),
            _ => builder.add_orchard_spend::<FeeRule>(fvk.clone(), note, path),
        }
        .expect("the note is in the tree");
    }
    let recipient = fvk.address_at(0u32, Scope::External);
    let ovk = Some(fvk.to_ovk(Scope::External));
    for _ in 0..outputs {
        let (ovk, memo) = (ovk.clone(), MemoBytes::empty());
        match kind {
            SampleKind::Nu6_2Orchard => builder.add_orchard_output::<FeeRule>(ovk, recipient, value, memo),
            SampleKind::Nu6_3Orchard => {
                let change = fvk.address_at(0u32, Scope::Internal);
                let ovk = Some(fvk.to_ovk(Scope::Internal));
                builder.add_orchard_change_output::<FeeRule>(fvk.clone(), ovk, change, value, memo)
            }
            SampleKind::Nu6_3Ironwood | SampleKind::Nu6_3Both => {
                builder.add_ironwood_output::<FeeRule>(ovk, recipient, value, memo)
            }
        }
        .expect("the pool takes the output");
    }

    let pczt = finish(builder, kind as u8 + actions as u8);
    assert_eq!(pczt.orchard().actions().len() + pczt.ironwood().actions().len(), actions);
    pczt.serialize().expect("a format version fits")
}

/// Makes a PCZT that spends in the Orchard pool and pays in the Sapling pool.
fn make_with_sapling_output() -> Vec<u8> {
    let fvk = FullViewingKey::from(&SpendingKey::from_bytes(TEST_ONLY_SPENDING_KEY).expect("is a key"));
    let (anchor, notes) = tree(&fvk, 1, NoteVersion::V2);
    let sapling_anchor = sapling_crypto::Anchor::empty_tree();
    let anchors = Anchors { sapling: Some(sapling_anchor), orchard: Some(anchor), ironwood: None };
    let mut builder = builder(false, anchors);
    for (note, path) in notes {
        builder.add_orchard_spend::<FeeRule>(fvk.clone(), note, path).expect("the note is in the tree");
    }
    let sapling =
        ExtendedSpendingKey::master(&[0; 32]).expect("is a seed").to_diversifiable_full_viewing_key();
    let value = Zatoshis::const_from_u64(NOTE - 4 * FEE_PER_ACTION);
    let (_, recipient) = sapling.default_address();
    builder
        .add_sapling_output::<FeeRule>(None, recipient, value, MemoBytes::empty())
        .expect("it takes outputs");
    finish(builder, 0).serialize().expect("a format version fits")
}

/// The tree of each pool that the transaction has a bundle of.
#[derive(Default)]
struct Anchors {
    sapling: Option<sapling_crypto::Anchor>,
    orchard: Option<Anchor>,
    ironwood: Option<Anchor>,
}

fn builder(nu6_3: bool, anchors: Anchors) -> Builder<LocalNetwork, ()> {
    Builder::new(
        network(nu6_3),
        BlockHeight::from_u32(10_000_000),
        BuildConfig::Standard {
            sapling_anchor: anchors.sapling,
            orchard_anchor: anchors.orchard,
            ironwood_anchor: anchors.ironwood,
            orchard_padding: BundlePadding::DEFAULT,
            ironwood_padding: BundlePadding::DEFAULT,
        },
    )
}

fn finish(builder: Builder<LocalNetwork, ()>, seed: u8) -> Pczt {
    // Predictable on purpose: the same samples come out each time, and they protect nothing.
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let parts =
        builder.build_for_pczt(&mut rng, &FeeRule::standard()).expect("the values balance").pczt_parts;
    let pczt = Creator::build_from_parts(parts).expect("the transaction version fits");
    IoFinalizer::new(pczt).finalize_io(&mut rng).expect("inputs and outputs are complete")
}

/// Notes of the key in the leftmost leaves of a tree, each with its path; and the tree's root.
fn tree(fvk: &FullViewingKey, count: usize, version: NoteVersion) -> (Anchor, Vec<(Note, MerklePath)>) {
    let notes: Vec<Note> = (0..count).map(|index| note(fvk, index, version)).collect();
    let commitment = |note: &Note| ExtractedNoteCommitment::from(note.commitment());
    let mut paths = vec![[MerkleHashOrchard::empty_leaf(); DEPTH]; count];
    let mut level: Vec<_> = notes.iter().map(|note| MerkleHashOrchard::from_cmx(&commitment(note))).collect();
    for depth in 0..DEPTH {
        let height = Level::from(depth as u8);
        let node = |level: &[MerkleHashOrchard], at: usize| {
            level.get(at).copied().unwrap_or_else(|| MerkleHashOrchard::empty_root(height))
        };
        for (index, path) in paths.iter_mut().enumerate() {
            path[depth] = node(&level, (index >> depth) ^ 1);
        }
        level = (0..level.len().div_ceil(2))
            .map(|at| MerkleHashOrchard::combine(height, &node(&level, 2 * at), &node(&level, 2 * at + 1)))
            .collect();
    }
    let paths: Vec<_> =
        paths.into_iter().zip(0..).map(|(path, position)| MerklePath::from_parts(position, path)).collect();
    let anchor = paths[0].root(commitment(&notes[0]));
    (anchor, notes.into_iter().zip(paths).collect())
}

fn note(fvk: &FullViewingKey, index: usize, version: NoteVersion) -> Note {
    let mut rho = [0; 32];
    rho[0] = index as u8 + 1;
    let rho = Rho::from_bytes(&rho).expect("is a small number");
    let recipient = fvk.address_at(0u32, Scope::External);
    let seeded = |seed| {
        let rseed = RandomSeed::from_bytes([seed; 32], &rho).into_option()?;
        Note::from_parts(recipient, NoteValue::from_raw(NOTE), rho, rseed, version).into_option()
    };
    (1..=u8::MAX).find_map(seeded).expect("nearly every seed makes a note")
}

/// A chain of its own, on which every upgrade up to NU6.2 or NU6.3 is long past.
fn network(nu6_3: bool) -> LocalNetwork {
    let height = |height| Some(BlockHeight::from_u32(height));
    LocalNetwork {
        overwinter: height(1),
        sapling: height(2),
        blossom: height(3),
        heartwood: height(4),
        canopy: height(5),
        nu5: height(6),
        nu6: height(7),
        nu6_1: height(8),
        nu6_2: height(9),
        nu6_3: if nu6_3 { height(10) } else { None },
        nu7: None,
    }
}
