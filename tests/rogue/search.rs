//! `searches-v1` looks through all of its memory under the lock, where nothing says what is mapped: it asks of
//! each page near an address that it knows whether the kernel could read it, by a call that every job may make.

use std::ops::Range;

use serde::Serialize;

use crate::Script;
use crate::probe::{Needle, readable_memory};

const PAGE_BYTES: usize = 4096;
/// Distance of the search from known addresses. What the kernel maps without an address lies in one stretch.
const AROUND_BYTES: usize = 1 << 30;
/// End of the address space of programs.
const END: usize = 1 << 47;

#[derive(Serialize)]
struct Report {
    /// Number of times the needle stands in memory, whole, and by one of its halves.
    needle: usize,
    halves: usize,
    /// Number of times its own secrets stand on its heap and in pages of its own.
    decoy: usize,
    /// Bytes of memory that were searched.
    bytes: usize,
    /// Bytes that exist besides, by the kernel's own word.
    missed: Option<usize>,
}

pub(crate) fn report(script: &Script) -> Option<Vec<u8>> {
    let (needle, decoy) = (Needle::new(&script.needle)?, Needle::new(&script.decoy)?);
    let on_heap = std::hint::black_box(decoy.in_clear());
    let in_pages = own_pages();
    in_pages[..Needle::BYTES].copy_from_slice(&on_heap);
    let known = if script.compares { readable_memory() } else { Vec::new() };

    let ranges = readable_ranges(&anchors(&on_heap, in_pages));
    let mut report = Report { needle: 0, halves: 0, decoy: 0, bytes: 0, missed: None };
    for range in &ranges {
        // SAFETY: readable a moment ago, and no other thread of this process does anything.
        let memory = unsafe {
            std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(range.start), range.len())
        };
        let count = |of: &Needle, part| of.places_of(part, memory).count();
        report.needle += count(&needle, 0..Needle::BYTES);
        report.halves += count(&needle, 0..16) + count(&needle, 16..Needle::BYTES);
        report.decoy += count(&decoy, 0..Needle::BYTES);
        report.bytes += range.len();
    }
    report.missed = script.compares.then(|| known.iter().map(|(from, to)| missed(*from..*to, &ranges)).sum());
    drop(on_heap);
    // Cannot panic: a struct of numbers.
    Some(serde_json::to_vec(&report).expect("a report"))
}

/// Pages from the kernel, like those that hold the chamber's keys.
fn own_pages() -> &'static mut [u8] {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, unknown to other code, which stays.
    unsafe {
        let pages = libc::mmap(std::ptr::null_mut(), PAGE_BYTES, prot, flags, -1, 0);
        assert!(pages != libc::MAP_FAILED, "a page");
        std::slice::from_raw_parts_mut(pages.cast(), PAGE_BYTES)
    }
}

/// Addresses of every kind of memory: this thread's stack and the first one's, both kinds of heap, pages,
/// the program, its library, and what the kernel maps.
fn anchors(on_heap: &[u8], in_pages: &[u8]) -> Vec<usize> {
    unsafe extern "C" {
        static environ: *const u8;
    }
    let local = 0_u8;
    // SAFETY: the first moves no end of the heap; the second is a number; the third is never written.
    let (end_of_heap, of_kernel, first_stack) =
        unsafe { (libc::syscall(libc::SYS_brk, 0), libc::getauxval(libc::AT_SYSINFO_EHDR), environ) };
    let mut anchors = vec![
        std::ptr::from_ref(&local).expose_provenance(),
        on_heap.as_ptr().expose_provenance(),
        in_pages.as_ptr().expose_provenance(),
        first_stack.expose_provenance(),
        usize::try_from(end_of_heap).unwrap_or(0),
        usize::try_from(of_kernel).unwrap_or(0),
        report as fn(&Script) -> Option<Vec<u8>> as usize,
        libc::getpid as unsafe extern "C" fn() -> i32 as usize,
    ];
    anchors.sort_unstable();
    anchors
}

/// The stretches of readable memory around those addresses, which are sorted.
fn readable_ranges(anchors: &[usize]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut page = PAGE_BYTES;
    for anchor in anchors {
        let from = anchor.saturating_sub(AROUND_BYTES) & !(PAGE_BYTES - 1);
        let to = anchor.saturating_add(AROUND_BYTES).min(END - PAGE_BYTES);
        page = page.max(from);
        while page < to {
            if is_readable(page) {
                match ranges.last_mut().filter(|last| last.end == page) {
                    Some(last) => last.end += PAGE_BYTES,
                    None => ranges.push(page..page + PAGE_BYTES),
                }
            }
            page += PAGE_BYTES;
        }
    }
    ranges
}

/// Checks whether the kernel can read the page. It reads the set of signals before it sees that there is no way of
/// changing signals by that number.
fn is_readable(page: usize) -> bool {
    const NO_WAY: usize = 99;
    // SAFETY: changes nothing, reads 8 bytes where they can be read, and writes none.
    let came = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NO_WAY, page, 0, 8) };
    came == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// Returns the bytes that exist and were not found.
fn missed(there: Range<usize>, found: &[Range<usize>]) -> usize {
    if there.start >= END {
        return 0;
    }
    let common = |found: &Range<usize>| found.end.min(there.end).saturating_sub(found.start.max(there.start));
    there.len() - found.iter().map(common).sum::<usize>()
}
