//! See `sealprove_fuzz::headers::stored`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::headers::stored(data));
