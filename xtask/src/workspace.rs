//! Where things are: the repository, cargo's output, the BPF objects.
//!
//! `cargo xtask` may be called from any folder of the repository, so every
//! path is derived from this package's place in it.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Cargo's output folder for the workspace.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where the finished BPF objects lie for the daemon's build script to find.
pub(crate) fn probe_dir() -> PathBuf {
    env::var_os("XDSC_PROBE_DIR").map_or_else(|| root().join("target/bpf"), |dir| root().join(dir))
}

/// Intermediate files of the BPF build: kept apart from [`target_dir`], since
/// another compiler writes them.
pub(crate) fn probe_build_dir() -> PathBuf {
    root().join("target/bpf-build")
}
