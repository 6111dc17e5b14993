//! Fuzzes [`xdsc_fuzz::dsc_conf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xdsc_fuzz::dsc_conf(data));
