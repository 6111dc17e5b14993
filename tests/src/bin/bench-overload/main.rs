//! A flood of several times what the daemon is let take in: what is told then,
//! against what is true.
//!
//! The daemon gets a small share of a CPU, in two cases: by its own budget, and,
//! where the machine lets us, by a control group of the kernel's, which stops it
//! for most of the time without its knowledge. Meanwhile queries and responses
//! come past it whose number and content are known. The totals must be exact; the
//! estimates of the datasets must lie where the stated variance says; memory must
//! not grow; and after the flood everything must soon be counted again.
//!
//! Everything comes over UDP: the variance is stated for messages that are sampled
//! each by itself, which those of one TCP connection are not.

mod estimates;
mod flood;
mod report;
mod throttle;

use std::{env, time::Duration};

use anyhow::{Result, bail};
use integration_tests::{bench::stage::Stage, network::in_network};

use crate::{
    flood::{Flood, Hold},
    throttle::Controller,
};

const SEED: u64 = 2;
/// How long a flood lasts.
const SECONDS: u64 = 12;
/// The daemon's share of a CPU meanwhile, in percent.
const SHARE: u32 = 3;

fn main() -> Result<()> {
    let (seconds, share) = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => (SECONDS, SHARE),
        [seconds] => (seconds.parse()?, SHARE),
        [seconds, percent] => (seconds.parse()?, percent.parse()?),
        _ => bail!("usage: bench-overload [SECONDS [PERCENT]]"),
    };
    let duration = Duration::from_secs(seconds);
    in_network(|network| {
        let mut stage = Stage::new(network, SEED)?;
        let mut flood = |hold| Flood::measure(network, &mut stage, hold, share, duration);
        let budget = flood(Hold::Budget)?;
        let group = match Controller::find() {
            Ok(controller) => Ok(flood(Hold::Group(&controller))?),
            Err(reason) => Err(reason),
        };
        report::tell(&budget, &group)
    })
}
