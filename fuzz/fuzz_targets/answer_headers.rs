//! See `sealprove_fuzz::headers::of_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::headers::of_answer(data));
