//! The allocator of a program that has a chamber: it wipes what it frees.
//!
//! A prover keeps its witness in ordinary vectors and frees them as they are: without this, a thousand copies
//! of a secret lie about the heap after one proof. It reaches what Rust allocates, not stacks, registers or
//! the kernel's own copies; those end with the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::frame::Exit;

/// The system's allocator, which wipes every block before it is given back. Blocks that grow move, so that
/// nothing is left where they were. A program with a chamber has it as its own:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct WipingAllocator;

/// Whether the program has it: a chamber starts with no other.
static IN_FORCE: AtomicBool = AtomicBool::new(false);
/// Whether a refused allocation ends the process.
static REFUSAL_IS_FINAL: AtomicBool = AtomicBool::new(false);

/// Whether this program's allocator wipes.
pub(super) fn is_in_force() -> bool {
    drop(std::hint::black_box(Box::new(0_u8)));
    IN_FORCE.load(Ordering::Relaxed)
}

/// From here on this process ends as soon as an allocation is refused, and says so by its status. Nothing
/// else would say it for certain: what comes of a refusal is up to the code that asked.
pub(super) fn end_when_refused() {
    REFUSAL_IS_FINAL.store(true, Ordering::Relaxed);
}

// SAFETY: every block comes from the system's allocator and goes back to it with its own layout. `realloc`
// is the trait's own, which allocates, copies, and gives the old block back through `dealloc`.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the system allocator's.
        granted(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above. Pages that are zero already are not touched.
        granted(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's, of this size, for the last time. This write is never left out.
        unsafe { libc::explicit_bzero(block.cast(), layout.size()) };
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(block, layout) };
    }
}

fn granted(block: *mut u8) -> *mut u8 {
    if block.is_null() && REFUSAL_IS_FINAL.load(Ordering::Relaxed) {
        super::process::exit(Exit::OutOfMemory);
    }
    if !IN_FORCE.load(Ordering::Relaxed) {
        IN_FORCE.store(true, Ordering::Relaxed);
    }
    block
}
