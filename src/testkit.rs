//! The test kit: runs the vectors of `schemas/vectors/testkit/` through service and client: admission, the seal, the
//! circuit and its proofs, a client's rules of acceptance, a bundle's checks.
//!
//! The vectors were made by another implementation (`schemas/vectors/make.py`), and implementations in other languages run
//! them as well. `schemas/README.md` describes their form. Each states its verdict in its first line, and most must fail.

mod answer;
mod bundle;
mod job;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};

/// A vector: its lines, in order.
struct File {
    name: String,
    lines: Vec<(String, String)>,
}

impl File {
    fn parse(name: String, text: &str) -> Self {
        let text = text.strip_suffix('\n').unwrap_or_else(|| panic!("{name} does not end with a line's end"));
        let mut lines = Vec::new();
        for line in text.split('\n') {
            let (line_name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line:?}"));
            lines.push((line_name.to_owned(), value.to_owned()));
        }
        let file = File { name, lines };
        assert_eq!(file.lines[0].0, "expect", "{}: the verdict comes first", file.name);
        file
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |line| line.0 == name).map(|line| line.1.as_str())
    }

    /// Returns the value of a line that occurs at most once.
    fn any(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next();
        assert!(values.next().is_none(), "{}: {name} occurs twice", self.name);
        value
    }

    fn one(&self, name: &str) -> &str {
        self.any(name).unwrap_or_else(|| panic!("{}: no {name}", self.name))
    }

    fn parsed<T: FromStr>(&self, name: &str) -> T {
        self.one(name).parse().unwrap_or_else(|_| panic!("{}: {name} is not of its form", self.name))
    }

    fn base64(&self, name: &str) -> Vec<u8> {
        BASE64_STANDARD
            .decode(self.one(name))
            .unwrap_or_else(|error| panic!("{}: {name}: {error}", self.name))
    }

    fn hex<const N: usize>(&self, name: &str) -> [u8; N] {
        let mut bytes = [0; N];
        hex::decode_to_slice(self.one(name), &mut bytes).unwrap_or_else(|_| panic!("{}: {name}", self.name));
        bytes
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all("header").map(|header| header.split_once(": ").expect("a header is `name: value`"))
    }

    fn is_success(&self) -> bool {
        ["proved", "answer", "accepted"].contains(&self.one("expect"))
    }
}

/// Reads the vectors of a folder, by name.
fn files(folder: &str) -> Vec<File> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/vectors/testkit").join(folder);
    let mut files: Vec<File> = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            File::parse(name, &std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// Checks that every vector of a folder gets the verdict that it states. Returns the number of each verdict.
fn judge_all(folder: &str, mut judge: impl FnMut(&File) -> String) -> BTreeMap<String, usize> {
    let mut verdicts = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in files(folder) {
        let (expected, verdict) = (file.one("expect").to_owned(), judge(&file));
        if verdict != expected {
            wrong.push(format!("{folder}/{}: {expected} expected, {verdict} given", file.name));
        }
        *verdicts.entry(expected).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    verdicts
}

fn counted(verdicts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    verdicts.iter().map(|(verdict, count)| ((*verdict).to_owned(), *count)).collect()
}

#[test]
fn the_vectors_change_many_things_in_many_ways() {
    let (mut pairs, mut successes, mut failures) = (BTreeSet::new(), 0, 0);
    for folder in ["job", "answer", "bundle"] {
        let mut seen = BTreeSet::new();
        for file in files(folder) {
            let pair = (file.one("field").to_owned(), file.one("mutation").to_owned());
            assert!(seen.insert((pair.clone(), file.one("scheme").to_owned())), "{folder}: {pair:?} twice");
            pairs.insert(pair);
            if file.is_success() { successes += 1 } else { failures += 1 }
        }
    }
    for (field, mutation) in &pairs {
        println!("{field} | {mutation}");
    }
    println!("{} pairs, {successes} successes, {failures} failures", pairs.len());
    assert_eq!((pairs.len(), successes, failures), (1002, 94, 1102));
    assert!(failures >= 3 * successes);
}
