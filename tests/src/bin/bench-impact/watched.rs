//! One watcher's turns.

use anyhow::Result;
use integration_tests::{
    bench::median,
    network::{Network, server::NameServer},
};

use crate::{
    client::Client,
    watcher::{Presence, Watcher},
};

/// What each of its turns came to.
pub(crate) struct Watched {
    pub(crate) watcher: Watcher,
    /// Answers per second.
    rates: Vec<f64>,
    /// 99 % of the answers came within so many microseconds.
    latencies: Vec<f64>,
    /// Microseconds of a CPU that the watcher took per message.
    costs: Vec<f64>,
    /// Those of the server per query, in kernel mode as well.
    server: Vec<f64>,
    /// The share of the messages that it has seen, where it tells.
    seen: Vec<f64>,
    /// Nanoseconds of a run of a kernel program, where it has some.
    programs: Vec<f64>,
}

/// The medians of all turns.
pub(crate) struct Medians {
    pub(crate) rate: f64,
    pub(crate) p99_us: f64,
    pub(crate) cost: f64,
    pub(crate) server: f64,
    /// Not a number where it does not tell.
    pub(crate) seen: f64,
    /// Likewise.
    pub(crate) program_ns: f64,
}

impl Watched {
    pub(crate) const fn new(watcher: Watcher) -> Self {
        Self {
            watcher,
            rates: Vec::new(),
            latencies: Vec::new(),
            costs: Vec::new(),
            server: Vec::new(),
            seen: Vec::new(),
            programs: Vec::new(),
        }
    }

    pub(crate) fn take_turn(
        &mut self,
        network: &Network,
        server: &NameServer<'_>,
        client: &Client<'_>,
        seconds: u64,
    ) -> Result<()> {
        let presence = Presence::begin(network, self.watcher)?;
        let before = presence.processor_time()?;
        let server_before = server.processor_time()?;
        let answered = client.ask(seconds)?;
        let cost = presence.processor_time()?.saturating_sub(before);
        let served = server.processor_time()?.saturating_sub(server_before);
        let answers = answered.answers as f64;
        let told = presence.end(answered.answers)?;
        self.seen.extend(told.share);
        self.programs.extend(told.program_ns);
        self.rates.push(answered.rate);
        self.latencies.push(answered.p99_us);
        self.costs.push(cost.as_secs_f64() * 1e6 / (2.0 * answers));
        self.server.push(served.as_secs_f64() * 1e6 / answers);
        Ok(())
    }

    pub(crate) fn medians(&self) -> Medians {
        Medians {
            rate: median(&self.rates),
            p99_us: median(&self.latencies),
            cost: median(&self.costs),
            server: median(&self.server),
            seen: median(&self.seen),
            program_ns: median(&self.programs),
        }
    }
}
