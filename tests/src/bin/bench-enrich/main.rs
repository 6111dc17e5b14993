//! What it costs to know more of clients: the time per message of the default
//! datasets alone, and with databases of addresses, networks, customers, and the
//! datasets that they bring along.
//!
//! Captures of made-up traffic are read from the page cache: a minute that fills
//! the caches, and the same minute once more, which counts. Both ways take turns
//! in every round, so that what else the machine does hits both alike; the ratio
//! is the median of those of the rounds. Beside it the worst case is told: a
//! million clients who are seen once each. What counts is the time of the
//! processor.

mod tables;
mod traffic;

use std::{
    env, fs,
    io::{self, Write as _},
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use dns_wire::Settings;
use nix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use xdsc::{
    config::Config,
    enrich::tables::{nothing_known, shared, tables_of},
    read::{DatasetOptions, DatasetReading},
    statistics::statistics,
    stats::{label::Style, plan::Plan},
};

use crate::traffic::{Captures, Kind};

/// Turns of each way.
const ROUNDS: usize = 7;
/// Longer than the captures: what is printed of an interval is not measured.
const INTERVAL: NonZeroU32 = NonZeroU32::MAX;

fn main() -> Result<()> {
    xdsc::memory::prefer_huge_pages();
    ensure!(env::args().len() == 1, "usage: bench-enrich");
    let program = env::current_exe()?;
    let folder = program.with_extension("files");
    fs::create_dir_all(&folder).context("a folder for captures and databases")?;
    let config = tables::write(&folder)?;
    let tables = shared(tables_of(&config)?);
    let plans = [
        Arc::new(statistics(&Config::default(), &nothing_known())?),
        Arc::new(statistics(&config, &tables)?),
    ];
    let mut runs = Vec::new();
    for kind in Kind::ALL {
        runs.push(Run {
            kind,
            captures: Captures::write(kind, &folder)?,
            samples: Vec::new(),
        });
    }
    // Once more than is counted: the captures come into the page cache.
    for round in 0..=ROUNDS {
        for run in &mut runs {
            let [plain, enriched] = &plans;
            let sample = [time(plain, &run.captures)?, time(enriched, &run.captures)?];
            if round > 0 {
                run.samples.push(sample);
            }
        }
    }
    fs::remove_dir_all(&folder)?;
    report(&runs, &plans)
}

/// What is measured on one kind of traffic.
struct Run {
    kind: Kind,
    captures: Captures,
    /// Nanoseconds per message: plain, enriched.
    samples: Vec<[f64; 2]>,
}

/// Nanoseconds per message of the captures that count.
fn time(plan: &Arc<Plan>, captures: &Captures) -> Result<f64> {
    let mut reading = DatasetReading::new(DatasetOptions {
        plan: Arc::clone(plan),
        settings: Settings::new(&[53]),
        service_addresses: Vec::new(),
        front: xdsc::source::dsc_front::Settings::default(),
        interval: INTERVAL,
        style: Style::Named,
    });
    let mut read = |path: &Path| -> Result<()> {
        let errors = reading.file(path, &mut |_| Ok(()))?;
        ensure!(errors.is_empty(), "{errors:?}");
        Ok(())
    };
    if let Some(warm_up) = &captures.warm_up {
        read(warm_up)?;
    }
    let before = cpu_time()?;
    read(&captures.counted)?;
    let spent = cpu_time()? - before;
    Ok(spent.as_nanos() as f64 / captures.messages as f64)
}

fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}

/// The table, and the line for machines.
fn report(runs: &[Run], plans: &[Arc<Plan>; 2]) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut figures = Map::new();
    let [plain, enriched] = plans.each_ref().map(|plan| plan.datasets().len());
    writeln!(out, "datasets: {plain} plain, {enriched} enriched")?;
    writeln!(
        out,
        "{:<10} {:>12} {:>12} {:>7} {:>7} {:>7}",
        "traffic", "plain ns", "enriched ns", "ratio", "low", "high"
    )?;
    for Run { kind, samples, .. } in runs {
        let plain = sorted(samples.iter().map(|[plain, _]| *plain));
        let enriched = sorted(samples.iter().map(|[_, enriched]| *enriched));
        let ratios = sorted(samples.iter().map(|[plain, enriched]| enriched / plain));
        let middle = ratios.len() / 2;
        let [low, ratio, high] = [0, middle, ratios.len() - 1].map(|n| ratios[n]);
        let (plain, enriched) = (plain[middle], enriched[middle]);
        writeln!(
            out,
            "{:<10} {plain:>12.1} {enriched:>12.1} {ratio:>7.2} {low:>7.2} {high:>7.2}",
            kind.name()
        )?;
        for (key, figure) in kind.keys().into_iter().zip([plain, enriched, ratio]) {
            figures.insert(key.to_owned(), rounded(figure));
        }
    }
    writeln!(out, "{}", json!({ "bench": "enrich", "figures": figures }))?;
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
