//! `verify`, `bench` and `generate`: the programs of the `integration-tests`
//! package, built by cargo and started as they need it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::build::{Profile, build_daemon, build_probe};
use crate::dashboards;
use crate::process::{as_root, cargo, forget_cargo_run, run};
use crate::workspace;

/// Load every variant of the BPF programs, so that the verifier judges them
#[derive(Args)]
pub(crate) struct Verify {
    /// Passed on
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<()> {
        build_probe()?;
        let program = build("verify", Profile::Debug)?;
        run(from_root(as_root(program)).args(&self.arguments))
    }
}

/// Run benchmarks, by name, on optimised builds
#[derive(Args)]
pub(crate) struct Bench {
    /// The benchmarks: NAME stands for the program `bench-NAME`
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Passed on to each
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        build_probe()?;
        // First, so that a name mistyped is not found out after minutes.
        let programs: Vec<_> = self
            .names
            .iter()
            .map(|name| build(&format!("bench-{name}"), Profile::Release))
            .collect::<Result<_>>()?;
        build_daemon(Profile::Release)?;
        for program in programs {
            run(from_root(as_root(program)).args(&self.arguments))?;
        }
        Ok(())
    }
}

/// Write the generated files (dashboards, METRICS.md and its like) anew
#[derive(Args)]
pub(crate) struct Generate {
    /// Only compare; fail when one is out of date
    #[arg(long)]
    check: bool,
    /// Passed on
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Generate {
    pub(crate) fn run(&self) -> Result<()> {
        if self.check {
            dashboards::check()?;
        } else {
            dashboards::write()?;
        }
        build_probe()?;
        let program = build("generate", Profile::Debug)?;
        let check = self.check.then_some("--check");
        run(from_root(Command::new(program))
            .args(check)
            .args(&self.arguments))
    }
}

/// Runs `verify`, already built with the whole workspace.
pub(crate) fn verify_built() -> Result<()> {
    run(&mut from_root(as_root(built("verify", Profile::Debug))))
}

/// Runs `generate --check`, already built with the whole workspace.
pub(crate) fn generate_check_built() -> Result<()> {
    dashboards::check()?;
    run(from_root(Command::new(built("generate", Profile::Debug))).arg("--check"))
}

/// Debug builds resolve features for the whole workspace, as `test` does, so
/// that neither rebuilds what the other built.
fn build(name: &str, profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--bin", name]);
    match profile {
        Profile::Debug => command.arg("--workspace"),
        Profile::Release => command.args(["--package", "integration-tests", "--release"]),
    };
    run(&mut command)?;
    Ok(built(name, profile))
}

fn built(name: &str, profile: Profile) -> PathBuf {
    profile.dir().join(name)
}

fn from_root(mut command: Command) -> Command {
    let root: &Path = workspace::root();
    forget_cargo_run(&mut command);
    command.current_dir(root);
    command
}
