//! The check of audit logs: chain by chain, line by line. Pure.
//!
//! A chain reveals every line that was changed, removed, inserted or moved. By itself it does not reveal a cut end, or a
//! chain that was written again from its start. For that the auditor must know the hash of a later line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::line::{Event, Line};
use crate::protocol::Sha256Digest;

/// A file of an audit log.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Name of the file in reports.
    pub name: &'a str,
    /// Contents of the file.
    pub bytes: &'a [u8],
}

/// The place of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Number of the line in it, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A difference between the log and what the service wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The line is not one of an audit log.
    Unreadable(Place),
    /// The file ends within a line: its end was cut off, or the machine stopped.
    Torn(Place),
    /// The line is not the one that the next line was made for.
    Changed(Place),
    /// Lines are missing.
    Removed {
        /// Instance of the chain.
        instance: String,
        /// Number of the first missing line.
        from: u64,
        /// Number of the last missing line.
        to: u64,
    },
    /// The line does not belong to its chain.
    Inserted(Place),
    /// The line stands behind one that was written later.
    Moved(Place),
    /// No line has the expected hash.
    NotThere(Sha256Digest),
    /// The line with the expected hash is not the last of its chain.
    NotLast {
        /// Expected hash.
        expected: Sha256Digest,
        /// Place of the line.
        place: Place,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreadable(place) => write!(f, "{place}: changed: it is not a line of an audit log"),
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
                write!(f, "no line has the hash {hash}: the end is cut off, or the chain was written again")
            }
            Fault::NotLast { expected, place } => {
                write!(f, "{place}: has the expected hash {expected}, but is not the last line of its chain")
            }
        }
    }
}

/// The summary of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSummary {
    /// Random id of the service's start.
    pub instance: String,
    /// Number of lines.
    pub lines: usize,
    /// Number of events that its lines state as missing.
    pub lost: u64,
    /// True if it ends with the line that a service writes when it stops. If not, the service still runs, was killed, or
    /// the end is cut off.
    pub is_ended: bool,
    /// Hash of its last line. The auditor keeps it elsewhere, and expects it the next time.
    pub last: Sha256Digest,
    /// Hash of the line that it states to follow, if that line is in none of the files.
    pub follows_unseen: Option<Sha256Digest>,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Chains, by the time of their first lines.
    pub chains: Vec<ChainSummary>,
    /// Faults of all chains. Empty if the log is as it was written.
    pub faults: Vec<Fault>,
}

/// A line, with its place and the hash of its bytes.
struct Entry {
    place: Place,
    hash: Sha256Digest,
    line: Line,
}

/// Checks the chains in these files, however they are spread over them, and that each of the expected hashes is that of
/// a chain's last line.
pub fn verify(files: &[File<'_>], expected: &[Sha256Digest]) -> Report {
    let mut report = Report::default();
    let entries = read(files, &mut report.faults);
    let known: BTreeSet<Sha256Digest> = entries.iter().map(|entry| entry.hash).collect();
    // A folder may hold the logs of several services, and of several starts of each.
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
        report.chains.extend(summary(instance, chain, &known));
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

/// Reads the lines of all files. Files are sorted by the number of their first line and not by time, since a clock may
/// have been set back.
fn read(files: &[File<'_>], faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut read: Vec<Vec<Entry>> = files.iter().map(|file| read_file(*file, faults)).collect();
    read.sort_by_cached_key(|entries| {
        entries.first().map(|entry| (entry.line.instance.clone(), entry.line.seq))
    });
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

/// Returns the faults of a chain, whose lines are in the order in which they were read.
fn faults(instance: &str, chain: &[&Entry]) -> Vec<Fault> {
    let mut by_seq: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
    for entry in chain {
        by_seq.entry(entry.line.seq).or_default().push(entry);
    }
    let (kept, mut faults) = sort_out_inserted(&by_seq);
    let mut next = 0;
    for entry in &kept {
        if entry.line.seq > next {
            faults.push(Fault::Removed { instance: instance.to_owned(), from: next, to: entry.line.seq - 1 });
        }
        next = entry.line.seq + 1;
    }
    // No line pins the hash of the first one's predecessor, so its form is checked instead.
    if kept.first().is_some_and(|first| first.line.seq == 0 && !is_first(first)) {
        faults.push(Fault::Changed(kept[0].place.clone()));
    }
    for pair in kept.windows(2) {
        // Only neighbours: a gap is reported as removed lines, once.
        let [one, after] = pair else { continue };
        if one.line.seq + 1 == after.line.seq && after.line.prev != one.hash {
            faults.push(Fault::Changed(one.place.clone()));
        }
    }
    faults.extend(moved(chain, &kept));
    faults
}

/// Keeps one line of each number: the one that the next line was made for. The others were inserted.
fn sort_out_inserted<'a>(by_seq: &BTreeMap<u64, Vec<&'a Entry>>) -> (Vec<&'a Entry>, Vec<Fault>) {
    let (mut kept, mut faults) = (Vec::new(), Vec::new());
    for (seq, entries) in by_seq {
        let next = by_seq.get(&(seq + 1));
        let wanted: Vec<Sha256Digest> = next.into_iter().flatten().map(|entry| entry.line.prev).collect();
        let own = entries.iter().position(|entry| wanted.contains(&entry.hash)).unwrap_or(0);
        for (index, entry) in entries.iter().enumerate() {
            if index == own {
                kept.push(*entry);
            } else {
                faults.push(Fault::Inserted(entry.place.clone()));
            }
        }
    }
    (kept, faults)
}

/// Returns whether this is the first line of a chain: it follows none, and states that a service has started.
fn is_first(entry: &Entry) -> bool {
    entry.line.prev == Sha256Digest::ZERO && matches!(entry.line.event, Event::Start(_))
}

/// Returns the lines of a chain that stand behind a later one.
fn moved(chain: &[&Entry], kept: &[&Entry]) -> Vec<Fault> {
    let kept: BTreeSet<&Place> = kept.iter().map(|entry| &entry.place).collect();
    // Inserted lines are left out, so that each fault is reported once.
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

fn summary(instance: &str, chain: &[&Entry], known: &BTreeSet<Sha256Digest>) -> Option<ChainSummary> {
    let last = chain.iter().max_by_key(|entry| entry.line.seq)?;
    let follows = chain.iter().find_map(|entry| match &entry.line.event {
        Event::Start(start) => start.follows,
        _ => None,
    });
    Some(ChainSummary {
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
    use super::super::chain::Chain;
    use super::super::line::{Key, Start};
    use super::*;
    use crate::protocol::{Scheme, UnixMillis};

    const INSTANCE: &str = "00112233445566778899aabbccddeeff";

    /// Makes a chain of `lines` lines, the last of which is a stop.
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
    fn an_untouched_chain_has_no_faults() {
        let lines = chain(INSTANCE, 10);
        assert_eq!(faults_of(&lines), Vec::<String>::new());
        let (first, second) = (lines[..4].concat(), lines[4..].concat());
        // The order of the files makes no difference.
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
        assert!(at("6: changed: it is not a line")(&faults_of(&foreign)), "{:?}", faults_of(&foreign));
    }

    #[test]
    fn a_cut_end_is_detected_by_an_auditor_who_knows_the_last_hash() {
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
    fn a_chain_that_is_written_again_is_detected_by_an_auditor_who_knows_a_hash() {
        let (old, new) = (chain(INSTANCE, 10), chain(INSTANCE, 11));
        let last = Sha256Digest::hash(old[9].strip_suffix(b"\n").unwrap());
        let report = verify(&[File { name: "f", bytes: &new.concat() }], &[last]);
        assert_eq!(report.faults, [Fault::NotThere(last)]);
    }
}
