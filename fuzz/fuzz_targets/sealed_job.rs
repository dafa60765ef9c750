//! See `sealprove_fuzz::seals::job`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::seals::job(data));
