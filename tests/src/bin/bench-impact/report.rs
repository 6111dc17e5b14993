//! What is told of the watchers, for people and for machines.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use integration_tests::bench::rounded;
use serde_json::{Map, Value, json};

use crate::{watched::Watched, watcher::Watcher};

/// Tells of all; the first is the one that the others are compared with.
pub(crate) fn tell(watched: &[Watched]) -> Result<()> {
    let mut out = io::stdout().lock();
    let (mut figures, mut runs) = (Map::new(), None);
    let base = watched.first().context("a watcher")?.medians();
    writeln!(
        out,
        "{:<8} {:>9} {:>7} {:>8} {:>7} {:>17} {:>15} {:>7}",
        "watcher",
        "queries/s",
        "ratio",
        "p99 us",
        "ratio",
        "watcher us/message",
        "server us/query",
        "seen %"
    )?;
    for one in watched {
        let medians = one.medians();
        let ratio = medians.rate / base.rate;
        let name = one.watcher.name();
        let seen = if medians.seen.is_nan() {
            "-".to_owned()
        } else {
            format!("{:.1}", medians.seen * 100.0)
        };
        writeln!(
            out,
            "{name:<8} {:>9.0} {ratio:>7.3} {:>8.0} {:>7.2} {:>18.2} {:>15.2} {seen:>7}",
            medians.rate,
            medians.p99_us,
            medians.p99_us / base.p99_us,
            medians.cost,
            medians.server,
        )?;
        let mut note = |key: &str, value: Value| {
            figures.insert(format!("{name}_{key}"), value);
        };
        note("p99_us", rounded(medians.p99_us, 0));
        note("qps", rounded(medians.rate, 0));
        if one.watcher != Watcher::Nobody {
            note("ratio", rounded(ratio, 4));
            note("us_per_msg", rounded(medians.cost, 3));
        }
        if !medians.seen.is_nan() {
            note("seen_share", rounded(medians.seen, 4));
        }
        if !medians.program_ns.is_nan() {
            note("program_ns", rounded(medians.program_ns, 0));
            runs = Some((name, medians.program_ns));
        }
    }
    if let Some((name, ns)) = runs {
        writeln!(
            out,
            "a run of the kernel programs of {name}: {ns:.0} ns, the kernel's timing included"
        )?;
    }
    writeln!(out, "{}", json!({ "bench": "impact", "figures": figures }))?;
    Ok(())
}
