//! Loads every variant of the kernel programs, with every combination of
//! settings, into the running kernel and holds what the verifier says against
//! the budgets.
//!
//! The settings are constants for the verifier, so each combination is a
//! program of its own. The object for benchmarks holds the same programs again,
//! and is loaded with two of them only.

mod budget;
mod cases;
mod loaded;
mod stack;

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use crate::{budget::BUDGETS, stack::Stacks};

fn main() -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<14} {:<12} {:>17} {:>11} {:>8} {:>8} {:>12}  most verified with",
        "object", "program", "verified", "xlated, B", "JITed, B", "stack, B", "locked, B"
    )?;
    let mut excesses = Vec::new();
    for object in ["probe.o", "probe-trace.o", "probe-bench.o"] {
        let path = object_path(object);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let cases = cases::all(object)?;
        let rows =
            loaded::load_all(&bytes, &cases).with_context(|| format!("{object} did not load"))?;
        let stacks = Stacks::of(&bytes).with_context(|| format!("functions of {object}"))?;
        for budget in BUDGETS.iter().filter(|budget| budget.object == object) {
            let row = rows
                .iter()
                .find(|row| row.program == budget.program)
                .context("a program is missing")?;
            let stack = stacks.deepest(budget.program)?;
            row.print(&mut out, object, stack)?;
            excesses.extend(budget.excess(&row.most, stack));
        }
    }
    for excess in &excesses {
        writeln!(out, "over budget: {excess}")?;
    }
    Ok(if excesses.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where `cargo xtask build` left the object.
fn object_path(object: &str) -> PathBuf {
    let folder = env::var_os("XDSC_PROBE_DIR").unwrap_or_else(|| "target/bpf".into());
    Path::new(&folder).join(object)
}
