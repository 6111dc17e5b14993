//! Fuzzes [`xdsc_fuzz::name`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::name(data));
