//! What the tests of the whole system share.
//!
//! [`packet`] builds frames, [`mutation`] damages them, [`kernel`] runs the
//! kernel programs on them, [`corpora`] starts the fuzzers with them. [`mmdb`] writes
//! databases of countries and autonomous systems. [`network`] stands the whole
//! daemon beside real servers and clients. [`rules`] reads the rules for Prometheus.

pub mod corpora;
pub mod kernel;
pub mod mmdb;
pub mod mutation;
pub mod network;
pub mod packet;
pub mod rules;
pub mod traffic;

use std::io::Write as _;

/// Whether to run a test that loads BPF programs: as root, yes; where
/// `XDSC_SKIP_PRIVILEGED=1` says so, no, and that is told past the harness,
/// which swallows the output of tests that pass.
///
/// # Panics
/// Without the privileges, unless asked to skip.
#[must_use]
pub fn privileged() -> bool {
    if std::env::var_os("XDSC_SKIP_PRIVILEGED").is_some_and(|value| value == "1") {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let line = format!("SKIPPED {test}: it needs privileges and XDSC_SKIP_PRIVILEGED=1\n");
        // Standard error as a file: `eprintln!` would be captured.
        let told = std::io::stderr().write_all(line.as_bytes());
        drop(told);
        return false;
    }
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test loads BPF programs and needs root: run `cargo xtask test`, which asks for \
         it, or set XDSC_SKIP_PRIVILEGED=1 to skip such tests"
    );
    true
}
