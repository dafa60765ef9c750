//! See `sealprove_fuzz::circuits::membership`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::circuits::membership(data));
