//! See `sealprove_fuzz::seals::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::seals::answer(data));
