//! A flood past a daemon that is held back, and what became of it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration_tests::{
    bench::{
        stage::{Account, Load, Stage},
        usage::{processor_time_of, resident},
    },
    network::{Network, daemon::Daemon},
};

use crate::{
    estimates::{DATASETS, Estimates, Moment},
    throttle::{Controller, Throttle, Version},
};

/// Messages per second of the flood, and of what comes after.
const FLOOD: u64 = 400_000;
const CALM: u64 = 20_000;
/// How long every table is let grow to its size.
const WARM_UP: Duration = Duration::from_secs(8);
/// Parts of a flood: after each memory is looked at, after each second one a
/// scrape is made, which costs the daemon a part of its share. After the last there
/// is none: it would give the daemon time to recover before that is measured.
const PARTS: u32 = 4;
/// How long the recovery may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The threads that read the rings.
const DRAIN: &str = "drain-";

/// What holds the daemon back.
#[derive(Clone, Copy)]
pub(crate) enum Hold<'a> {
    /// `ring.cpu_budget`, which it keeps by itself.
    Budget,
    /// The kernel.
    Group(&'a Controller),
}

/// What a flood came to.
pub(crate) struct Flood {
    /// The kernel's control group, and how often it stopped the daemon.
    pub(crate) throttled: Option<(Version, u64)>,
    pub(crate) rate: f64,
    /// CPUs of the daemon, and of its threads that read the rings.
    pub(crate) cores: f64,
    pub(crate) drain_cores: f64,
    pub(crate) account: Account,
    pub(crate) exact: bool,
    pub(crate) estimates: Estimates,
    /// Octets of memory before, and at most during the flood.
    pub(crate) memory: [u64; 2],
    /// The highest sampling interval that was seen.
    pub(crate) one_in: f64,
    pub(crate) recovery: Duration,
}

impl Flood {
    /// Floods a daemon of its own, which may take `percent` of a CPU.
    pub(crate) fn measure(
        network: &Network,
        stage: &mut Stage<'_>,
        hold: Hold<'_>,
        percent: u32,
        duration: Duration,
    ) -> Result<Self> {
        let config = match hold {
            Hold::Budget => format!("[ring]\ncpu_budget = {percent}\n{DATASETS}"),
            Hold::Group(_) => DATASETS.to_owned(),
        };
        let daemon = Daemon::start(network, &config)?;
        stage.run(Load::Paced(FLOOD), WARM_UP, daemon.pid())?;
        let before = Moment::of(stage, &daemon)?;
        let (course, throttled) = match hold {
            Hold::Budget => (Course::run(stage, &daemon, duration)?, None),
            Hold::Group(controller) => {
                let throttle = Throttle::new(controller, daemon.pid(), percent)?;
                let course = Course::run(stage, &daemon, duration)?;
                (course, Some((controller.version(), throttle.times()?)))
            }
        };
        let recovery = recovery(stage, &daemon)?;
        let after = Moment::of(stage, &daemon)?;
        let account = after.account.since(&before.account);
        let flood = Self {
            throttled,
            rate: course.rate,
            cores: course.cores,
            drain_cores: course.drain_cores,
            account,
            exact: account.messages == after.sent() - before.sent(),
            estimates: Estimates::between(&before, &after)?,
            memory: course.memory,
            one_in: course.one_in,
            recovery,
        };
        daemon.stop()?;
        Ok(flood)
    }
}

/// What was seen while it lasted.
struct Course {
    rate: f64,
    cores: f64,
    drain_cores: f64,
    memory: [u64; 2],
    one_in: f64,
}

impl Course {
    fn run(stage: &mut Stage<'_>, daemon: &Daemon<'_>, duration: Duration) -> Result<Self> {
        let pid = daemon.pid();
        let calm = resident(pid)?;
        let mut course = Self {
            rate: 0.0,
            cores: 0.0,
            drain_cores: 0.0,
            memory: [calm, calm],
            one_in: 1.0,
        };
        for part in 1..=PARTS {
            let drained = processor_time_of(pid, DRAIN)?;
            let run = stage.run(Load::Paced(FLOOD), duration / PARTS, pid)?;
            let drained = processor_time_of(pid, DRAIN)?.saturating_sub(drained);
            let share = 1.0 / f64::from(PARTS);
            course.rate += run.rate() * share;
            course.cores += run.cores() * share;
            course.drain_cores += drained.as_secs_f64() / run.elapsed.as_secs_f64() * share;
            course.memory[1] = course.memory[1].max(resident(pid)?);
            if part % 2 == 1 {
                course.one_in = course.one_in.max(sampling_interval(daemon)?);
            }
        }
        Ok(course)
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
