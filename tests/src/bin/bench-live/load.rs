//! A load past a daemon of its own.

use std::time::Duration;

use anyhow::Result;
use integration_tests::{
    bench::{
        stage::{Account, Load, Stage},
        usage::peak,
    },
    network::{Network, daemon::Daemon},
};

use crate::{WARM_UP, line::Line};

/// Datasets that are counted.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    config: &'static str,
}

/// What xdsc counts unasked, and all that it can count.
pub(crate) const SETS: [Set; 2] = [
    Set {
        name: "default",
        config: "",
    },
    Set {
        name: "full",
        config: "[statistics]\ndatasets = [\"all\"]\n",
    },
];

/// Messages per second, and what they are called.
pub(crate) const LOADS: [(Load, &str); 4] = [
    (Load::Paced(10_000), "10k"),
    (Load::Paced(100_000), "100k"),
    (Load::Paced(500_000), "500k"),
    (Load::Full, "all"),
];

/// Sends a load for so long, after a warm-up by the same.
pub(crate) fn measure(
    network: &Network,
    stage: &mut Stage<'_>,
    set: &Set,
    (load, name): (Load, &'static str),
    duration: Duration,
) -> Result<Line> {
    let daemon = Daemon::start(network, set.config)?;
    stage.run(load, WARM_UP, daemon.pid())?;
    let before = Account::of(&daemon)?;
    let run = stage.run(load, duration, daemon.pid())?;
    let scrape = daemon.scrape()?;
    let line = Line {
        set: set.name,
        name,
        run,
        account: Account::of(&daemon)?.since(&before),
        lag: scrape.max("xdsc_stage_max_lag_seconds", &[("stage", "drain")])?,
        pause: scrape.max("xdsc_drain_max_pause_seconds", &[])?,
        paired: scrape.max("xdsc_pairing_interval", &[])?,
        peak: peak(daemon.pid())?,
    };
    daemon.stop()?;
    Ok(line)
}
