//! See `sealprove_fuzz::circuits::pczt_combine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::circuits::pczt_combine(data));
