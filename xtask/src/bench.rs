//! `bench`: the benchmarks, programs of the `integration-tests` package, and the
//! page that `bench all` makes of what they print.

mod page;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::{Map, Value};

use crate::build::{Profile, build_daemon, build_probe};
use crate::integration::{build, from_root};
use crate::process::{as_root, output, run, shown};
use crate::setup::{self, Report, Scope};
use crate::workspace;

/// Run benchmarks, by name, on optimised builds
#[derive(Args)]
pub(crate) struct Bench {
    /// The benchmarks: NAME stands for the program `bench-NAME`; `all` runs every one, and
    /// writes docs/performance.md
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Passed on to each
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Stands for every benchmark.
const ALL: &str = "all";
/// Those that start the tools that xdsc is compared with.
const WITH_OTHERS: [&str; 3] = [ALL, "live", "impact"];

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let is_all = self.names.iter().any(|name| name == ALL);
        ensure!(
            !is_all || (self.names.len() == 1 && self.arguments.is_empty()),
            "`{ALL}` stands alone, and with no arguments"
        );
        if WITH_OTHERS
            .iter()
            .any(|with| self.names.iter().any(|name| name == with))
        {
            setup::ensure(Scope::Bench, Report::Changes)?;
        }
        build_probe()?;
        if is_all {
            return run_all();
        }
        // First, so that a name mistyped is not found out after minutes.
        let names = self.names.iter().map(String::as_str);
        let programs = built(names)?;
        for program in programs {
            run(from_root(as_root(program)).args(&self.arguments))?;
        }
        Ok(())
    }
}

fn built<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<PathBuf>> {
    let programs = names.map(|name| build(&format!("bench-{name}"), Profile::Release));
    let programs = programs.collect::<Result<_>>()?;
    build_daemon(Profile::Release)?;
    Ok(programs)
}

/// What a benchmark printed.
struct Printed {
    name: &'static str,
    /// All but the last line.
    table: String,
    /// The last line's figures.
    figures: Map<String, Value>,
}

fn run_all() -> Result<()> {
    let programs = built(page::NAMES.into_iter())?;
    let verified = output(&mut from_root(as_root(build("verify", Profile::Release)?)))?;
    let printed = page::NAMES
        .into_iter()
        .zip(&programs)
        .map(|(name, program)| listen(name, program).with_context(|| format!("bench {name}")))
        .collect::<Result<Vec<_>>>()?;
    let place = workspace::root().join("docs/performance.md");
    let text = page::page(&page::Machine::this()?, &verified, &printed);
    std::fs::write(&place, text).with_context(|| format!("cannot write {}", place.display()))?;
    println!("written        {}", place.display());
    let missed = page::missed(&printed);
    if !missed.is_empty() {
        bail!("these bars were missed: {}", missed.join("; "));
    }
    Ok(())
}

/// Runs a benchmark and shows what it prints, line by line.
fn listen(name: &'static str, program: &Path) -> Result<Printed> {
    println!("== {name}");
    let mut command = from_root(as_root(program));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(&command)))?;
    let mut lines = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            writeln!(io::stdout(), "{line}")?;
            lines.push(line);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{}` failed: {status}", shown(&command));
    let last = lines.pop().context("it printed nothing")?;
    let mut last: Value =
        serde_json::from_str(&last).with_context(|| format!("its last line is no JSON: {last}"))?;
    let Value::Object(figures) = last["figures"].take() else {
        bail!("its last line has no figures");
    };
    Ok(Printed {
        name,
        table: lines.join("\n"),
        figures,
    })
}
