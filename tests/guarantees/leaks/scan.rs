//! Reading: all memory of a process, all files below a folder, a text. And finding.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::needles::{Hits, Kind, Needles};

const PIECE_BYTES: usize = 1 << 20;
/// Bytes by which a needle is recognised before it is compared.
const PREFIX_BYTES: usize = 4;

/// The bytes read of a place, and the needles found there.
#[derive(Debug, Default, Clone)]
pub(crate) struct Scan {
    pub(crate) bytes: u64,
    /// Mappings of a process, or files.
    pub(crate) parts: u64,
    /// Bytes that the kernel lets no process read, such as pages of its own.
    pub(crate) unreadable: u64,
    pub(crate) hits: Hits,
    /// The mapping or file of each hit, with whether its pages are locked.
    pub(crate) places: Vec<(Kind, String, bool)>,
}

impl Scan {
    /// Counts what was found the second time to what was found the first time.
    pub(crate) fn and(&mut self, other: Scan) {
        self.bytes += other.bytes;
        self.parts += other.parts;
        self.unreadable += other.unreadable;
        for (kind, count) in other.hits {
            *self.hits.entry(kind).or_default() += count;
        }
        self.places.extend(other.places);
    }

    pub(crate) fn count(&self, wanted: impl Fn(Kind) -> bool) -> u64 {
        self.hits.iter().filter(|(kind, _)| wanted(**kind)).map(|(_, count)| count).sum()
    }
}

/// Finds many needles in one pass.
pub(crate) struct Scanner {
    needles: Vec<(Vec<u8>, Kind)>,
    by_prefix: HashMap<[u8; PREFIX_BYTES], Vec<usize>>,
    /// Indexed by two bytes: whether any needle begins with them. That sorts out nearly everything.
    begins: Vec<bool>,
    longest: usize,
}

impl Scanner {
    pub(crate) fn new(needles: &Needles) -> Self {
        let longest = needles.longest();
        let needles: Vec<_> = needles.iter().map(|(bytes, kind)| (bytes.to_vec(), kind)).collect();
        let (mut by_prefix, mut begins) = (HashMap::<_, Vec<_>>::new(), vec![false; 1 << 16]);
        for (index, (bytes, _)) in needles.iter().enumerate() {
            let prefix = bytes.first_chunk::<PREFIX_BYTES>().expect("a needle is longer than its prefix");
            by_prefix.entry(*prefix).or_default().push(index);
            begins[usize::from(u16::from_le_bytes([prefix[0], prefix[1]]))] = true;
        }
        Scanner { needles, by_prefix, begins, longest }
    }

    /// Finds the needles that begin in the first `own` bytes.
    fn find(&self, bytes: &[u8], own: usize, mut found: impl FnMut(Kind)) {
        for at in 0..own.min(bytes.len().saturating_sub(PREFIX_BYTES - 1)) {
            if !self.begins[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))] {
                continue;
            }
            let prefix = bytes[at..].first_chunk::<PREFIX_BYTES>().expect("enough bytes are left");
            for index in self.by_prefix.get(prefix).into_iter().flatten() {
                let (needle, kind) = &self.needles[*index];
                if bytes[at..].starts_with(needle) {
                    found(*kind);
                }
            }
        }
    }

    /// Reads a range piece by piece, each with the beginning of the next.
    fn range(
        &self,
        scan: &mut Scan,
        range: std::ops::Range<u64>,
        place: (&str, bool),
        read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    ) {
        let mut piece = vec![0; PIECE_BYTES + self.longest];
        let mut at = range.start;
        scan.parts += 1;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let (own, length) = (PIECE_BYTES.min(left), piece.len().min(left));
            let filled = fill(&mut piece[..length], at, &read);
            scan.bytes += own.min(filled) as u64;
            scan.unreadable += own.saturating_sub(filled) as u64;
            self.find(&piece[..filled], own, |kind| {
                *scan.hits.entry(kind).or_default() += 1;
                scan.places.push((kind, place.0.to_owned(), place.1));
            });
            at += own as u64;
        }
        // This program is looked at too, and its own buffer is not a place.
        zeroize::Zeroize::zeroize(&mut piece[..]);
    }

    /// All memory of a process that can be read; `None` where there is no such process any more.
    pub(crate) fn process(&self, pid: i32) -> Option<Scan> {
        let maps = mappings(pid)?;
        let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
        let mut scan = Scan::default();
        for mapping in maps.iter().filter(|mapping| mapping.is_readable) {
            let place = (&mapping.name[..], mapping.is_locked);
            self.range(&mut scan, mapping.range.clone(), place, |buffer, at| memory.read_at(buffer, at));
        }
        (scan.bytes > 0).then_some(scan)
    }

    /// Every file below a folder, but for what lies in `without`; also the names.
    pub(crate) fn folder(&self, folder: &Path, without: &[PathBuf]) -> Scan {
        let mut scan = Scan::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, kind) = (entry.path(), entry.file_type().expect("a file's type"));
                if without.contains(&path) {
                    continue;
                }
                self.bytes(&mut scan, entry.file_name().as_encoded_bytes(), "a file's name");
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    self.file(&mut scan, &path);
                }
            }
        }
        scan
    }

    /// One file; one that has gone meanwhile is empty.
    pub(crate) fn file(&self, scan: &mut Scan, path: &Path) {
        let Ok(file) = File::open(path) else { return };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let name = path.display().to_string();
        self.range(scan, 0..length, (&name, false), |buffer, at| file.read_at(buffer, at));
    }

    pub(crate) fn text(&self, text: &str) -> Scan {
        let mut scan = Scan::default();
        self.bytes(&mut scan, text.as_bytes(), "the text");
        scan
    }

    fn bytes(&self, scan: &mut Scan, bytes: &[u8], place: &str) {
        scan.parts += 1;
        scan.bytes += bytes.len() as u64;
        self.find(bytes, bytes.len(), |kind| {
            *scan.hits.entry(kind).or_default() += 1;
            scan.places.push((kind, place.to_owned(), false));
        });
    }
}

/// Reads until the buffer is full or nothing more comes.
fn fill(buffer: &mut [u8], at: u64, read: impl Fn(&mut [u8], u64) -> io::Result<usize>) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..], at + filled as u64) {
            Ok(0) | Err(_) => break,
            Ok(more) => filled += more,
        }
    }
    filled
}

struct Mapping {
    range: std::ops::Range<u64>,
    name: String,
    is_readable: bool,
    is_locked: bool,
}

/// proc_pid_smaps(5): a line as in proc_pid_maps(5), then lines of `Name: value`; of `VmFlags`, `lo` says
/// that the pages are locked.
fn mappings(pid: i32) -> Option<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        if first == "VmFlags:" {
            mappings.last_mut()?.is_locked = words.any(|flag| flag == "lo");
        } else if let Some((from, to)) = first.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).ok();
            let is_readable = words.next()?.starts_with('r');
            let name = words.nth(3).unwrap_or("anonymous").to_owned();
            mappings.push(Mapping {
                range: address(from)?..address(to)?,
                name,
                is_readable,
                is_locked: false,
            });
        }
    }
    Some(mappings)
}
