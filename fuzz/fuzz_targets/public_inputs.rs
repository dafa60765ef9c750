//! See `sealprove_fuzz::circuits::public_inputs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::circuits::public_inputs(data));
