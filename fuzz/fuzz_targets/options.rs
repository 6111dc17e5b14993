//! Fuzzes [`xdsc_fuzz::options`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::options(data));
