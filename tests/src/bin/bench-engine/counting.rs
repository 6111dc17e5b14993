//! The engine alone, as a drain thread has it: messages in memory, hand-overs in
//! between, tables with the bounds of the daemon.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use integration_tests::bench::pin;
use nix::time::{ClockId, clock_gettime};
use xdsc::{
    prefetch::prefetch,
    stats::{
        engine::{Counts, Engine},
        observed::Observed,
        plan::Plan,
    },
};

use crate::messages::Messages;

/// Cells of a dataset between two hand-overs: the default of the daemon.
const CELLS: usize = 20_480;
/// Messages between two hand-overs where there are many: the daemon has them each
/// second, and with each scrape.
const OFTEN: usize = 100_000;
/// Messages are asked for so far ahead, as the reader of a ring does it.
const AHEAD: usize = 8;
/// Engines whose counts are merged have the same one.
pub(crate) const SEED: u64 = 1;

/// An engine and what it hands over.
pub(crate) struct Counting {
    engine: Engine,
    pub(crate) counts: Counts,
}

/// How often is handed over what was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// After all messages.
    Once,
    /// After each [`OFTEN`] of them.
    Often,
}

/// What it took.
#[derive(Default)]
pub(crate) struct Taken {
    /// With the hand-overs, and what they leave to whoever collects.
    pub(crate) cpu: Duration,
    pub(crate) messages: usize,
    /// The longest hand-over alone, for which a drain thread stands still.
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
    pub(crate) fn count(&mut self, messages: &Messages, hand_over: HandOver) -> Result<Taken> {
        let between = match hand_over {
            HandOver::Once => messages.len(),
            HandOver::Often => OFTEN,
        };
        let mut taken = Taken::default();
        for some in messages.chunks(between) {
            let some = self.count_some(some)?;
            taken.cpu += some.cpu;
            taken.messages += some.messages;
            taken.pause = taken.pause.max(some.pause);
        }
        Ok(taken)
    }

    fn count_some(&mut self, messages: &[Observed<'_>]) -> Result<Taken> {
        // As whoever collects does it, in another thread.
        self.counts.begin_anew();
        let before = cpu_time()?;
        for (at, observed) in messages.iter().enumerate() {
            if let Some(later) = messages.get(at + AHEAD) {
                ask_for(later);
            }
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
                let ready = ready(plan, messages, cpu);
                // Whoever is not ready comes here, too: the others wait for all.
                barrier.wait();
                let mut counting = ready?;
                let begun = Instant::now();
                for _ in 0..PASSES {
                    counting.count(messages, HandOver::Once)?;
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

/// On a CPU of its own, with tables that have their sizes.
fn ready(plan: &Arc<Plan>, messages: &Messages, cpu: usize) -> Result<Counting> {
    pin(cpu)?;
    let mut counting = Counting::new(plan);
    counting.count(messages, HandOver::Once)?;
    Ok(counting)
}

/// Asks for all lines that a message lies in.
fn ask_for(message: &Observed<'_>) {
    let start = std::ptr::from_ref(message).cast::<u8>();
    for line in (0..size_of_val(message)).step_by(64) {
        prefetch(start.wrapping_add(line));
    }
}

/// What the calling thread has had of its CPU.
pub(crate) fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}
