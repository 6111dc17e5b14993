//! `build`: the BPF objects, then the daemon that embeds them.
//!
//! The probe is compiled by another toolchain into a folder of its own, once
//! per variant, and copied to where the daemon's build script looks. A copy is
//! made only when the content changed, so an unchanged probe does not rebuild
//! the daemon.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::process::{cargo, run};
use crate::setup::{BpfLinker, BpfToolchain};
use crate::workspace;

const TARGET: &str = "bpfel-unknown-none";

/// Build the BPF objects and the daemon
#[derive(Args)]
pub(crate) struct Build {
    /// Build the daemon with optimisations (the BPF objects always are)
    #[arg(long)]
    release: bool,
    /// Stop after the BPF objects
    #[arg(long)]
    probe_only: bool,
}

impl Build {
    pub(crate) fn run(&self) -> Result<()> {
        build_probe()?;
        if self.probe_only {
            return Ok(());
        }
        let profile = if self.release {
            Profile::Release
        } else {
            Profile::Debug
        };
        let daemon = build_daemon(profile)?;
        println!("built          {}", daemon.display());
        Ok(())
    }
}

/// Cargo's profile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    /// The option that chooses it.
    pub(crate) fn option(self) -> Option<&'static str> {
        match self {
            Self::Debug => None,
            Self::Release => Some("--release"),
        }
    }

    /// Where binaries of this profile lie.
    pub(crate) fn dir(self) -> PathBuf {
        workspace::target_dir().join(match self {
            Self::Debug => "debug",
            Self::Release => "release",
        })
    }
}

/// Builds the `xdsc` binary and returns its path.
pub(crate) fn build_daemon(profile: Profile) -> Result<PathBuf> {
    run(cargo()
        .args(["build", "--package", "xdsc"])
        .args(profile.option()))?;
    let daemon = profile.dir().join("xdsc");
    if !daemon.is_file() {
        bail!(
            "cargo built the package `xdsc` without a binary at {}",
            daemon.display()
        );
    }
    Ok(daemon)
}

/// The probe's variants: the production program, one that logs each packet,
/// one that times itself.
const VARIANTS: [Variant; 3] = [
    Variant {
        feature: None,
        object: "probe.o",
    },
    Variant {
        feature: Some("trace"),
        object: "probe-trace.o",
    },
    Variant {
        feature: Some("bench"),
        object: "probe-bench.o",
    },
];

struct Variant {
    feature: Option<&'static str>,
    object: &'static str,
}

/// Builds every variant of the probe into [`workspace::probe_dir`].
pub(crate) fn build_probe() -> Result<()> {
    let manifest = workspace::root().join("ebpf-probe/Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "there is no probe to build: {} is missing",
            manifest.display()
        );
    }
    let compiler = ProbeCompiler::find(manifest)?;
    for variant in &VARIANTS {
        let object = compiler
            .compile(variant)
            .with_context(|| format!("the BPF object {} was not built", variant.object))?;
        let place = workspace::probe_dir().join(variant.object);
        let change = copy_if_changed(&object, &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
        println!(
            "{}  {}",
            if change {
                "new object   "
            } else {
                "same object  "
            },
            place.display()
        );
    }
    Ok(())
}

struct ProbeCompiler {
    toolchain: BpfToolchain,
    linker: BpfLinker,
    manifest: PathBuf,
}

impl ProbeCompiler {
    fn find(manifest: PathBuf) -> Result<Self> {
        let toolchain = BpfToolchain::find()
            .context("no Rust toolchain here can build `core` for BPF; run `cargo xtask setup`")?;
        match BpfLinker::find(&toolchain) {
            Ok(linker) => Ok(Self {
                toolchain,
                linker,
                manifest,
            }),
            Err(missing) => bail!("{missing}; run `cargo xtask setup`"),
        }
    }

    /// Compiles one variant and returns the object's path.
    fn compile(&self, variant: &Variant) -> Result<PathBuf> {
        run(&mut self.cargo_build(variant))?;
        Ok(workspace::probe_build_dir()
            .join(TARGET)
            .join("release/probe"))
    }

    fn cargo_build(&self, variant: &Variant) -> Command {
        let mut command = self.toolchain.cargo();
        command
            .current_dir(workspace::root())
            .args(["build", "--quiet", "--release", "--bin", "probe"])
            .args(["-Z", "build-std=core", "--target", TARGET])
            .arg("--manifest-path")
            .arg(&self.manifest)
            .arg("--target-dir")
            .arg(workspace::probe_build_dir())
            .args(variant.feature.iter().flat_map(|feature| ["--features", feature]))
            .env("LD_LIBRARY_PATH", &self.linker.library_path)
            // Separated by U+001F, so that paths may hold spaces.
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags().join("\u{1f}"));
        command
    }

    fn rustflags(&self) -> [String; 5] {
        [
            format!("-Clinker={}", self.linker.program.display()),
            // The verifier's complaints and BTF need it.
            "-Cdebuginfo=2".to_owned(),
            "-Clink-arg=--btf".to_owned(),
            // 32-bit instructions and atomics.
            "-Ctarget-cpu=v3".to_owned(),
            // aya-ebpf's registers differ by the kernel's architecture.
            format!("--cfg=bpf_target_arch=\"{}\"", self.toolchain.host_arch()),
        ]
    }
}

/// Copies unless the same content is there; tells whether it did.
fn copy_if_changed(from: &Path, to: &Path) -> io::Result<bool> {
    let content = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(to, content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_is_written_only_when_its_content_changed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (built, placed) = (dir.path().join("built"), dir.path().join("bpf/probe.o"));
        fs::write(&built, "first").expect("a file");
        assert!(
            copy_if_changed(&built, &placed).expect("a copy"),
            "nothing there before"
        );
        assert!(
            !copy_if_changed(&built, &placed).expect("a look"),
            "the same content"
        );
        fs::write(&built, "other").expect("a file");
        assert!(
            copy_if_changed(&built, &placed).expect("a copy"),
            "other content"
        );
        assert_eq!(fs::read(&placed).expect("the copy"), b"other");
    }
}
