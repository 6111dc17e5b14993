//! A rustc that can build `core` for the BPF target.
//!
//! The target has no prebuilt `core`, so `-Z build-std` compiles it: that asks
//! for core's sources and for a compiler that takes unstable options. A rustup
//! nightly with `rust-src` is one; Debian's own compiler with its source
//! package and RUSTC_BOOTSTRAP=1 is another. The workspace's stable toolchain
//! is neither.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{find_program, forget_cargo_run, output};
use crate::setup::linker;

/// The packages that make up a usable toolchain on Debian.
pub(super) const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What to do where no usable toolchain can be installed by us.
pub(super) const CURE: &str = "run `rustup toolchain install nightly --component rust-src`, or on \
     Debian `apt-get install --no-install-recommends rustc-web cargo-web rust-web-src`";

/// A compiler and its cargo.
pub(crate) struct BpfToolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
    unstable: Unstable,
    version: RustcVersion,
}

/// How the compiler is made to accept unstable options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unstable {
    /// It is a nightly.
    Nightly,
    /// By RUSTC_BOOTSTRAP=1.
    Bootstrap,
}

impl BpfToolchain {
    /// The first usable toolchain: rustup's nightlies, then Debian's.
    pub(crate) fn find() -> Option<Self> {
        nightlies()
            .into_iter()
            .find_map(Self::nightly)
            .or_else(Self::debian)
    }

    fn nightly(sysroot: PathBuf) -> Option<Self> {
        let (cargo, rustc) = (sysroot.join("bin/cargo"), sysroot.join("bin/rustc"));
        Self::usable(cargo, rustc, sysroot, Unstable::Nightly)
    }

    fn debian() -> Option<Self> {
        let (cargo, rustc) = ("/usr/bin/cargo".into(), "/usr/bin/rustc".into());
        Self::usable(cargo, rustc, "/usr".into(), Unstable::Bootstrap)
    }

    fn usable(
        cargo: PathBuf,
        rustc: PathBuf,
        sysroot: PathBuf,
        unstable: Unstable,
    ) -> Option<Self> {
        if !cargo.is_file() || !rustc.is_file() || !has_core_sources(&sysroot) {
            return None;
        }
        let mut question = Command::new(&rustc);
        forget_cargo_run(question.arg("-vV"));
        let version = RustcVersion::parse(&output(&mut question).ok()?)?;
        // The linker must read the bitcode that the compiler writes.
        (version.llvm <= linker::LLVM).then_some(Self {
            cargo,
            rustc,
            sysroot,
            unstable,
            version,
        })
    }

    /// This toolchain's cargo, free of the calling cargo's settings.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        forget_cargo_run(&mut command);
        for name in [
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "CARGO",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            command.env_remove(name);
        }
        command.env("RUSTC", &self.rustc);
        if self.unstable == Unstable::Bootstrap {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// Where a toolchain from rustup keeps the LLVM that it brings.
    pub(super) fn library_dir(&self) -> PathBuf {
        self.sysroot.join("lib")
    }

    /// The BPF program is compiled for the machine that compiles it.
    pub(crate) fn host_arch(&self) -> &str {
        self.version.host.split('-').next().unwrap_or_default()
    }

    pub(super) fn host(&self) -> &str {
        &self.version.host
    }
}

impl fmt::Display for BpfToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RustcVersion { release, llvm, .. } = &self.version;
        write!(f, "{} {release}, LLVM {llvm}", self.rustc.display())
    }
}

fn has_core_sources(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/core").is_dir()
}

/// The folders of rustup's nightly toolchains, undated and newest first.
fn nightlies() -> Vec<PathBuf> {
    let mut found: Vec<_> = rustup_toolchains()
        .into_iter()
        .filter(|path| name_of(path).starts_with("nightly"))
        .collect();
    // "nightly-x86_64..." sorts behind every "nightly-2026-...".
    found.sort();
    found.reverse();
    found
}

/// The folders of all of rustup's toolchains.
pub(super) fn rustup_toolchains() -> Vec<PathBuf> {
    let Some(home) = rustup_home() else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(home.join("toolchains")) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn rustup_home() -> Option<PathBuf> {
    if let Some(home) = std::env::var_os("RUSTUP_HOME") {
        return Some(home.into());
    }
    find_program("rustup")?;
    Some(std::env::home_dir()?.join(".rustup"))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What `rustc -vV` says.
#[derive(Debug, PartialEq, Eq)]
struct RustcVersion {
    release: String,
    host: String,
    /// Major version.
    llvm: u32,
}

impl RustcVersion {
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        Some(Self {
            release: field("release")?.to_owned(),
            host: field("host")?.to_owned(),
            llvm: field("LLVM version")?.split('.').next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_rustc() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n\
            binary: rustc\n\
            host: x86_64-unknown-linux-gnu\n\
            release: 1.96.0\n\
            LLVM version: 22.1.8\n";
        let expected = RustcVersion {
            release: "1.96.0".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            llvm: 22,
        };
        assert_eq!(RustcVersion::parse(text), Some(expected));
    }

    #[test]
    fn compiler_without_llvm_is_no_version() {
        assert_eq!(
            RustcVersion::parse("release: 1.96.0\nhost: x86_64-unknown-linux-gnu\n"),
            None
        );
    }

    #[test]
    fn toolchain_without_core_sources_is_not_usable() {
        let sysroot = tempfile::tempdir().expect("a temporary folder");
        assert!(!has_core_sources(sysroot.path()));
        let core = sysroot.path().join("lib/rustlib/src/rust/library/core");
        fs::create_dir_all(core).expect("a folder inside it");
        assert!(has_core_sources(sysroot.path()));
    }
}
