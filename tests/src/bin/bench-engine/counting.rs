//! The engine alone, as a drain thread has it: messages in memory, a hand-over
//! now and then, tables with the bounds of the daemon.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use nix::time::{ClockId, clock_gettime};
use xdsc::stats::{
    engine::{Counts, Engine},
    plan::Plan,
};

use crate::messages::Messages;

/// Cells of a dataset between two hand-overs: the default of the daemon.
const CELLS: usize = 16_384;
/// Engines whose counts are merged have the same one.
pub(crate) const SEED: u64 = 1;

/// An engine and what it hands over.
pub(crate) struct Counting {
    engine: Engine,
    pub(crate) counts: Counts,
}

/// What it took.
pub(crate) struct Taken {
    /// With the hand-over.
    pub(crate) cpu: Duration,
    pub(crate) messages: usize,
    /// The hand-over alone.
    pub(crate) pause: Duration,
}

impl Counting {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Self {
            engine: Engine::new(Arc::clone(plan), CELLS, SEED),
            counts: Counts::new(plan, CELLS, SEED),
        }
    }

    /// Counts messages and hands over what it has counted.
    pub(crate) fn count(&mut self, messages: &Messages) -> Result<Taken> {
        // As whoever collects does it, in another thread.
        self.counts.clear();
        let before = cpu_time()?;
        for observed in messages.iter() {
            self.engine.message(observed);
        }
        let counted = cpu_time()?;
        self.engine.exchange(&mut self.counts);
        let after = cpu_time()?;
        Ok(Taken {
            cpu: after - before,
            messages: messages.len(),
            pause: after - counted,
        })
    }
}

impl Taken {
    /// Millions of messages per second of the processor.
    pub(crate) fn mps(&self) -> f64 {
        self.messages as f64 / 1e6 / self.cpu.as_secs_f64()
    }

    /// Nanoseconds per message.
    pub(crate) fn ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.messages as f64
    }
}

fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}
