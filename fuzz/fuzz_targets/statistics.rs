//! Fuzzes [`xdsc_fuzz::statistics`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::statistics(data));
