//! The whole daemon under traffic out of the kernel, on this machine: what it
//! takes of the processor, what it leaves out, and whether its totals are exact.
//!
//! Queries and responses at chosen rates, then everything that the generator makes,
//! queries only; with the default datasets, then with all of them. In the end a flood
//! of queries of which each has a client and a name of its own, for memory's sake.
//! Each load has a daemon of its own, since what it tells of delays are the longest of
//! a minute.

mod dnscap;
mod line;
mod load;

use std::{
    env,
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Result, bail};
use integration_tests::{bench::stage::Stage, network::in_network};
use serde_json::{Map, json};

use crate::{dnscap::Beside, line::Line};

const SEED: u64 = 1;
/// How long each load lasts.
const SECONDS: u64 = 6;
/// Before it, so that rates are known, and that both tables that a thread counts in
/// by turns have been in use.
const WARM_UP: Duration = Duration::from_secs(8);

fn main() -> Result<()> {
    let (seconds, only) = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => (SECONDS, None),
        [seconds] => (seconds.parse()?, None),
        [seconds, set] => (seconds.parse()?, Some(set.clone())),
        _ => bail!("usage: bench-live [SECONDS [default|full|all|random|dnscap]]"),
    };
    let is_wanted = |set: &str| only.as_ref().is_none_or(|only| only == set);
    let duration = Duration::from_secs(seconds);
    in_network(|network| {
        let mut stage = Stage::new(network, SEED)?;
        let mut figures = Map::new();
        let mut out = io::stdout().lock();
        writeln!(out, "{}", Line::HEAD)?;
        for set in load::SETS.iter().filter(|set| is_wanted(set.name)) {
            for load in load::LOADS {
                let line = load::measure(network, &mut stage, set, load, duration)?;
                writeln!(out, "{line}")?;
                line.note(&mut figures);
            }
        }
        if is_wanted("dnscap") {
            let beside = Beside::measure(network, &mut stage, duration)?;
            writeln!(out, "{beside}")?;
            beside.note(&mut figures);
        }
        if is_wanted("random") {
            stage.flood(SEED)?;
            let [default, ..] = &load::SETS;
            let line = load::measure(network, &mut stage, default, load::RANDOM, duration)?;
            writeln!(out, "{line}")?;
            line.note(&mut figures);
        }
        writeln!(out, "{}", json!({ "bench": "live", "figures": figures }))?;
        Ok(())
    })
}
