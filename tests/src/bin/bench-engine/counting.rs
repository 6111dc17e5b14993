//! The engine alone, as a drain thread has it: messages in memory, a hand-over
//! now and then, tables with the bounds of the daemon.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use integration_tests::bench::pin;
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
    /// With the hand-over, and what it leaves to whoever collects.
    pub(crate) cpu: Duration,
    pub(crate) messages: usize,
    /// The hand-over alone, for which a drain thread stands still.
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
        self.engine.hand_over(&mut self.counts);
        let handed_over = cpu_time()?;
        self.counts.settle();
        let settled = cpu_time()?;
        Ok(Taken {
            cpu: settled - before,
            messages: messages.len(),
            pause: handed_over - counted,
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

/// Messages per second of so many threads together, each on a CPU of its own, in
/// millions: of the clock on the wall.
pub(crate) fn together(plan: &Arc<Plan>, messages: &Messages, threads: usize) -> Result<f64> {
    const PASSES: usize = 3;
    let barrier = Barrier::new(threads);
    let spent = thread::scope(|scope| {
        let thread = |cpu| {
            let barrier = &barrier;
            scope.spawn(move || -> Result<Duration> {
                pin(cpu)?;
                let mut counting = Counting::new(plan);
                counting.count(messages)?;
                barrier.wait();
                let begun = Instant::now();
                for _ in 0..PASSES {
                    counting.count(messages)?;
                }
                Ok(begun.elapsed())
            })
        };
        let threads: Vec<_> = (0..threads).map(thread).collect();
        let mut spent = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(one) => spent.push(one?),
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok(spent)
    })?;
    let rate = |spent: &Duration| (PASSES * messages.len()) as f64 / 1e6 / spent.as_secs_f64();
    Ok(spent.iter().map(rate).sum())
}

/// What the calling thread has had of its CPU.
pub(crate) fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}
