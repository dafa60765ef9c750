//! Whether audit logs are as they were written: chain by chain, line by line. Pure.
//!
//! A chain shows every line that was changed, removed, inserted or moved. Two things it cannot show by itself:
//! that its end was cut off, for which somebody has to know the hash of a later line; and that all of it was
//! written anew, for which somebody has to know the hash of any line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Event, Line};
use crate::protocol::Sha256Digest;

/// A file of an audit log.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// What it is called in findings.
    pub name: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is no line of an audit log.
    Unreadable(Place),
    /// A file ends within a line: its end was cut off, or the machine stopped.
    Torn(Place),
    /// The line after it was made for another one in this place.
    Changed(Place),
    /// Lines are missing between two.
    Removed {
        /// The chain.
        instance: String,
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A line that its chain does not have.
    Inserted(Place),
    /// A line that stands behind one that was written later.
    Moved(Place),
    /// The line that was expected is in no chain.
    NotThere(Sha256Digest),
    /// It is there, and not the last of its chain.
    NotLast {
        /// Which was expected.
        expected: Sha256Digest,
        /// Where it is.
        place: Place,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreadable(place) => write!(f, "{place}: changed: it is no line of an audit log"),
            Fault::Torn(place) => write!(f, "{place}: cut off in the middle of the line"),
            Fault::Changed(place) => {
                write!(f, "{place}: changed: the line after it was made for another one")
            }
            Fault::Removed { instance, from, to } if from == to => {
                write!(f, "chain {instance}: line {from} is removed")
            }
            Fault::Removed { instance, from, to } => {
                write!(f, "chain {instance}: lines {from} to {to} are removed")
            }
            Fault::Inserted(place) => write!(f, "{place}: inserted: its chain has another line in its place"),
            Fault::Moved(place) => {
                write!(f, "{place}: out of order: it was written before the line above it")
            }
            Fault::NotThere(hash) => {
                write!(f, "no line has the hash {hash}: the end is cut off, or all is new")
            }
            Fault::NotLast { expected, place } => {
                write!(f, "{place}: has the expected hash {expected}, and is not the last of its chain")
            }
        }
    }
}

/// A chain as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which start of which service.
    pub instance: String,
    /// How many lines there are.
    pub lines: usize,
    /// How many events its lines say to be missing.
    pub lost: u64,
    /// Whether it ends with the line that a service writes when it stops. Where it does not, the service still
    /// runs, was killed, or the end is cut off.
    pub is_ended: bool,
    /// The hash of its last line: to be kept elsewhere, and expected the next time.
    pub last: Sha256Digest,
    /// The hash of the line that it says to follow, where that is in none of the files.
    pub follows_unseen: Option<Sha256Digest>,
}

/// What was found in some files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The chains, in the order in which they were found.
    pub chains: Vec<Found>,
    /// What is not as it was written; nothing, where all is whole.
    pub faults: Vec<Fault>,
}

/// A line with its bytes' hash and its place.
struct Entry {
    place: Place,
    hash: Sha256Digest,
    line: Line,
}

/// Checks the chains in these files, whichever way they are spread over them, and that each of the expected
/// hashes is that of a chain's last line.
pub fn verify(files: &[File<'_>], expected: &[Sha256Digest]) -> Report {
    let mut report = Report::default();
    let entries = read(files, &mut report.faults);
    let known: BTreeSet<Sha256Digest> = entries.iter().map(|entry| entry.hash).collect();
    let mut chains: Vec<(&str, Vec<&Entry>)> = Vec::new();
    for entry in &entries {
        match chains.iter_mut().find(|(instance, _)| *instance == entry.line.instance) {
            Some((_, chain)) => chain.push(entry),
            None => chains.push((&entry.line.instance, vec![entry])),
        }
    }
    chains.sort_by_key(|(_, chain)| chain.first().map(|first| first.line.at_ms));
    for (instance, chain) in &chains {
        report.faults.extend(faults(instance, chain));
        report.chains.extend(found(instance, chain, &known));
    }
    for hash in expected {
        let at = entries.iter().find(|entry| entry.hash == *hash);
        let is_last = report.chains.iter().any(|chain| chain.last == *hash);
        match at {
            None => report.faults.push(Fault::NotThere(*hash)),
            Some(_) if is_last => {}
            Some(entry) => {
                report.faults.push(Fault::NotLast { expected: *hash, place: entry.place.clone() });
            }
        }
    }
    report
}

/// The lines of all files, in the order of their first lines in their chains: clocks may have been set back.
fn read(files: &[File<'_>], faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut read: Vec<Vec<Entry>> = files.iter().map(|file| read_file(*file, faults)).collect();
    let place = |entry: &Entry| (entry.line.instance.clone(), entry.line.seq);
    read.sort_by_cached_key(|entries| entries.first().map(place));
    read.into_iter().flatten().collect()
}

fn read_file(file: File<'_>, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, bytes) in file.bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let place = Place { file: file.name.to_owned(), line: index + 1 };
        let Some(bytes) = bytes.strip_suffix(b"\n") else {
            faults.push(Fault::Torn(place));
            continue;
        };
        match serde_json::from_slice(bytes) {
            Ok(line) => entries.push(Entry { place, hash: Sha256Digest::hash(bytes), line }),
            Err(_) => faults.push(Fault::Unreadable(place)),
        }
    }
    entries
}

/// What is wrong with a chain, whose lines stand in the order in which they were read.
fn faults(instance: &str, chain: &[&Entry]) -> Vec<Fault> {
    let mut by_seq: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
    for entry in chain {
        by_seq.entry(entry.line.seq).or_default().push(entry);
    }
    let mut faults = Vec::new();
    // Of several lines of one number, that one is the chain's which the next was made for.
    let mut kept: Vec<&Entry> = Vec::new();
    for (seq, entries) in &by_seq {
        let wanted: Vec<Sha256Digest> =
            by_seq.get(&(seq + 1)).into_iter().flatten().map(|e| e.line.prev).collect();
        let own = entries.iter().position(|entry| wanted.contains(&entry.hash)).unwrap_or(0);
        kept.push(entries[own]);
        let others = entries.iter().enumerate().filter(|(index, _)| *index != own);
        faults.extend(others.map(|(_, entry)| Fault::Inserted(entry.place.clone())));
    }
    let mut next = 0;
    for entry in &kept {
        if entry.line.seq > next {
            faults.push(Fault::Removed { instance: instance.to_owned(), from: next, to: entry.line.seq - 1 });
        }
        next = entry.line.seq + 1;
    }
    if kept.first().is_some_and(|first| first.line.seq == 0 && !is_first(first)) {
        faults.push(Fault::Changed(kept[0].place.clone()));
    }
    for pair in kept.windows(2) {
        let [one, after] = pair else { continue };
        if one.line.seq + 1 == after.line.seq && after.line.prev != one.hash {
            faults.push(Fault::Changed(one.place.clone()));
        }
    }
    faults.extend(moved(chain, &kept));
    faults
}

/// A first line follows none, and says that a service has started.
fn is_first(entry: &Entry) -> bool {
    entry.line.prev == Sha256Digest::ZERO && matches!(entry.line.event, Event::Start(_))
}

/// The lines of a chain that stand behind a later one.
fn moved(chain: &[&Entry], kept: &[&Entry]) -> Vec<Fault> {
    let kept: BTreeSet<&Place> = kept.iter().map(|entry| &entry.place).collect();
    let mut latest = None;
    let mut moved = Vec::new();
    for entry in chain.iter().filter(|entry| kept.contains(&entry.place)) {
        if latest.is_some_and(|latest| entry.line.seq < latest) {
            moved.push(Fault::Moved(entry.place.clone()));
        }
        latest = latest.max(Some(entry.line.seq));
    }
    moved
}

fn found(instance: &str, chain: &[&Entry], known: &BTreeSet<Sha256Digest>) -> Option<Found> {
    let last = chain.iter().max_by_key(|entry| entry.line.seq)?;
    let follows = chain.iter().find_map(|entry| match &entry.line.event {
        Event::Start(start) => start.follows,
        _ => None,
    });
    Some(Found {
        instance: instance.to_owned(),
        lines: chain.len(),
        lost: chain.iter().map(|entry| entry.line.lost).sum(),
        is_ended: matches!(last.line.event, Event::Stop),
        last: last.hash,
        follows_unseen: follows.filter(|hash| !known.contains(hash)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, Key, Start};
    use super::*;
    use crate::protocol::{Scheme, UnixMillis};

    const INSTANCE: &str = "00112233445566778899aabbccddeeff";

    /// A chain of `lines` lines, the last of which is a stop.
    fn chain(instance: &str, lines: usize) -> Vec<Vec<u8>> {
        let mut chain = Chain::new(instance.to_owned());
        let (deployment, host) = ("lab".parse().unwrap(), "host".to_owned());
        let start = Start { deployment, program: "0".to_owned(), host, slots: 1, follows: None };
        let mut written = vec![chain.next(UnixMillis(1_800_000_000_000), 0, Event::Start(start))];
        let key = Key { key: instance.parse().unwrap(), scheme: Scheme::X25519, destroyed: false };
        for at in 1..lines - 1 {
            written.push(chain.next(
                UnixMillis(1_800_000_000_000 + at as u64),
                0,
                Event::KeyAppeared(key.clone()),
            ));
        }
        written.push(chain.next(UnixMillis(1_800_000_000_999), 0, Event::Stop));
        written
    }

    fn faults_of(lines: &[Vec<u8>]) -> Vec<String> {
        let bytes = lines.concat();
        let report = verify(&[File { name: "f", bytes: &bytes }], &[]);
        report.faults.iter().map(ToString::to_string).collect()
    }

    fn at(place: &str) -> impl Fn(&[String]) -> bool {
        let place = format!("f:{place}");
        move |faults| faults.len() == 1 && faults[0].starts_with(&place)
    }

    #[test]
    fn a_chain_that_nobody_touched_is_whole() {
        let lines = chain(INSTANCE, 10);
        assert_eq!(faults_of(&lines), Vec::<String>::new());
        let (first, second) = (lines[..4].concat(), lines[4..].concat());
        // In whichever order its files are named.
        let files = [File { name: "b", bytes: &second }, File { name: "a", bytes: &first }];
        let report = verify(&files, &[Sha256Digest::hash(lines[9].strip_suffix(b"\n").unwrap())]);
        assert_eq!(report.faults, vec![]);
        assert!(report.chains[0].is_ended && report.chains[0].lines == 10);
    }

    #[test]
    fn every_line_that_is_changed_is_named() {
        for index in 0..9 {
            let mut lines = chain(INSTANCE, 10);
            let text = String::from_utf8(lines[index].clone()).unwrap();
            lines[index] = text.replace("\"at_ms\":18", "\"at_ms\":17").into_bytes();
            let faults = faults_of(&lines);
            assert!(at(&format!("{}: changed", index + 1))(&faults), "{index}: {faults:?}");
        }
    }

    #[test]
    fn every_line_that_is_removed_is_named() {
        for index in 0..9 {
            let mut lines = chain(INSTANCE, 10);
            lines.remove(index);
            assert_eq!(faults_of(&lines), [format!("chain {INSTANCE}: line {index} is removed")]);
        }
        let mut lines = chain(INSTANCE, 10);
        lines.drain(3..6);
        assert_eq!(faults_of(&lines), [format!("chain {INSTANCE}: lines 3 to 5 are removed")]);
    }

    #[test]
    fn lines_that_are_swapped_repeated_or_foreign_are_named() {
        let mut swapped = chain(INSTANCE, 10);
        swapped.swap(4, 5);
        assert!(at("6: out of order")(&faults_of(&swapped)), "{:?}", faults_of(&swapped));

        let mut repeated = chain(INSTANCE, 10);
        repeated.insert(7, repeated[3].clone());
        assert!(at("8: inserted")(&faults_of(&repeated)), "{:?}", faults_of(&repeated));

        let mut forged = chain(INSTANCE, 10);
        let text = String::from_utf8(forged[3].clone()).unwrap();
        forged.insert(3, text.replace("x25519", "xwing").into_bytes());
        assert!(at("4: inserted")(&faults_of(&forged)), "{:?}", faults_of(&forged));

        let mut foreign = chain(INSTANCE, 10);
        foreign.insert(5, b"{\"event\":\"job\"}\n".to_vec());
        assert!(at("6: changed: it is no line")(&faults_of(&foreign)), "{:?}", faults_of(&foreign));
    }

    #[test]
    fn an_end_that_is_cut_off_is_seen_by_whoever_knows_the_last_hash() {
        let lines = chain(INSTANCE, 10);
        let last = Sha256Digest::hash(lines[9].strip_suffix(b"\n").unwrap());
        let cut = lines[..7].concat();
        let report = verify(&[File { name: "f", bytes: &cut }], &[]);
        assert_eq!((report.faults.len(), report.chains[0].is_ended), (0, false));
        let report = verify(&[File { name: "f", bytes: &cut }], &[last]);
        assert_eq!(report.faults, [Fault::NotThere(last)]);

        let earlier = Sha256Digest::hash(lines[5].strip_suffix(b"\n").unwrap());
        let whole = lines.concat();
        let report = verify(&[File { name: "f", bytes: &whole }], &[earlier]);
        assert!(matches!(report.faults[..], [Fault::NotLast { .. }]), "{report:?}");

        let torn = &whole[..whole.len() - 5];
        let report = verify(&[File { name: "f", bytes: torn }], &[]);
        assert!(matches!(report.faults[..], [Fault::Torn(_)]), "{report:?}");
    }

    #[test]
    fn all_of_it_written_anew_is_seen_by_whoever_knows_any_hash() {
        let (old, new) = (chain(INSTANCE, 10), chain(INSTANCE, 11));
        let last = Sha256Digest::hash(old[9].strip_suffix(b"\n").unwrap());
        let report = verify(&[File { name: "f", bytes: &new.concat() }], &[last]);
        assert_eq!(report.faults, [Fault::NotThere(last)]);
    }
}
