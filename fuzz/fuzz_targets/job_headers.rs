//! See `sealprove_fuzz::headers::of_job`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::headers::of_job(data));
