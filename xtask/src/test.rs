//! `test`: everything that is checked before a change is accepted.
//!
//! Builds happen in one debug configuration: the whole workspace with all its
//! targets, so that each crate is compiled once and every later step finds it
//! done (clippy's metadata aside). Tests that need privileges get them through
//! cargo's runner, which is this program again: cargo tells it the package
//! that a test belongs to.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::build::{Profile, build_probe};
use crate::integration::{generate_check_built, verify_built};
use crate::process::{cargo, find_program, is_root, run};
use crate::setup::{self, Report, Scope};
use crate::workspace;

/// The package whose tests load programs into the kernel.
const PRIVILEGED: &str = "integration-tests";
/// Tells these tests to skip what needs privileges.
const SKIP: &str = "XDSC_SKIP_PRIVILEGED";
/// Tells tests to fail without the programs that `setup` has installed.
const REQUIRE_TOOLS: &str = "XDSC_REQUIRE_TOOLS";
/// The workspaces that cargo's `--all` does not reach.
const OTHER_WORKSPACES: [&str; 2] = ["ebpf-probe", "fuzz"];

/// Run every check and test, as before a change is accepted
#[derive(Args)]
pub(crate) struct Test {
    /// Skip the tests that load BPF programs or make network namespaces
    #[arg(long)]
    no_privileges: bool,
}

impl Test {
    pub(crate) fn run(&self) -> Result<()> {
        let privileges = if self.no_privileges {
            Privileges::Skip
        } else {
            Privileges::Use
        };
        let mut steps = Steps::default();
        steps.run("setup", || setup::ensure(Scope::Test, Report::Changes))?;
        steps.run("format", check_format)?;
        steps.run("build probe", build_probe)?;
        steps.run("clippy", clippy)?;
        steps.run("build", build_workspace)?;
        steps.run("generated files", generate_check_built)?;
        match privileges {
            Privileges::Use => steps.run("verifier", verify_built)?,
            Privileges::Skip => {
                steps.skip("verifier", "it needs privileges");
                steps.skip("privileged tests", "--no-privileges was given");
            }
        }
        steps.run("tests", || run_tests(privileges))?;
        match find_program("cargo-deny") {
            Some(_) => steps.run("cargo-deny", check_dependencies)?,
            None => steps.skip(
                "cargo-deny",
                "not installed: cargo install --locked cargo-deny",
            ),
        }
        steps.summarise();
        Ok(())
    }
}

/// What becomes of the tests that need privileges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Privileges {
    Use,
    Skip,
}

fn check_format() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    for name in OTHER_WORKSPACES {
        let manifest = workspace::root().join(name).join("Cargo.toml");
        if manifest.is_file() {
            run(cargo()
                .args(["fmt", "--check", "--manifest-path"])
                .arg(manifest))?;
        }
    }
    Ok(())
}

fn clippy() -> Result<()> {
    run(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// The daemon, the programs of `integration-tests`, and all tests.
fn build_workspace() -> Result<()> {
    run(cargo().args(["build", "--quiet", "--workspace", "--all-targets"]))
}

fn run_tests(privileges: Privileges) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--workspace"]);
    command.env(REQUIRE_TOOLS, "1");
    match privileges {
        Privileges::Skip => drop(command.env(SKIP, "1")),
        Privileges::Use if is_root() => {}
        Privileges::Use => drop(command.env(runner_variable()?, runner())),
    }
    run(&mut command)
}

/// Which variable names the program that starts tests.
fn runner_variable() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = crate::process::output(Command::new(rustc).arg("-vV"))?;
    let host = said
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc has no host")?;
    Ok(format!(
        "CARGO_TARGET_{}_RUNNER",
        host.to_uppercase().replace('-', "_")
    ))
}

/// The program that the build has just put there: it may have replaced the
/// one that is running, whose own path is then gone.
fn runner() -> String {
    format!("{} run-test", Profile::Debug.dir().join("xtask").display())
}

fn check_dependencies() -> Result<()> {
    run(cargo().args([
        "deny",
        "--workspace",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}

/// Start a test, through sudo where its package needs privileges
#[derive(Args)]
pub(crate) struct RunTest {
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl RunTest {
    /// Returns only if the test cannot be started.
    pub(crate) fn run(&self) -> Result<()> {
        let (program, arguments) = self.command.split_first().context("no test to start")?;
        let privileged = env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == PRIVILEGED);
        let mut command = if privileged {
            let mut sudo = Command::new("sudo");
            sudo.args(["--preserve-env", "--"]).arg(program);
            sudo
        } else {
            Command::new(program)
        };
        Err(command.args(arguments).exec())
            .with_context(|| format!("cannot start {}", Path::new(program).display()))
    }
}

/// Announces, times and remembers the steps.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Outcome)>,
}

enum Outcome {
    Passed(Duration),
    Skipped(&'static str),
}

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("== {name}");
        let start = Instant::now();
        step().with_context(|| format!("`cargo xtask test` stopped at: {name}"))?;
        self.done.push((name, Outcome::Passed(start.elapsed())));
        Ok(())
    }

    fn skip(&mut self, name: &'static str, reason: &'static str) {
        println!("== {name}: SKIPPED, {reason}");
        self.done.push((name, Outcome::Skipped(reason)));
    }

    fn summarise(&self) {
        println!();
        for (name, outcome) in &self.done {
            match outcome {
                Outcome::Passed(time) => println!("{name:<16} {:>7.1} s", time.as_secs_f64()),
                Outcome::Skipped(reason) => println!("{name:<16} SKIPPED, {reason}"),
            }
        }
        println!("{}", self.verdict());
    }

    fn verdict(&self) -> String {
        let skipped = self
            .done
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_)));
        match skipped.count() {
            0 => "all passed".to_owned(),
            number => format!("all passed but {number} SKIPPED"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_tells_of_skipped_steps() -> Result<()> {
        let mut steps = Steps::default();
        steps.run("first", || Ok(()))?;
        assert_eq!(steps.verdict(), "all passed");
        steps.skip("second", "not here");
        assert_eq!(steps.verdict(), "all passed but 1 SKIPPED");
        Ok(())
    }

    #[test]
    fn failure_names_the_step() {
        let error = Steps::default()
            .run("third", || anyhow::bail!("broken"))
            .expect_err("a failure");
        assert_eq!(
            format!("{error:#}"),
            "`cargo xtask test` stopped at: third: broken"
        );
    }
}
