//! A flood of several times what the daemon is let take in: what is told then,
//! against what is true.
//!
//! The daemon gets a small share of a CPU, by a control group where there is one,
//! and by its own budget in any case. Meanwhile queries and responses come past
//! it whose number and content are known. The totals must be exact; the estimates
//! of the datasets must lie where the stated variance says; memory must not grow;
//! and after the flood everything must soon be counted again.

mod estimates;
mod throttle;

use std::{
    env,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use integration_tests::{
    bench::{
        rounded,
        stage::{Account, Load, Stage},
        usage::resident,
    },
    network::{Network, daemon::Daemon, in_network},
};
use serde_json::json;

use crate::{
    estimates::{Estimates, Moment},
    throttle::Throttle,
};

const SEED: u64 = 2;
/// How long the flood lasts.
const SECONDS: u64 = 12;
/// Messages per second of the flood, and of what comes before and after.
const FLOOD: u64 = 400_000;
const CALM: u64 = 20_000;
/// The daemon's share of a CPU during the flood, in percent.
const SHARE: u32 = 3;
/// How long the recovery may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let seconds = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => SECONDS,
        [seconds] => seconds.parse()?,
        _ => bail!("usage: bench-overload [SECONDS]"),
    };
    in_network(|network| {
        let mut stage = Stage::new(network, SEED)?;
        let flood = Flood::measure(network, &mut stage, Duration::from_secs(seconds))?;
        flood.tell()
    })
}

/// What a flood came to.
struct Flood {
    throttle: &'static str,
    rate: f64,
    cores: f64,
    account: Account,
    exact: bool,
    estimates: Estimates,
    /// Octets of memory before, and at most during the flood.
    memory: [u64; 2],
    /// The highest sampling interval that was seen.
    one_in: f64,
    recovery: Duration,
}

impl Flood {
    fn measure(network: &Network, stage: &mut Stage<'_>, duration: Duration) -> Result<Self> {
        let daemon = Daemon::start(network, &format!("[ring]\ncpu_budget = {SHARE}\n"))?;
        let pid = daemon.pid();
        // As much as makes every table as large as it gets.
        stage.run(Load::Paced(FLOOD), Duration::from_secs(4), pid)?;
        let before = Moment::of(stage, &daemon)?;
        let calm = resident(pid)?;
        let throttle = Throttle::new(pid, SHARE)?;
        let (mut most, mut one_in) = (calm, 1.0_f64);
        let (mut rate, mut cores) = (0.0, 0.0);
        for part in 1..=4 {
            let run = stage.run(Load::Paced(FLOOD), duration / 4, pid)?;
            (rate, cores) = (rate + run.rate() / 4.0, cores + run.cores() / 4.0);
            most = most.max(resident(pid)?);
            // A scrape costs the daemon a part of its share.
            if part % 2 == 0 {
                one_in = one_in.max(sampling_interval(&daemon)?);
            }
        }
        let name = throttle.name();
        drop(throttle);
        let recovery = recovery(stage, &daemon)?;
        let after = Moment::of(stage, &daemon)?;
        let account = after.account.since(&before.account);
        let flood = Self {
            throttle: name,
            rate,
            cores,
            account,
            exact: account.messages == after.sent() - before.sent(),
            estimates: Estimates::between(&before, &after)?,
            memory: [calm, most],
            one_in,
            recovery,
        };
        daemon.stop()?;
        Ok(flood)
    }

    fn tell(&self) -> Result<()> {
        let mut out = io::stdout().lock();
        let [calm, most] = self.memory.map(|octets| octets as f64 / f64::from(1 << 20));
        let Account {
            messages,
            delivered,
            sampled_out,
            lost,
        } = self.account;
        let sampled_share = sampled_out as f64 / messages as f64;
        let growth = most / calm;
        let recovery = self.recovery.as_secs_f64();
        writeln!(out, "throttled by          {}", self.throttle)?;
        writeln!(out, "messages/s            {:>12.0}", self.rate)?;
        writeln!(out, "CPUs of the daemon    {:>12.3}", self.cores)?;
        writeln!(
            out,
            "messages              {messages:>12}   {}",
            if self.exact { "exact" } else { "WRONG" }
        )?;
        writeln!(out, "records taken         {delivered:>12}")?;
        writeln!(
            out,
            "sampled out           {sampled_out:>12}   one in {} kept at most",
            self.one_in
        )?;
        writeln!(out, "lost                  {lost:>12}")?;
        writeln!(
            out,
            "resident, MiB         {most:>12.1}   before: {calm:.1}"
        )?;
        writeln!(out, "recovery, s           {recovery:>12.2}")?;
        self.estimates.tell(&mut out)?;
        let figures = json!({
            "totals_exact": u8::from(self.exact),
            "offered_mps": rounded(self.rate, 0),
            "daemon_cores": rounded(self.cores, 3),
            "sampled_share": rounded(sampled_share, 4),
            "lost": lost,
            "cells": self.estimates.cells(),
            "within_95_percent": rounded(self.estimates.within(1.96), 4),
            "worst_deviations": rounded(self.estimates.worst(), 2),
            "rss_mb": rounded(most, 1),
            "rss_growth": rounded(growth, 3),
            "recovery_s": rounded(recovery, 2),
        });
        writeln!(
            out,
            "{}",
            json!({ "bench": "overload", "figures": figures })
        )?;
        Ok(())
    }
}

/// The coarsest of all rings.
fn sampling_interval(daemon: &Daemon<'_>) -> Result<f64> {
    daemon.scrape()?.max("xdsc_ring_sampling_interval", &[])
}

/// How long it takes until everything is counted again.
fn recovery(stage: &mut Stage<'_>, daemon: &Daemon<'_>) -> Result<Duration> {
    let start = Instant::now();
    while sampling_interval(daemon)? > 1.0 {
        ensure!(start.elapsed() < PATIENCE, "it samples on after the flood");
        stage.run(Load::Paced(CALM), Duration::from_millis(50), daemon.pid())?;
    }
    Ok(start.elapsed())
}
