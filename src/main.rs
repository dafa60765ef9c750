//! The `sealprove` program: this build's own circuits, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealprove::main(sealprove::circuit::Circuits::built_in())
}
