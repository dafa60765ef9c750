//! See `sealprove_fuzz::bundles::signed_by_anybody`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::bundles::signed_by_anybody(data));
