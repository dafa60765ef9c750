//! `draws-v1` reports what it draws; `probes-v1` what a job process looks like from inside, where it is not
//! locked. What it may not see is left out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use sealprove::circuit::InvalidWitness;
use serde::Serialize;

use crate::Script;

/// Bytes of memory that are looked at in one piece.
const PIECE_BYTES: usize = 256 * 1024;
/// Hides a needle from itself: its bytes never stand in clear where it is kept.
const MASK: u8 = 0x5a;

/// Findings before proving.
static FOUND: OnceLock<Found> = OnceLock::new();

#[derive(Serialize)]
struct Report {
    pid: u32,
    parent: u32,
    threads: Option<usize>,
    /// Open descriptors by number.
    descriptors: Option<BTreeMap<u32, String>>,
    /// Soft and hard limit, by the names of proc_pid_limits(5).
    limits: Option<BTreeMap<String, (String, String)>>,
    /// proc_pid_status(5).
    status: Option<BTreeMap<String, String>>,
    oom_score_adj: Option<String>,
    environment: usize,
    nice: Option<i32>,
    dumpable: Option<bool>,
    found: Option<&'static Found>,
}

/// Number of times a needle stands in the memory of this process.
#[derive(Serialize)]
struct Found {
    needle: usize,
    decoy: usize,
    /// Bytes of memory that were searched.
    bytes: usize,
}

/// Reports bytes of the operating system's generator.
pub(crate) fn draw(_: &Script) -> Option<Vec<u8>> {
    let mut random = [0; 32];
    // Cannot panic: the operating system has randomness.
    getrandom::fill(&mut random).expect("randomness");
    Some(serde_json::json!({"random": hex::encode(random)}).to_string().into_bytes())
}

pub(crate) fn report(_: &Script) -> Option<Vec<u8>> {
    let report = Report {
        pid: std::process::id(),
        parent: std::os::unix::process::parent_id(),
        threads: fs::read_dir("/proc/self/task").ok().map(Iterator::count),
        descriptors: descriptors(),
        limits: limits(),
        status: status(),
        oom_score_adj: fs::read_to_string("/proc/self/oom_score_adj").ok().map(|text| text.trim().into()),
        environment: std::env::vars_os().count(),
        nice: rustix::process::getpriority_process(None).ok(),
        dumpable: rustix::process::dumpable_behavior()
            .ok()
            .map(|dumpable| dumpable != rustix::process::DumpableBehavior::NotDumpable),
        found: FOUND.get(),
    };
    // Cannot panic: the keys of its maps are strings and numbers.
    Some(serde_json::to_vec(&report).expect("a report"))
}

/// All but the one with which the folder is read, which is closed before they are looked at.
fn descriptors() -> Option<BTreeMap<u32, String>> {
    let folder = PathBuf::from("/proc/self/fd");
    let names = fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.file_name());
    let names: Vec<_> = names.collect();
    let what = |name: OsString| {
        let number = name.to_str()?.parse().ok()?;
        Some((number, fs::read_link(folder.join(name)).ok()?.to_string_lossy().into_owned()))
    };
    Some(names.into_iter().filter_map(what).collect())
}

/// The names are padded to 26 columns, then come two of 21.
fn limits() -> Option<BTreeMap<String, (String, String)>> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = |line: &str| {
        let (name, values) = line.split_at_checked(26)?;
        let mut values = values.split_whitespace().map(str::to_owned);
        Some((name.trim().to_owned(), (values.next()?, values.next()?)))
    };
    Some(text.lines().skip(1).filter_map(limit).collect())
}

fn status() -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

/// Looks through all memory of this process, before anything is proved.
#[expect(clippy::unnecessary_wraps, reason = "it stands where a check stands")]
pub(crate) fn look_for_needles(script: &Script) -> Result<(), InvalidWitness> {
    let (Some(needle), Some(decoy)) = (Needle::new(&script.needle), Needle::new(&script.decoy)) else {
        return Ok(());
    };
    let kept = std::hint::black_box(decoy.in_clear());
    let mut found = Found { needle: 0, decoy: 0, bytes: 0 };
    let mut piece = vec![0; PIECE_BYTES];
    for (from, to) in readable_memory() {
        for at in (from..to).step_by(PIECE_BYTES - Needle::BYTES + 1) {
            let length = read_memory(at, &mut piece[..PIECE_BYTES.min(to - at)]);
            let own = piece.as_ptr().addr();
            // A copy of what has been read is not a second find.
            let elsewhere = |offset: &usize| !(own..own + PIECE_BYTES).contains(&(at + offset));
            found.needle += needle.places(&piece[..length]).filter(elsewhere).count();
            found.decoy += decoy.places(&piece[..length]).filter(elsewhere).count();
            found.bytes += length;
        }
    }
    drop(kept);
    let _ = FOUND.set(found);
    Ok(())
}

/// 32 bytes that are looked for, masked.
pub(crate) struct Needle([u8; Needle::BYTES]);

impl Needle {
    pub(crate) const BYTES: usize = 32;

    /// Reads 64 hexadecimal digits, and never has their bytes in clear.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut masked = [0; Self::BYTES];
        let digits = text.as_bytes().as_chunks::<2>().0;
        if text.len() != 2 * Self::BYTES {
            return None;
        }
        for (byte, digits) in masked.iter_mut().zip(digits) {
            let digit = |index: usize| char::from(digits[index]).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()? ^ MASK;
        }
        Some(Needle(masked))
    }

    pub(crate) fn in_clear(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte ^ MASK).collect()
    }

    fn places<'a>(&'a self, memory: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        self.places_of(0..Self::BYTES, memory)
    }

    /// Returns the address of a part of it.
    pub(crate) fn places_of<'a>(
        &'a self,
        part: std::ops::Range<usize>,
        memory: &'a [u8],
    ) -> impl Iterator<Item = usize> + 'a {
        let masked = &self.0[part];
        let is_here =
            move |window: &[u8]| window.iter().zip(masked).all(|(byte, masked)| byte ^ MASK == *masked);
        let windows = memory.windows(masked.len()).enumerate();
        windows.filter(move |(_, window)| is_here(window)).map(|(place, _)| place)
    }
}

/// The ranges of proc_pid_maps(5) that can be read, without the kernel's own clocks, of which pages are missing.
pub(crate) fn readable_memory() -> Vec<(usize, usize)> {
    let text = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let range = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        (rest.starts_with('r') && !rest.contains("[vvar")).then_some((address(from)?, address(to)?))
    };
    text.lines().filter_map(range).collect()
}

/// Reads as much of `buffer` as there is memory at `address`, and faults on none.
fn read_memory(address: usize, buffer: &mut [u8]) -> usize {
    let ours = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let theirs = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut::<u8>(address).cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: `buffer` is borrowed mutably; the kernel checks the other range.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &ours, 1, &theirs, 1, 0) };
    usize::try_from(read).unwrap_or(0)
}
