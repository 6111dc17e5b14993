//! Loads every variant of the kernel programs, with every combination of
//! settings, into the running kernel and holds what the verifier says against
//! the budgets.
//!
//! The settings are constants for the verifier, so each combination is a
//! program of its own. The object for benchmarks holds the same programs again,
//! and is loaded with two of them only.

mod stack;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramInfo, loaded_programs};
use dns_wire::Settings;
use xdsc::{
    config::IpPrefix,
    source::live::probe::{LoadOptions, Probe},
};

use crate::stack::Stacks;

/// What a program may take, with the hardest settings: somewhat more than it does.
/// Kernels differ in how well they prune, and allow a million instructions.
struct Budget {
    object: &'static str,
    program: &'static str,
    /// Instructions that the verifier walks through.
    verified: u32,
    /// Octets of machine code.
    jited: u32,
}

const BUDGETS: [Budget; 9] = [
    Budget::new("probe.o", "xdp_ingress", 175_000, 46_000),
    Budget::new("probe.o", "tc_ingress", 175_000, 46_000),
    Budget::new("probe.o", "tc_egress", 175_000, 46_000),
    Budget::new("probe-trace.o", "xdp_ingress", 220_000, 48_000),
    Budget::new("probe-trace.o", "tc_ingress", 220_000, 48_000),
    Budget::new("probe-trace.o", "tc_egress", 220_000, 48_000),
    Budget::new("probe-bench.o", "xdp_ingress", 175_000, 46_000),
    Budget::new("probe-bench.o", "tc_ingress", 175_000, 46_000),
    Budget::new("probe-bench.o", "tc_egress", 175_000, 46_000),
];

impl Budget {
    const fn new(object: &'static str, program: &'static str, verified: u32, jited: u32) -> Self {
        Self {
            object,
            program,
            verified,
            jited,
        }
    }

    /// What `figures` exceed, if anything.
    fn excess(&self, figures: &Figures, stack: u32) -> Option<String> {
        let limits = [
            ("octets of stack", stack, stack::LIMIT),
            ("verified instructions", figures.verified, self.verified),
            ("octets of machine code", figures.jited, self.jited),
        ];
        limits
            .into_iter()
            .find(|(_, value, limit)| value > limit)
            .map(|(what, value, limit)| {
                format!(
                    "{} of {}: {value} {what}, the budget is {limit}",
                    self.program, self.object
                )
            })
    }
}

/// What the kernel says of a loaded program.
#[derive(Clone, Copy, Default)]
struct Figures {
    verified: u32,
    translated: u32,
    jited: u32,
    locked: u32,
}

impl Figures {
    fn of(info: &ProgramInfo) -> Result<Self> {
        Ok(Self {
            verified: info
                .verified_instruction_count()
                .context("the kernel does not count verified instructions")?,
            translated: info.size_translated().unwrap_or(0),
            jited: info.size_jitted(),
            locked: info.memory_locked()?,
        })
    }

    fn max(self, other: Self) -> Self {
        Self {
            verified: self.verified.max(other.verified),
            translated: self.translated.max(other.translated),
            jited: self.jited.max(other.jited),
            locked: self.locked.max(other.locked),
        }
    }
}

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
        let cases = cases(object)?;
        let rows = load_all(&bytes, &cases).with_context(|| format!("{object} did not load"))?;
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

/// One program, over all settings.
struct Row {
    program: &'static str,
    least_verified: u32,
    most: Figures,
    /// The settings with which the verifier walks farthest.
    hardest: String,
}

impl Row {
    fn new(program: &'static str) -> Self {
        Self {
            program,
            least_verified: u32::MAX,
            most: Figures::default(),
            hardest: String::new(),
        }
    }

    fn add(&mut self, figures: Figures, settings: &str) {
        if figures.verified > self.most.verified {
            self.hardest = settings.to_owned();
        }
        self.least_verified = self.least_verified.min(figures.verified);
        self.most = self.most.max(figures);
    }

    fn print(&self, out: &mut impl io::Write, object: &str, stack: u32) -> io::Result<()> {
        let verified = format!("{}-{}", self.least_verified, self.most.verified);
        writeln!(
            out,
            "{object:<14} {:<12} {verified:>17} {:>11} {:>8} {stack:>8} {:>12}  {}",
            self.program, self.most.translated, self.most.jited, self.most.locked, self.hardest
        )
    }
}

/// Loads the object with each of the settings.
fn load_all(object: &[u8], cases: &[Case]) -> Result<Vec<Row>> {
    let mut rows = ["xdp_ingress", "tc_ingress", "tc_egress"].map(Row::new);
    for case in cases {
        let before = program_ids();
        let _probe = Probe::load_object(object, &case.options)
            .with_context(|| format!("with {}", case.name))?;
        for info in listed_programs() {
            let row = rows
                .iter_mut()
                .find(|row| Some(row.program) == info.name_as_str());
            if let Some(row) = row
                && !before.contains(&info.id())
            {
                row.add(Figures::of(&info)?, &case.name);
            }
        }
    }
    Ok(rows.into())
}

/// The programs that others have loaded.
fn program_ids() -> BTreeSet<u32> {
    listed_programs().map(|info| info.id()).collect()
}

/// All programs in the kernel; others' may vanish while they are listed.
fn listed_programs() -> impl Iterator<Item = ProgramInfo> {
    loaded_programs().filter_map(Result::ok)
}

/// Settings, and what they are called in the table.
struct Case {
    name: String,
    options: LoadOptions,
}

/// Every combination of what the settings can switch; of the object for
/// benchmarks, none switched and all but counting only.
fn cases(object: &str) -> Result<Vec<Case>> {
    if object == "probe-bench.o" {
        return [0, 0b10111].map(case).into_iter().collect();
    }
    (0..32).map(case).collect()
}

fn case(bits: u32) -> Result<Case> {
    let [tunnels, services, ports, count_only, whole] =
        [0, 1, 2, 3, 4].map(|bit| bits >> bit & 1 == 1);
    let listening: &[u16] = if ports {
        &[53, 5353, 5300, 8053, 1053, 2053, 3053, 4053]
    } else {
        &[53]
    };
    let mut service_addresses: Vec<IpPrefix> = Vec::new();
    if services {
        service_addresses.push("192.0.2.1/32".parse()?);
    }
    let words = [
        if ports { "8 ports" } else { "1 port" },
        if tunnels { "decapsulation" } else { "" },
        if services { "service addresses" } else { "" },
        if count_only { "count only" } else { "" },
        if whole { "whole messages" } else { "" },
    ];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Ok(Case {
        name: words.join(", "),
        options: LoadOptions {
            settings: Settings::new(listening)
                .with_decapsulation(tunnels)
                .with_count_only(count_only)
                .with_whole_messages(whole)
                .with_seed(0x5eed),
            chunks: 4,
            service_addresses,
            ..LoadOptions::default()
        },
    })
}
