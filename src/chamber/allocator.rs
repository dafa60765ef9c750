//! The allocator of a program that has a chamber: it wipes what it frees.
//!
//! A prover keeps its witness in ordinary vectors and frees them as they are. Without this allocator, a thousand copies of a
//! secret are left in the heap after one proof. It reaches what Rust allocates; stacks, registers and the kernel's own
//! copies end with the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::exit;
use crate::frame::JobExit;

/// The system's allocator, wiping every block before it is given back. A program with a chamber declares it as its own:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct WipingAllocator;

/// True once this allocator has been called, so that the program has it as its own.
static IN_FORCE: AtomicBool = AtomicBool::new(false);
/// True if a refused allocation ends the process.
static REFUSAL_IS_FINAL: AtomicBool = AtomicBool::new(false);

/// Returns whether this program's allocator wipes. A chamber does not start with another one.
pub(super) fn is_in_force() -> bool {
    // An allocation that the compiler cannot leave out.
    drop(std::hint::black_box(Box::new(0_u8)));
    IN_FORCE.load(Ordering::Relaxed)
}

/// Has this process end as soon as an allocation is refused, with a status of its own. Otherwise the code that asked decides
/// what a refusal leads to, and the service could not tell it from a crash.
pub(super) fn end_when_refused() {
    REFUSAL_IS_FINAL.store(true, Ordering::Relaxed);
}

// SAFETY: every block comes from the system's allocator and goes back to it with its own layout. `realloc` is the trait's
// default, which allocates, copies, and gives the old block back through `dealloc`. So a block that grows is wiped too.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the system allocator's.
        granted(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above. The system does not touch pages that are zero already.
        granted(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's, of this size. The compiler may not leave out this write, as it may others to
        // memory that is freed next.
        unsafe { libc::explicit_bzero(block.cast(), layout.size()) };
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(block, layout) };
    }
}

fn granted(block: *mut u8) -> *mut u8 {
    if block.is_null() && REFUSAL_IS_FINAL.load(Ordering::Relaxed) {
        exit(JobExit::OutOfMemory);
    }
    if !IN_FORCE.load(Ordering::Relaxed) {
        IN_FORCE.store(true, Ordering::Relaxed);
    }
    block
}
