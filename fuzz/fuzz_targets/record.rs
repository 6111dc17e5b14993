//! Fuzzes [`xdsc_fuzz::record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::record(data));
