//! Fuzzes [`xdsc_fuzz::capture`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::capture(data));
