//! See `sealprove_fuzz::frames::of_job`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::frames::of_job(data));
