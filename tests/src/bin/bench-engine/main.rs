//! What a message costs in the statistics engine, and what the engine needs.
//!
//! A capture of made-up traffic is read from the page cache, with no dataset,
//! one, the default ones, and all of DSC's sample configuration. The sets take
//! turns in every round, so that what else the machine does hits all alike. What
//! counts is the time of the processor: messages per second and core.

mod capture;
mod memory;
mod sets;

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::{memory::Peaks, sets::Set};

/// Turns of every set.
const ROUNDS: usize = 5;
/// Messages of the reading that is watched for its memory, and with `--long`.
const SHORT: [u64; 2] = [2_000_000, 10_000_000];
const LONG: [u64; 2] = [10_000_000, 100_000_000];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let messages = match *arguments {
        [] => SHORT,
        ["--long"] => LONG,
        [memory::ARGUMENT, earlier, later] => {
            return memory::read_endlessly([earlier.parse()?, later.parse()?]);
        }
        _ => anyhow::bail!("usage: bench-engine [--long]"),
    };
    let capture = capture::file()?;
    let peaks = Peaks::measure(messages)?;
    let mut sets = Set::ALL.map(|set| (set, Vec::new()));
    // Once more than is counted: the capture comes into the page cache.
    for round in 0..=ROUNDS {
        for (set, samples) in &mut sets {
            let sample = Sample::take(*set, &capture)?;
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    report(&sets, &peaks)
}

/// One reading.
struct Sample {
    messages: u64,
    cpu: Duration,
    wall: Duration,
}

impl Sample {
    fn take(set: Set, capture: &Path) -> Result<Self> {
        let options = set.options()?;
        let (cpu, wall) = (cpu_time()?, Instant::now());
        let messages = capture::read(capture, options, |_| {})?;
        ensure!(messages > 1_900_000, "{messages} messages");
        Ok(Self {
            messages,
            cpu: cpu_time()? - cpu,
            wall: wall.elapsed(),
        })
    }

    /// Millions of messages per second of the processor.
    fn per_core(&self) -> f64 {
        self.messages as f64 / 1e6 / self.cpu.as_secs_f64()
    }

    /// Likewise of the clock on the wall.
    fn per_second(&self) -> f64 {
        self.messages as f64 / 1e6 / self.wall.as_secs_f64()
    }
}

fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}

/// The table, and the line for machines.
fn report(sets: &[(Set, Vec<Sample>)], peaks: &Peaks) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut figures = Map::new();
    writeln!(
        out,
        "{:<14} {:>8} {:>12} {:>7} {:>7} {:>10}",
        "set", "datasets", "M/s and core", "low", "high", "M/s"
    )?;
    for (set, samples) in sets {
        let per_core = sorted(samples.iter().map(Sample::per_core));
        let per_second = sorted(samples.iter().map(Sample::per_second));
        let [low, middle, high] = [0, per_core.len() / 2, per_core.len() - 1].map(|n| per_core[n]);
        writeln!(
            out,
            "{:<14} {:>8} {middle:>12.2} {low:>7.2} {high:>7.2} {:>10.2}",
            set.key(),
            set.len()?,
            per_second[per_second.len() / 2]
        )?;
        figures.insert(set.key().to_owned(), rounded(middle));
    }
    let [earlier, later] = peaks
        .octets
        .map(|octets| octets as f64 / f64::from(1 << 20));
    for (messages, octets) in peaks.messages.iter().zip([earlier, later]) {
        let millions = messages / 1_000_000;
        writeln!(
            out,
            "memory of full up to {millions} M messages: {octets:.1} MiB"
        )?;
    }
    figures.insert("full_rss_mb".to_owned(), rounded(later));
    figures.insert("full_rss_growth".to_owned(), rounded(later / earlier));
    writeln!(out, "{}", json!({ "bench": "engine", "figures": figures }))?;
    Ok(())
}

fn sorted(samples: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut samples: Vec<f64> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples
}

fn rounded(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}
