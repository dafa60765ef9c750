//! See `sealprove_fuzz::frames::of_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealprove_fuzz::frames::of_reply(data));
