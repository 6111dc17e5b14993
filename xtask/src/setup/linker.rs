//! bpf-linker and the LLVM library that it borrows.
//!
//! Version 0.10 links no LLVM: it opens the first `libLLVM*` of any version
//! that it meets in the folders of LD_LIBRARY_PATH. System folders hold
//! several versions, so it is shown a folder of ours with one link in it, and
//! a trial link proves that the pair works.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::packages;
use super::toolchain::{self, BpfToolchain};
use crate::process::{cargo, find_program, forget_cargo_run, output, run};
use crate::workspace;

/// The LLVM major version that [`VERSION`] speaks.
pub(super) const LLVM: u32 = 22;
/// The release that we install; later ones link LLVM themselves.
const VERSION: &str = "0.10.0";
/// What `--version` of a usable release starts with.
const SERIES: &str = "bpf-linker 0.10.";

/// A linker that has proven to work.
pub(crate) struct BpfLinker {
    pub(crate) program: PathBuf,
    /// A folder for LD_LIBRARY_PATH that holds nothing but the LLVM library.
    pub(crate) library_path: PathBuf,
    library: PathBuf,
}

impl fmt::Display for BpfLinker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with {}",
            self.program.display(),
            self.library.display()
        )
    }
}

/// What hinders the linking of BPF programs.
pub(crate) enum Missing {
    Program,
    Library,
    /// Both are there and do not work together.
    Broken(anyhow::Error),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => write!(f, "no {SERIES}x on PATH or in cargo's bin folder"),
            Self::Library => write!(f, "no libLLVM.so.{LLVM} (Debian: libllvm{LLVM})"),
            Self::Broken(error) => write!(f, "a trial link failed: {error:#}"),
        }
    }
}

impl BpfLinker {
    pub(crate) fn find(toolchain: &BpfToolchain) -> Result<Self, Missing> {
        let program = find_linker().ok_or(Missing::Program)?;
        let library = find_library(toolchain).ok_or(Missing::Library)?;
        Self::prove(program, library).map_err(Missing::Broken)
    }

    fn prove(program: PathBuf, library: PathBuf) -> Result<Self> {
        let library_path = workspace::probe_build_dir().join("llvm");
        show_only(&library, &library_path)
            .with_context(|| format!("cannot fill {}", library_path.display()))?;
        let linker = Self {
            program,
            library_path,
            library,
        };
        linker.link_nothing()?;
        Ok(linker)
    }

    /// Links an empty archive, which asks for everything but input.
    fn link_nothing(&self) -> Result<()> {
        let archive = self.library_path.with_file_name("empty.a");
        fs::write(&archive, "!<arch>\n")?;
        let mut trial = Command::new(&self.program);
        forget_cargo_run(&mut trial);
        trial
            .env("LD_LIBRARY_PATH", &self.library_path)
            .env("RUST_BACKTRACE", "0")
            .args(["--target", "bpfel", "--output"])
            .args([&archive.with_extension("o"), &archive]);
        output(&mut trial).map(drop)
    }
}

impl Missing {
    /// Installs what lacks and looks again.
    pub(super) fn install(self, toolchain: &BpfToolchain) -> Result<BpfLinker> {
        if let Self::Broken(error) = self {
            return Err(error.context("bpf-linker and LLVM are here and do not work together"));
        }
        if find_linker().is_none() {
            install_linker()?;
        }
        if find_library(toolchain).is_none() {
            packages::install(&["libllvm22"])?;
        }
        match BpfLinker::find(toolchain) {
            Ok(linker) => Ok(linker),
            Err(missing) => {
                bail!("BPF programs cannot be linked after the installation: {missing}")
            }
        }
    }
}

fn install_linker() -> Result<()> {
    println!("installing     bpf-linker {VERSION} (takes a few minutes)");
    run(cargo().args(["install", "bpf-linker", "--version", VERSION, "--locked"]))
}

/// The first bpf-linker of the right version.
fn find_linker() -> Option<PathBuf> {
    find_program("bpf-linker")
        .into_iter()
        .chain(in_cargo_home())
        .find(|program| {
            output(Command::new(program).arg("--version"))
                .is_ok_and(|said| said.starts_with(SERIES))
        })
}

fn in_cargo_home() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    let program = home.join("bin/bpf-linker");
    program.is_file().then_some(program)
}

/// The LLVM library: the toolchain's own, the system's, or any toolchain's.
fn find_library(toolchain: &BpfToolchain) -> Option<PathBuf> {
    let multiarch = toolchain.host().replace("-unknown-", "-");
    let system = [
        format!("/usr/lib/{multiarch}"),
        format!("/usr/lib/llvm-{LLVM}/lib"),
    ];
    let borrowed = toolchain::rustup_toolchains()
        .into_iter()
        .map(|path| path.join("lib"));
    std::iter::once(toolchain.library_dir())
        .chain(system.map(PathBuf::from))
        .chain(borrowed)
        .find_map(|dir| llvm_in(&dir))
}

/// The LLVM library of our major version in a folder.
fn llvm_in(dir: &Path) -> Option<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .ok()?
        .flatten()
        .filter(|entry| llvm_major(&entry.file_name().to_string_lossy()) == Some(LLVM))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

/// The major version in the name of an LLVM library, `libLLVM.so.22.1` or
/// rustup's `libLLVM.so.22.1-rust-1.95.0-stable`. Its other names (such as
/// `libLLVM-22.so`) are links or linker scripts beside these.
fn llvm_major(file_name: &str) -> Option<u32> {
    let version = file_name.strip_prefix("libLLVM.so.")?;
    version.split(['.', '-']).next()?.parse().ok()
}

/// Makes `dir` hold one link, to `library`, under the library's own name.
fn show_only(library: &Path, dir: &Path) -> io::Result<()> {
    let link = dir.join(library.file_name().unwrap_or_default());
    let right = fs::read_link(&link).is_ok_and(|to| to == library);
    if right && fs::read_dir(dir)?.count() == 1 {
        return Ok(());
    }
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    symlink(library, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_major_of_file_names() {
        let cases = [
            ("libLLVM.so.22.1", Some(22)),
            ("libLLVM.so.22.1-rust-1.95.0-stable", Some(22)),
            ("libLLVM.so.19.1", Some(19)),
            ("libLLVM-22.so", None),
            ("libLLVM-14.so.1", None),
            ("libLLVM-22-rust-1.95.0-stable.so", None),
            ("libLLVM.so", None),
            ("libLLVMCore.so.22", None),
        ];
        for (name, major) in cases {
            assert_eq!(llvm_major(name), major, "{name}");
        }
    }

    #[test]
    fn library_of_our_version_is_chosen_among_others() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(llvm_in(dir.path()), None, "empty folder");
        for name in [
            "libLLVM.so.14.0",
            "libLLVM.so.22.1",
            "libLLVM.so.23.1",
            "libc.so.6",
        ] {
            fs::write(dir.path().join(name), "").expect("a file in it");
        }
        assert_eq!(
            llvm_in(dir.path()),
            Some(dir.path().join("libLLVM.so.22.1"))
        );
        assert_eq!(llvm_in(&dir.path().join("absent")), None, "no folder");
    }

    #[test]
    fn shown_folder_holds_the_chosen_library_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let shown = dir.path().join("llvm");
        let names = || -> Vec<_> {
            fs::read_dir(&shown)
                .expect("the shown folder")
                .map(|entry| entry.expect("an entry").file_name())
                .collect()
        };
        show_only(Path::new("/opt/a/libLLVM.so.22.1"), &shown).expect("first");
        show_only(Path::new("/opt/b/libLLVM.so.22.2"), &shown).expect("another");
        assert_eq!(names(), ["libLLVM.so.22.2"]);
        show_only(Path::new("/opt/b/libLLVM.so.22.2"), &shown).expect("the same again");
        assert_eq!(names(), ["libLLVM.so.22.2"]);
    }
}
