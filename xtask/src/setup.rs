//! `setup`: finds what the build and the tests need, and installs what lacks.
//!
//! Five parts, each its own module: a rustc that can build `core` for BPF
//! (`toolchain`), the linker with its LLVM (`linker`), Debian packages
//! (`packages`), and what tests need of npm (`npm`) and of Python (`python`). Looking
//! is cheap and starts no package manager, so the other commands call [`ensure`] each
//! time.

mod linker;
mod npm;
mod packages;
mod python;
mod toolchain;

pub(crate) use linker::BpfLinker;
pub(crate) use toolchain::BpfToolchain;

use anyhow::{Context as _, Result, bail};
use clap::Args;

/// Find or install what the build and the tests need
#[derive(Args)]
pub(crate) struct Setup {
    /// Only say what is there and what lacks; fail when something lacks
    #[arg(long)]
    check: bool,
    /// Only what `build` needs
    #[arg(long)]
    build_only: bool,
}

impl Setup {
    pub(crate) fn run(&self) -> Result<()> {
        let scope = if self.build_only {
            Scope::Build
        } else {
            Scope::Test
        };
        if self.check {
            return check(scope);
        }
        ensure(scope, Report::All)
    }
}

/// Whose needs are meant; all of them build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Build,
    Demo,
    Test,
    /// Not the tests' needs, of which browsers and databases are the largest.
    Bench,
}

/// What `ensure` tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// Everything that it found.
    All,
    /// Only what it installs.
    Changes,
}

/// Makes sure that everything in the scope is there, installing what lacks.
pub(crate) fn ensure(scope: Scope, report: Report) -> Result<()> {
    let say = |line: String| {
        if report == Report::All {
            println!("{line}");
        }
    };
    let toolchain = match BpfToolchain::find() {
        Some(found) => found,
        None => install_toolchain()?,
    };
    say(format!("BPF toolchain  {toolchain}"));
    let linker = match BpfLinker::find(&toolchain) {
        Ok(found) => found,
        Err(missing) => missing.install(&toolchain)?,
    };
    say(format!("BPF linker     {linker}"));
    let missing = packages::missing(scope);
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    for project in npm::missing(scope) {
        npm::install(project)?;
    }
    for project in python::missing(scope) {
        python::install(project)?;
    }
    say(format!(
        "programs       {}",
        packages::needed(scope).join(", ")
    ));
    Ok(())
}

fn install_toolchain() -> Result<BpfToolchain> {
    packages::install(&toolchain::DEBIAN_PACKAGES).with_context(|| {
        format!(
            "no Rust toolchain here can build `core` for BPF; {}",
            toolchain::CURE
        )
    })?;
    BpfToolchain::find()
        .with_context(|| format!("the packages gave no usable toolchain; {}", toolchain::CURE))
}

/// Says what is there and what lacks, changing nothing.
fn check(scope: Scope) -> Result<()> {
    let mut lacks = Vec::new();
    match BpfToolchain::find() {
        Some(toolchain) => {
            println!("BPF toolchain  {toolchain}");
            match BpfLinker::find(&toolchain) {
                Ok(linker) => println!("BPF linker     {linker}"),
                Err(missing) => lacks.push(format!("BPF linker: {missing}")),
            }
        }
        None => lacks.push(format!("BPF toolchain: {}", toolchain::CURE)),
    }
    println!("programs       {}", packages::present(scope).join(", "));
    lacks.extend(
        packages::missing(scope)
            .iter()
            .map(|name| format!("package: {name}")),
    );
    lacks.extend(
        npm::missing(scope)
            .iter()
            .map(|project| format!("npm packages of tests/{project}")),
    );
    lacks.extend(
        python::missing(scope)
            .iter()
            .map(|project| format!("Python packages of tests/{project}")),
    );
    if lacks.is_empty() {
        return Ok(());
    }
    bail!(
        "this lacks, and `cargo xtask setup` installs it:\n  {}",
        lacks.join("\n  ")
    );
}
