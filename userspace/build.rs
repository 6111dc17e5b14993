//! Puts the BPF objects where `include_bytes!` finds them.
//!
//! `cargo xtask build` leaves them in the folder that `XDSC_PROBE_DIR` names.
//! Without them the binary still builds: its file commands work, and its live
//! commands say what to do.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=XDSC_PROBE_DIR");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let folder = env::var("XDSC_PROBE_DIR").unwrap_or_default();
    for name in ["probe.o", "probe-trace.o"] {
        let from = Path::new(&folder).join(name);
        println!("cargo::rerun-if-changed={}", from.display());
        let object = fs::read(&from).unwrap_or_default();
        fs::write(Path::new(&out).join(name), object).expect("OUT_DIR is writable");
    }
}
