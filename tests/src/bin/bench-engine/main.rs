//! What a message costs in the statistics engine, and what the engine needs.
//!
//! Captures of made-up traffic are read from the page cache, with no dataset,
//! one, the default ones, and all of DSC's sample configuration: one of a server
//! that sees some thousand clients and names, and one of a busy server of
//! resolvers (`many`), whose tables are larger than the caches. What is printed of
//! a minute is printed, too. The sets take turns in every round, so that what else the machine does hits all alike. What
//! counts is the time of the processor: messages per second and core.

mod capture;
mod counting;
mod memory;
mod messages;
mod sets;

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::traffic::Profile;
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
        ["--profile", set, profile, rounds] => {
            return profile_of(set, profile, rounds.parse()?);
        }
        [memory::ARGUMENT, earlier, later] => {
            return memory::read_endlessly([earlier.parse()?, later.parse()?]);
        }
        _ => anyhow::bail!("usage: bench-engine [--long]"),
    };
    let captures =
        [Profile::Few, Profile::Everyday].map(|profile| (profile, capture::file(profile)));
    let peaks = Peaks::measure(messages)?;
    let mut runs = Vec::new();
    for (profile, capture) in captures {
        let capture = capture?;
        let sets = Set::ALL
            .iter()
            .filter(|set| profile == Profile::Few || matches!(set, Set::Default | Set::Full));
        runs.extend(sets.map(|set| Run {
            key: match profile {
                Profile::Everyday => set.key().replace("_mps", "_many_mps"),
                Profile::Few | Profile::Flood => set.key().to_owned(),
            },
            set: *set,
            capture: capture.clone(),
            samples: Vec::new(),
        }));
    }
    // Once more than is counted: the capture comes into the page cache.
    for round in 0..=ROUNDS {
        for run in &mut runs {
            let sample = Sample::take(run.set, &run.capture)?;
            if round > 0 {
                run.samples.push(sample);
            }
        }
    }
    report(&runs, &peaks)
}

/// Counts again and again, for a profiler to look at.
fn profile_of(set: &str, profile: &str, rounds: usize) -> Result<()> {
    let set = Set::ALL
        .into_iter()
        .find(|one| one.key() == format!("{set}_mps"));
    let profiles = [Profile::Few, Profile::Everyday, Profile::Flood];
    let profile = profiles
        .into_iter()
        .find(|one| format!("{one:?}").to_lowercase() == profile);
    let messages =
        messages::Messages::read(&capture::file(profile.context("few, everyday, flood")?)?)?;
    let mut counting = counting::Counting::new(&set.context("none, one, default, full")?.plan()?);
    if rounds == 0 {
        writeln!(io::stdout(), "{:?}", set.context("")?.plan()?)?;
    }
    for _ in 0..rounds {
        let taken = counting.count(&messages)?;
        writeln!(
            io::stdout(),
            "{:.2} M/s, {:.1} ns, pause {:?}",
            taken.mps(),
            taken.ns(),
            taken.pause
        )?;
    }
    Ok(())
}

/// A set of datasets and what it is measured on.
struct Run {
    /// What the figure is called.
    key: String,
    set: Set,
    capture: PathBuf,
    samples: Vec<Sample>,
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
fn report(runs: &[Run], peaks: &Peaks) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut figures = Map::new();
    writeln!(
        out,
        "{:<16} {:>8} {:>12} {:>7} {:>7} {:>10}",
        "set", "datasets", "M/s and core", "low", "high", "M/s"
    )?;
    for Run {
        key, set, samples, ..
    } in runs
    {
        let per_core = sorted(samples.iter().map(Sample::per_core));
        let per_second = sorted(samples.iter().map(Sample::per_second));
        let [low, middle, high] = [0, per_core.len() / 2, per_core.len() - 1].map(|n| per_core[n]);
        writeln!(
            out,
            "{key:<16} {:>8} {middle:>12.2} {low:>7.2} {high:>7.2} {:>10.2}",
            set.len()?,
            per_second[per_second.len() / 2]
        )?;
        figures.insert(key.clone(), rounded(middle));
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
