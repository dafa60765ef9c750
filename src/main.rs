//! The `sealprove` program: this build's own circuits, and nothing else.

use std::process::ExitCode;

#[cfg(feature = "service")]
#[global_allocator]
static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;

fn main() -> ExitCode {
    sealprove::main(sealprove::circuit::Circuits::built_in())
}
