//! Fuzzes [`xdsc_fuzz::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::message(data));
