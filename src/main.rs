//! The `sealprove` program.
fn main() {}
