//! Fuzzes [`xdsc_fuzz::packet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::packet(data));
