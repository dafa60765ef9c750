//! See `sealprove_fuzz::frames::of_events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::frames::of_events(data));
