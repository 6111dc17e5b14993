//! What a message costs in the statistics engine, and what the engine needs.
//!
//! The bar is about the engine as the daemon runs it: messages lie in memory, as the
//! parser made them of a capture's packets, and two million of them are counted
//! between two hand-overs; or a hundred thousand (`often`), which is how the daemon
//! does that sees so many each second. There is the traffic of a server that sees
//! some thousand clients and names; that of 8,000 clients that ask equally often
//! (`even`); that of a busy server of resolvers (`many`), whose tables are larger
//! than the caches; and a flood, in which each query has a client and a name of its
//! own, which but for its response come never again. Beside each stands what the
//! same takes if every message is counted in each dataset by itself (`direct`), and
//! what each dataset adds to the default set.
//!
//! What bounds it is told by two more: nothing but holding and hashing messages
//! (`none`), and everything with so few different messages that all that is known of
//! them stays in the caches (`cached`).
//!
//! The full set is that of DSC's sample configuration. Of its 34 datasets the
//! engine alone counts 32: `response_time` is counted where captures are read, and
//! `direction_vs_ipproto` of packets.
//!
//! Then the same traffic is read from captures in the page cache (`read`), which
//! takes their parsing and the printing of a minute, too.
//!
//! All take turns in every round, so that what else the machine does hits all
//! alike. What counts is the time of the processor: messages per second and core,
//! as the median of the rounds, with the best of them beside it, which says what
//! the machine can do when it is left alone.

mod capture;
mod counting;
mod handover;
mod memory;
mod messages;
mod sets;

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    bench::{median, rounded},
    traffic::Profile,
};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use xdsc::stats::{
    builtin,
    plan::{Plan, Rules},
};

use crate::{
    counting::{Counting, HandOver, together},
    handover::{SHARDS, encoding_ms, merge_ms},
    memory::Peaks,
    messages::Messages,
    sets::Set,
};

/// Turns of every set.
const ROUNDS: usize = 5;
/// Turns of each default dataset, of the readings, and of what is beside.
const FEWER_ROUNDS: usize = 3;
/// Different messages of which all that is known stays in the caches.
const IN_CACHES: usize = 20_000;
/// Messages of the reading that is watched for its memory, and with `--long`.
const SHORT: [u64; 2] = [2_000_000, 10_000_000];
const LONG: [u64; 2] = [10_000_000, 100_000_000];

fn main() -> Result<()> {
    xdsc::memory::prefer_huge_pages();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let messages = match *arguments {
        [] => SHORT,
        ["--long"] => LONG,
        ["--count", set, profile, rounds] => return count(set, profile, rounds.parse()?),
        [memory::ARGUMENT, earlier, later] => {
            return memory::read_endlessly([earlier.parse()?, later.parse()?]);
        }
        _ => anyhow::bail!("usage: bench-engine [--long] | --count SET PROFILE ROUNDS"),
    };
    let peaks = Peaks::measure(messages)?;
    let mut report = Report::default();
    engines(&mut report)?;
    readings(&mut report)?;
    report.figure("full_rss_mb", peaks.mebibytes()[1], 2);
    report.figure("full_rss_growth", peaks.growth(), 2);
    report.write()
}

/// Counts again and again, for a profiler to look at.
fn count(set: &str, profile: &str, rounds: usize) -> Result<()> {
    let mut sets = Set::ALL.into_iter();
    let set = sets.find(|one| one.key() == format!("{set}_mps"));
    let mut profiles = PROFILES.into_iter();
    let profile = profiles.find(|(one, _)| format!("{one:?}").to_lowercase() == profile);
    let (profile, _) = profile.context("few, even, everyday or flood")?;
    let messages = Messages::read(&capture::file(profile)?)?;
    let plan = set.context("none, one, default or full")?.plan()?;
    let mut counting = Counting::new(&Arc::new(plan));
    let mut out = io::stdout().lock();
    for _ in 0..rounds {
        for hand_over in [HandOver::Once, HandOver::Often] {
            let taken = counting.count(&messages, hand_over)?;
            let (mps, ns, pause) = (taken.mps(), taken.ns(), taken.pause);
            writeln!(
                out,
                "{hand_over:?}: {mps:.2} M/s, {ns:.1} ns, pause {pause:?}"
            )?;
        }
    }
    Ok(())
}

const PROFILES: [(Profile, &str); 4] = [
    (Profile::Few, "mps"),
    (Profile::Even, "even_mps"),
    (Profile::Everyday, "many_mps"),
    (Profile::Flood, "flood_mps"),
];

/// What is printed.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    figures: Map<String, Value>,
}

impl Report {
    fn figure(&mut self, key: &str, figure: f64, digits: i32) {
        self.lines.push(format!("{key:<26} {figure:>10.2}"));
        self.figures.insert(key.to_owned(), rounded(figure, digits));
    }

    /// The median of samples, and the best of them.
    fn samples(&mut self, key: &str, samples: &[f64]) {
        let best = samples.iter().copied().fold(f64::NAN, f64::max);
        let middle = median(samples);
        let line = format!("{key:<26} {middle:>10.2}   best {best:.2}");
        self.lines.push(line);
        self.figures.insert(key.to_owned(), rounded(middle, 2));
        self.figures.insert(format!("{key}_best"), rounded(best, 2));
    }

    fn write(self) -> Result<()> {
        let mut out = io::stdout().lock();
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        let figures = self.figures;
        writeln!(out, "{}", json!({ "bench": "engine", "figures": figures }))?;
        Ok(())
    }
}

/// The engine alone.
fn engines(report: &mut Report) -> Result<()> {
    let mut of_few = None;
    for (profile, key) in PROFILES {
        let messages = Messages::read(&capture::file(profile)?)?;
        sets(report, &messages, key)?;
        if profile == Profile::Few {
            of_few = Some(messages);
        }
    }
    let messages = of_few.context("the traffic of few clients")?;
    let plan = Arc::new(Set::Default.plan()?);
    bounds(report, &messages)?;
    each_dataset(report, &messages)?;
    threads(report, &plan, &messages)?;
    for shards in SHARDS {
        let ms = merge_ms(&plan, &messages, shards)?;
        report.figure(&format!("merge_{shards}_shards_ms"), ms, 2);
    }
    let encodings = (0..FEWER_ROUNDS).map(|_| encoding_ms(&messages));
    let encodings = encodings.collect::<Result<Vec<_>>>()?;
    report.figure("encode_20000_series_ms", median(&encodings), 2);
    Ok(())
}

/// The default set and the full one, what both cost where they are handed over
/// often, and what without joints.
fn sets(report: &mut Report, messages: &Messages, key: &str) -> Result<()> {
    let mut runs = Vec::new();
    for (set, name) in [(Set::Default, "default"), (Set::Full, "full")] {
        let (joints, direct) = (set.plan()?.into(), set.plan()?.without_joints().into());
        let (once, often) = (HandOver::Once, HandOver::Often);
        runs.push(Run::new(format!("{name}_{key}"), &joints, once));
        runs.push(Run::new(format!("{name}_often_{key}"), &joints, often));
        runs.push(Run::new(format!("direct_{name}_{key}"), &direct, once));
    }
    // Once more than is counted, so that tables have their sizes.
    for round in 0..=ROUNDS {
        for run in &mut runs {
            let taken = run.counting.count(messages, run.hand_over)?;
            if round > 0 {
                run.samples.push(taken.mps());
                run.pause = run.pause.max(taken.pause);
            }
        }
    }
    for run in &runs {
        report.samples(&run.key, &run.samples);
    }
    let full = runs.iter().find(|run| run.key == format!("full_{key}"));
    let pause = full.context("the full set")?.pause;
    let key = format!("pause_{key}").replace("mps", "ms");
    report.figure(&key, pause.as_secs_f64() * 1e3, 3);
    Ok(())
}

/// What is left where little is counted, and where memory costs little.
fn bounds(report: &mut Report, messages: &Messages) -> Result<()> {
    let first = messages.first(IN_CACHES);
    let mut runs = Vec::new();
    for (set, key, messages) in [
        (Set::None, "none_mps", messages),
        (Set::Default, "default_cached_mps", &first),
        (Set::Full, "full_cached_mps", &first),
    ] {
        let run = Run::new(key.to_owned(), &set.plan()?.into(), HandOver::Once);
        runs.push((run, messages));
    }
    for round in 0..=ROUNDS {
        for (run, messages) in &mut runs {
            let taken = run.counting.count(messages, run.hand_over)?;
            if round > 0 {
                run.samples.push(taken.mps());
            }
        }
    }
    for (run, _) in &runs {
        report.samples(&run.key, &run.samples);
    }
    Ok(())
}

/// A set, and what it took so far.
struct Run {
    key: String,
    counting: Counting,
    hand_over: HandOver,
    samples: Vec<f64>,
    pause: Duration,
}

impl Run {
    fn new(key: String, plan: &Arc<Plan>, hand_over: HandOver) -> Self {
        Self {
            key,
            counting: Counting::new(plan),
            hand_over,
            samples: Vec::new(),
            pause: Duration::ZERO,
        }
    }
}

/// What each of the default datasets adds to a message.
fn each_dataset(report: &mut Report, messages: &Messages) -> Result<()> {
    let datasets = builtin::default();
    let without = |one: Option<usize>| {
        let mut kept = datasets.clone();
        one.map(|one| kept.remove(one));
        let plan = Plan::new(kept, Rules::default()).with_distinct_counts();
        Counting::new(&Arc::new(plan))
    };
    let mut all = without(None);
    for (index, dataset) in datasets.iter().enumerate() {
        let mut others = without(Some(index));
        let mut differences = Vec::new();
        for round in 0..=FEWER_ROUNDS {
            let all = all.count(messages, HandOver::Once)?;
            let others = others.count(messages, HandOver::Once)?;
            if round > 0 {
                differences.push(all.ns() - others.ns());
            }
        }
        let key = format!("{}_ns", dataset.name);
        report.figure(&key, median(&differences), 1);
    }
    Ok(())
}

/// Two threads against one.
fn threads(report: &mut Report, plan: &Arc<Plan>, messages: &Messages) -> Result<()> {
    let mut ratios = Vec::new();
    for _ in 0..FEWER_ROUNDS {
        let [one, two] = [1, 2].map(|threads| together(plan, messages, threads));
        ratios.push(two? / one?);
    }
    report.samples("two_threads_ratio", &ratios);
    Ok(())
}

/// A set of datasets and the capture that is read.
struct Reading {
    key: String,
    set: Set,
    capture: PathBuf,
    samples: Vec<Sample>,
}

/// All that is read from captures.
fn readings(report: &mut Report) -> Result<()> {
    let mut readings = Vec::new();
    for (profile, key) in [(Profile::Few, "mps"), (Profile::Everyday, "many_mps")] {
        let capture = capture::file(profile)?;
        let sets = Set::ALL.into_iter();
        let sets = sets.filter(|set| profile == Profile::Few || set.is_of_many());
        readings.extend(sets.map(|set| Reading {
            key: format!("read_{}", set.key().replace("mps", key)),
            set,
            capture: capture.clone(),
            samples: Vec::new(),
        }));
    }
    // Once more than is counted: the captures come into the page cache.
    for round in 0..=FEWER_ROUNDS {
        for reading in &mut readings {
            let sample = Sample::take(reading.set, &reading.capture)?;
            if round > 0 {
                reading.samples.push(sample);
            }
        }
    }
    for reading in &readings {
        let samples: Vec<_> = reading.samples.iter().map(Sample::per_core).collect();
        report.samples(&reading.key, &samples);
    }
    let full = readings.iter().find(|reading| reading.set == Set::Full);
    let walls: Vec<_> = full
        .iter()
        .flat_map(|one| one.samples.iter().map(Sample::per_second))
        .collect();
    report.figure("read_full_wall_mps", median(&walls), 2);
    Ok(())
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

/// Of all threads.
fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}
