//! Replays the corpora of the fuzz targets, as plain tests: what a fuzzer once found, and a seed for each
//! branch that is worth a fuzzer's time.
//!
//! The seeds that follow from the library are generated and compared, as `schemas/` is: `make
//! corpora` writes them. Everything else in `fuzz/corpus/` was put there by hand.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The targets themselves: the fuzzer's programs call the same functions.
#[allow(unreachable_pub)] // They are public in a crate of their own.
#[path = "../../fuzz/src/lib.rs"]
mod targets;

mod library;
mod pczts;
mod seeds;

/// A file of a corpus.
#[derive(Clone)]
struct Seed {
    target: &'static str,
    name: String,
    bytes: Vec<u8>,
}

impl Seed {
    fn new(target: &'static str, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Seed { target, name: name.into(), bytes: bytes.into() }
    }

    fn path(&self) -> PathBuf {
        corpora().join(self.target).join(&self.name)
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpora() -> PathBuf {
    fuzz().join("corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Has a target read every file of its corpus, of which there are at least so many.
fn replay(name: &str, at_least: usize) {
    let (_, target) = targets::TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let corpus = files(&corpora().join(name));
    for path in &corpus {
        let bytes = fs::read(path).unwrap();
        catch_unwind(AssertUnwindSafe(|| target(&bytes))).unwrap_or_else(|_| panic!("{}", path.display()));
    }
    assert!(corpus.len() >= at_least, "{name} has {} files", corpus.len());
}

macro_rules! corpora {
    ($($name:ident, at least $at_least:literal;)*) => {
        $(#[test] fn $name() { replay(stringify!($name), $at_least); })*
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

corpora! {
    frame_of_job, at least 10;
    frame_of_reply, at least 8;
    frame_of_events, at least 5;
    subjects, at least 12;
    job_headers, at least 12;
    answer_headers, at least 6;
    stored_headers, at least 18;
    documents, at least 10;
    sealed_job, at least 12;
    sealed_padding, at least 10;
    sealed_answer, at least 16;
    bundle, at least 12;
    bundle_signature, at least 12;
    threshold_witness, at least 20;
    membership_witness, at least 20;
    pczt_witness, at least 25;
    pczt_output, at least 10;
    pczt_combine, at least 10;
    public_inputs, at least 10;
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_is_replayed() {
    let targets: BTreeSet<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let replayed = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(targets, replayed);
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    assert_eq!(targets, files(&corpora()).into_iter().map(stem).collect());
    assert_eq!(targets, files(&fuzz().join("fuzz_targets")).into_iter().map(stem).collect());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let programs = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    assert_eq!(targets, programs.map(|path| path.trim_end_matches(".rs\"").to_owned()).collect());
}

#[test]
fn the_committed_seeds_are_the_generated_ones() {
    let update = std::env::var_os("UPDATE_CORPORA").is_some();
    let seeds: Vec<Seed> = seeds::all().into_iter().chain(pczts::all()).collect();
    let paths: BTreeSet<PathBuf> = seeds.iter().map(Seed::path).collect();
    assert_eq!(paths.len(), seeds.len(), "two seeds have one name");
    for seed in &seeds {
        if update {
            fs::create_dir_all(corpora().join(seed.target)).unwrap();
            fs::write(seed.path(), &seed.bytes).unwrap();
        }
        let path = seed.path();
        let committed = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(committed == seed.bytes, "{} differs: run `make corpora`", path.display());
    }
    assert!(seeds.len() >= 250, "only {} seeds", seeds.len());
}
