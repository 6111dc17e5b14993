//! The enriched stream: queries with their responses and all that is known of
//! their clients, for whoever subscribes.
//!
//! The way of a message: the drain's [`tap`] copies it, if its transaction is
//! among those taken, into a bounded queue; the enrich thread brings both halves
//! together, looks the client up, and sends the exchange to all
//! [subscribers](Handle::subscribe). Each hand-over is bounded, and what does not
//! fit is dropped and counted: nothing behind the tap can hold the drain up. The
//! thread adapts the share that is taken, so that there is seldom much to drop.
//!
//! While nobody subscribes and no names are looked up, nothing is taken.

mod enricher;
mod halves;
pub mod pairs;
mod raw;
mod sampling;
mod stats;
mod subscribers;
pub mod tap;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dns_wire::counters::Qr;
use tracing::error;

pub use self::{
    enricher::{Enricher, ReverseLookup},
    raw::Raw,
    stats::{StreamStats, SubscriberStats},
    subscribers::{Next, Refused, Subscription},
};

use self::{
    halves::{Halves, Left},
    sampling::{Sampling, Taken},
    subscribers::Subscribers,
    tap::{Intake, Tap},
};
use super::exchange::{Exchange, Kind};
use crate::{
    source::live::clock::now_ns,
    stats::lag::{Batch, LagReport},
};

/// Messages that are taken out of each queue at a time.
const BATCH: usize = 1024;
/// How long the thread sleeps when there is nothing to do.
const POLL: Duration = Duration::from_millis(10);
/// How long it sleeps while nobody wants anything; a subscriber wakes it.
const IDLE: Duration = Duration::from_secs(1);

/// Bounds of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most exchanges per second.
    pub max_rate: u32,
    /// The most messages that wait to be enriched.
    pub queue: usize,
    /// Threads that read rings.
    pub taps: usize,
    /// The most messages that wait for their other half.
    pub pending: usize,
    /// How long a query waits for its response, in ns.
    pub timeout_ns: u64,
    /// The most exchanges that wait for the slowest subscriber.
    pub buffer: usize,
    /// The most subscribers.
    pub subscribers: usize,
    /// Whether exchanges are wanted even without a subscriber: clients are to be
    /// looked up.
    pub always: bool,
}

/// The thread at work.
#[derive(Debug)]
pub struct Stream {
    thread: Option<JoinHandle<()>>,
    handle: Handle,
}

/// What taps, subscribers and the metrics need of it.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    intake: Arc<Intake>,
    subscribers: Arc<Subscribers>,
    counts: Counts,
    places: usize,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Counts {
    is_on: AtomicBool,
    taken: AtomicU64,
    table_full: AtomicU64,
    narrowed: AtomicU64,
    too_early: AtomicU64,
    exchanges: [AtomicU64; 3],
    thinning: AtomicU64,
    pending: AtomicU64,
}

impl Stream {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(options: &Options, enricher: Enricher) -> io::Result<Self> {
        let handle = Handle(Arc::new(Shared {
            intake: Intake::new(options.queue, options.taps),
            subscribers: Subscribers::new(options.subscribers, options.buffer),
            counts: Counts::default(),
            places: options.subscribers,
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        }));
        let worker = Worker {
            shared: Arc::clone(&handle.0),
            enricher,
            halves: Halves::new(options.pending, options.timeout_ns),
            sampling: Sampling::new(options.max_rate.into()),
            always: options.always,
            met: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("enrich-stream".to_owned())
            .spawn(move || worker.run())?;
        // Set once, here.
        drop(handle.0.thread.set(thread.thread().clone()));
        Ok(Self {
            thread: Some(thread),
            handle,
        })
    }

    /// What others need of it.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the subscriptions and the thread.
    pub fn stop(&mut self) {
        self.handle.close();
        self.handle.0.stop.store(true, Ordering::Release);
        self.handle.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread of the enriched stream panicked");
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Handle {
    /// A tap for one more thread that reads rings.
    #[must_use]
    pub fn tap(&self) -> Tap {
        self.0.intake.tap()
    }

    /// One more subscriber.
    ///
    /// # Errors
    /// When there is no place left, or no stream any more.
    pub fn subscribe(&self) -> Result<Subscription, Refused> {
        let subscription = self.0.subscribers.subscribe()?;
        self.wake();
        Ok(subscription)
    }

    /// Ends all subscriptions, once they have read what there is.
    pub fn close(&self) {
        self.0.subscribers.close();
    }

    /// How it does.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        let Shared {
            intake,
            subscribers,
            counts,
            places,
            ..
        } = &*self.0;
        let now = now_ns();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StreamStats {
            is_on: counts.is_on.load(Ordering::Relaxed),
            taken: count(&counts.taken),
            queue_full: intake.queue_full(),
            table_full: count(&counts.table_full),
            narrowed: count(&counts.narrowed),
            too_early: count(&counts.too_early),
            exchanges: counts.exchanges.each_ref().map(count),
            one_in: 1 << count(&counts.thinning),
            pending: count(&counts.pending),
            queued: intake.waiting() as u64,
            queue_capacity: intake.capacity() as u64,
            enrich: self.enrich_lag(now),
            places: *places as u64,
            refused: subscribers.refused(),
            subscribers: subscribers.stats(now),
        }
    }

    /// How far the enrich thread is behind the events at `now_ns`.
    #[must_use]
    pub fn enrich_lag(&self, now_ns: u64) -> LagReport {
        self.0.intake.lag().report(now_ns)
    }

    /// Sends to the subscribers as the thread does.
    #[cfg(test)]
    pub(crate) fn send(&self, exchange: Exchange) {
        self.0.subscribers.send(std::iter::once(exchange));
    }

    fn wake(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }
}

/// The enrich thread.
struct Worker {
    shared: Arc<Shared>,
    enricher: Enricher,
    halves: Halves,
    sampling: Sampling,
    always: bool,
    /// Filled and emptied in each turn.
    met: Vec<halves::Met>,
}

impl Worker {
    fn run(mut self) {
        let mut is_on = false;
        while !self.shared.stop.load(Ordering::Acquire) {
            let wanted = self.always || self.shared.subscribers.is_any();
            if wanted != is_on {
                is_on = wanted;
                self.switch(is_on);
            }
            let sleep = match is_on {
                true if self.turn() => continue,
                true => POLL,
                false => {
                    // What was on its way when it was switched off.
                    self.discard();
                    IDLE
                }
            };
            thread::park_timeout(sleep);
        }
        self.shared.intake.set(None);
        self.discard();
    }

    fn switch(&mut self, on: bool) {
        let now = now_ns();
        self.halves.begin(now);
        self.sampling.restart(now);
        let thinning = on.then(|| self.sampling.thinning());
        self.shared.intake.set(thinning);
        self.shared.counts.is_on.store(on, Ordering::Relaxed);
        self.shared.counts.pending.store(0, Ordering::Relaxed);
    }

    /// Takes what waits; whether there may be more.
    fn turn(&mut self) -> bool {
        let mut taken = Taken::default();
        let mut batch = Batch::default();
        let Self {
            halves,
            met,
            sampling,
            ..
        } = self;
        let intake = &self.shared.intake;
        let is_crowded = intake.is_crowded();
        let reached_ns = intake.take(BATCH, |raw| {
            batch.add(&Batch::one(raw.time_ns));
            // What was taken before the share changed says nothing of it.
            if raw.choice.thinning == sampling.thinning() {
                match raw.qr() {
                    Qr::Query => taken.queries += 1,
                    Qr::Response => taken.responses += 1,
                }
            }
            halves.take(raw, met);
        });
        halves.advance(reached_ns, met);
        self.send();
        let now = now_ns();
        self.shared.intake.lag().consumed(&batch, now);
        self.sampling.turn(taken, is_crowded, now);
        self.shared.intake.set(Some(self.sampling.thinning()));
        self.tell(batch.count());
        batch.count() >= BATCH as u64
    }

    /// Enriches what has met, and sends it.
    fn send(&mut self) {
        if self.met.is_empty() {
            return;
        }
        self.enricher.refresh(unix_offset_ns());
        let (enricher, counts) = (&mut self.enricher, &self.shared.counts);
        let exchanges = self.met.drain(..).filter_map(|met| {
            let exchange = enricher.exchange(&met)?;
            count_kind(counts, &exchange);
            Some(exchange)
        });
        self.shared.subscribers.send(exchanges);
    }

    fn tell(&self, taken: u64) {
        let counts = &self.shared.counts;
        let Left {
            table_full,
            narrowed,
            too_early,
        } = self.halves.left();
        counts.taken.fetch_add(taken, Ordering::Relaxed);
        for (count, value) in [
            (&counts.table_full, table_full),
            (&counts.narrowed, narrowed),
            (&counts.too_early, too_early),
            (&counts.thinning, u64::from(self.sampling.thinning())),
            (&counts.pending, self.halves.waiting() as u64),
        ] {
            count.store(value, Ordering::Relaxed);
        }
    }

    /// Empties the queues: nobody is there any more.
    fn discard(&self) {
        let intake = &self.shared.intake;
        let mut batch = Batch::default();
        intake.take(usize::MAX, |raw| batch.add(&Batch::one(raw.time_ns)));
        intake.lag().consumed(&batch, now_ns());
        self.tell(batch.count());
    }
}

fn count_kind(counts: &Counts, exchange: &Exchange) {
    for (kind, count) in Kind::ALL.iter().zip(&counts.exchanges) {
        if *kind == exchange.kind() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What leads from `CLOCK_MONOTONIC` to the Unix epoch, in ns; the wall clock may
/// have been set since it was asked for last.
fn unix_offset_ns() -> i128 {
    let now = now_ns();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    let unix_ns = unix.map_or(0, |since| since.as_nanos());
    i128::try_from(unix_ns).unwrap_or(0) - i128::from(now)
}
