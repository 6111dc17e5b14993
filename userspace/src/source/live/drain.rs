//! The threads that empty the rings.
//!
//! A thread owns some rings and a shard, and shares nothing while it reads: it
//! takes what is there, hands the chosen transactions to the common table once
//! per batch, and TCP records to the thread that has their stream, and sleeps,
//! longer the less there is. Once a second, or when asked,
//! it lays a copy of its numbers out for whoever exports them, and hands over
//! what its datasets have counted (`collect`).

use std::{
    collections::BTreeMap,
    hash::BuildHasher as _,
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use dns_wire::counters::{Counters, Hook, Role};
use foldhash::quality::RandomState;
use tracing::error;

use super::{
    clock::{now_ns, thread_ns},
    collect::{CollectOptions, Collector, moment},
    governor::{Governor, Moment},
    locked,
    pace::Pace,
    ring::{Ring, RingState, RingWatch},
};
use crate::{
    enrich::{locator::Caches, stream},
    export::snapshot::RingReport,
    source::{
        order::Sorter,
        stream::{Limits, StreamStats},
    },
    stats::{
        aggregate,
        engine::{Counts, Engine},
        lag::{Batch, LagReport, Peaks},
        pairing::{Pairing, PairingStats},
        plan::Plan,
        response_time::{self, ResponseTime},
        shard::Shard,
        sketches::Clients,
    },
};

/// How long whoever asks waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a thread lays its numbers out unasked.
const INTERVAL_NS: u64 = 1_000_000_000;
/// How often it hands over what its datasets have counted, unasked: seldom, as all
/// sums of messages that are alike are brought to their cells each time.
const HAND_OVER_NS: u64 = 3 * INTERVAL_NS;
/// How often the threads' counts are collected unasked.
const COLLECT: Duration = Duration::from_millis(500);
/// How often whoever asks looks whether the way is free for what was counted, and
/// a thread that is asked whether the others have read.
const LOOK: Duration = Duration::from_millis(5);
/// Between the time that a program stamps a record with and that at which the
/// record can be seen: a look has found all that are older, unless the program was
/// kept from going on for longer.
const UNSEEN_NS: u64 = 50_000;

/// How the rings are to be drained.
#[derive(Clone, Copy, Debug)]
pub struct DrainOptions {
    /// Number of threads.
    pub threads: usize,
    /// Sleep under load.
    pub poll_min: Duration,
    /// Sleep when idle.
    pub poll_max: Duration,
    /// CPUs that all threads together may keep busy; none for no bound.
    pub cpu_budget: Option<f64>,
    /// Bounds of the reassembly, for all threads together.
    pub limits: Limits,
    /// One transaction in `2^share_bits` is paired at least.
    pub share_bits: u8,
    /// Below so many records per second and thread all are.
    pub full_below: u32,
    /// How datasets are counted.
    pub collect: CollectOptions,
}

/// What is counted for files.
#[derive(Clone, Debug)]
pub struct FilePlan {
    /// The datasets and their rules.
    pub plan: Arc<Plan>,
    /// Cells of a dataset in an interval.
    pub cells: usize,
    /// How response times are put into classes, and of which role, or of both;
    /// none where nobody asks for them.
    pub times: Option<(response_time::Settings, Option<Role>)>,
}

/// What a thread counted.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Messages put together from segments: of ingress, of egress.
    pub reassembled: [Box<Counters>; 2],
    /// What became of segments.
    pub streams: StreamStats,
    /// Damaged records.
    pub damaged: u64,
    /// How the caches of what is known of addresses did, where it is asked for.
    pub caches: Option<Caches>,
    /// The request that it answers.
    answers: u64,
}

/// The threads at work.
#[derive(Debug)]
pub struct Drains {
    threads: Vec<(JoinHandle<()>, Thread)>,
    aggregator: Option<JoinHandle<()>>,
    rings: Vec<Arc<RingWatch>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pairing: Mutex<Pairing>,
    reports: Vec<Mutex<Report>>,
    answered: (Mutex<()>, Condvar),
    requests: AtomicU64,
    /// Requests for which the counts are handed over, too. Each is noted here first:
    /// a thread that knows of a request knows that it is one of these.
    wanted: AtomicU64,
    stop: AtomicBool,
    collector: Collector,
    /// What handing over takes, of all threads.
    pauses: Peaks,
    /// All drain threads have ended.
    drained: AtomicBool,
}

impl Drains {
    /// Starts the threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        rings: Vec<Ring>,
        pairing: Pairing,
        options: DrainOptions,
        plan: &Arc<Plan>,
        files: Option<&FilePlan>,
        stream: &stream::Handle,
    ) -> io::Result<Self> {
        let threads = options.threads.clamp(1, rings.len().max(1));
        let hasher = RandomState::default();
        let seed = hasher.hash_one(0);
        let collector = Collector::new(plan, &options.collect, threads, seed);
        let file_cells = files.map_or(0, |files| files.cells);
        let files = files.map(|files| &files.plan);
        let shared = Arc::new(Shared {
            pairing: Mutex::new(pairing),
            reports: (0..threads).map(|_| Mutex::default()).collect(),
            answered: (Mutex::new(()), Condvar::new()),
            requests: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            collector: collector.with_files(files, file_cells, seed),
            pauses: Peaks::default(),
            drained: AtomicBool::new(false),
        });
        let limits = Limits {
            streams: options.limits.streams / threads,
            memory: options.limits.memory / threads,
            ..options.limits
        };
        let watches = rings.iter().map(|ring| Arc::clone(ring.watch()));
        let watches = watches.collect();
        let mut drains = Self {
            threads: Vec::new(),
            aggregator: Some(aggregator(Arc::clone(&shared))?),
            rings: watches,
            shared,
        };
        let budget = options.cpu_budget.map_or(1.0, |all| all / threads as f64);
        let orders = Sorter::for_threads(threads, limits.memory);
        let rings = by_thread(rings, threads);
        for (index, (rings, order)) in rings.into_iter().zip(orders).enumerate() {
            let drain = Drain {
                governor: Governor::new(rings.len(), budget),
                rings,
                shard: Shard::new(
                    limits,
                    hasher.clone(),
                    Engine::new(Arc::clone(plan), options.collect.cells, seed),
                )
                .with_order(order)
                .with_files(files.map(|plan| Engine::new(Arc::clone(plan), file_cells, seed)))
                .with_tap(stream.tap()),
                shared: Arc::clone(&drains.shared),
                index,
                options,
                counted: Batch::default(),
                damaged: 0,
                share: Share::new(options.share_bits, options.full_below),
            };
            let handle = thread::Builder::new()
                .name(format!("drain-{index}"))
                .spawn(move || drain.run())?;
            let thread = handle.thread().clone();
            drains.threads.push((handle, thread));
        }
        Ok(drains)
    }

    /// The rings as they are at the moment, whatever the threads do.
    #[must_use]
    pub fn rings(&self) -> Vec<RingReport> {
        let now = now_ns();
        let report = |ring: &Arc<RingWatch>| ring_report(ring, &ring.state(now));
        self.rings.iter().map(report).collect()
    }

    /// How far what is collected is behind what was read.
    #[must_use]
    pub fn aggregate_lag(&self) -> LagReport {
        self.shared.collector.lag(now_ns())
    }

    /// The longest time on a CPU, within a minute, that a thread took to hand its
    /// numbers over, while it read no ring, in ns.
    #[must_use]
    pub fn longest_pause_ns(&self) -> u64 {
        self.shared.pauses.max(now_ns())
    }

    /// The threads' numbers, up to date, and those of the pairing; the counts of
    /// datasets are handed over.
    #[must_use]
    pub fn report(&self) -> (Vec<Report>, PairingStats) {
        self.shared.wanted.fetch_add(1, Ordering::AcqRel);
        self.glance()
    }

    /// Likewise, but the counts stay where they are.
    #[must_use]
    pub fn glance(&self) -> (Vec<Report>, PairingStats) {
        let request = self.shared.requests.fetch_add(1, Ordering::AcqRel) + 1;
        self.answers(request)
    }

    /// Waits for the threads' answers to a request.
    fn answers(&self, request: u64) -> (Vec<Report>, PairingStats) {
        for (_, thread) in &self.threads {
            thread.unpark();
        }
        let deadline = Instant::now() + PATIENCE;
        let (lock, answered) = &self.shared.answered;
        loop {
            self.shared.collector.collect();
            let guard = locked(lock);
            let reports: Vec<_> = self
                .shared
                .reports
                .iter()
                .map(|r| locked(r).clone())
                .collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || reports.iter().all(|report| report.answers >= request) {
                return (reports, locked(&self.shared.pairing).stats());
            }
            drop(answered.wait_timeout(guard, left.min(LOOK)));
        }
    }

    /// What the datasets have counted, as far as it was handed over: all that
    /// [`report`](Self::report) has waited for.
    #[must_use]
    pub fn statistics(&self) -> aggregate::Report {
        self.shared.collector.collect();
        self.shared.collector.report()
    }

    /// The clients that were counted since the last time, as far as they were
    /// handed over.
    #[must_use]
    pub fn take_sources(&self) -> Clients {
        self.shared.collector.collect();
        self.shared.collector.take_sources()
    }

    /// What was counted for files since the last time, as far as it was handed
    /// over, and how transactions ended since then, in DSC's classes.
    #[must_use]
    pub fn take_interval(&self) -> Option<(Box<Counts>, BTreeMap<ResponseTime, u64>)> {
        self.shared.collector.collect();
        let counts = self.shared.collector.take_counts()?;
        Some((counts, locked(&self.shared.pairing).take_times()))
    }

    /// Whether all threads still work.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.threads.iter().all(|(handle, _)| !handle.is_finished())
    }

    /// Lets the threads read what is in the rings, and ends them.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // All at once, as they wait for each other's last records.
        for (_, thread) in &self.threads {
            thread.unpark();
        }
        for (handle, _) in self.threads.drain(..) {
            if handle.join().is_err() {
                error!("a drain thread panicked; its last records are lost");
            }
        }
        self.shared.drained.store(true, Ordering::Release);
        if let Some(aggregator) = self.aggregator.take() {
            aggregator.thread().unpark();
            if aggregator.join().is_err() {
                error!("the thread that adds up the statistics panicked");
            }
        }
        locked(&self.shared.pairing).finish();
    }
}

impl Drop for Drains {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Both rings of a CPU go to the same thread: queries and responses of a CPU are
/// then read close to each other.
fn by_thread(rings: Vec<Ring>, threads: usize) -> Vec<Vec<Ring>> {
    let mut owned: Vec<Vec<Ring>> = (0..threads).map(|_| Vec::new()).collect();
    for ring in rings {
        if let Some(owned) = owned.get_mut(ring.watch().cpu() as usize % threads) {
            owned.push(ring);
        }
    }
    owned
}

/// The thread that collects even when nobody asks.
fn aggregator(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("aggregate".to_owned())
        .spawn(move || {
            loop {
                let drained = shared.drained.load(Ordering::Acquire);
                shared.collector.collect();
                if drained {
                    return;
                }
                thread::park_timeout(COLLECT);
            }
        })
}

/// One thread.
struct Drain {
    rings: Vec<Ring>,
    shard: Shard,
    shared: Arc<Shared>,
    index: usize,
    options: DrainOptions,
    /// What was read since it was handed over last.
    counted: Batch,
    damaged: u64,
    share: Share,
    governor: Governor,
}

impl Drain {
    fn run(mut self) {
        let mut pace = Pace::new(self.options.poll_min, self.options.poll_max);
        let mut last_ns = now_ns();
        let mut reported_ns = 0;
        let mut handed = Handed::default();
        let mut answered = 0;
        let mut asked = (0, 0);
        self.share.set(&mut self.rings);
        loop {
            // Read before the rings are: what is asked for after that is
            // answered by the next round.
            let stop = self.shared.stop.load(Ordering::Acquire);
            let request = self.shared.requests.load(Ordering::Acquire);
            let wanted = self.shared.wanted.load(Ordering::Acquire);
            let seen_ns = now_ns().saturating_sub(UNSEEN_NS);
            self.rings.iter_mut().for_each(Ring::look);
            let now = now_ns();
            let fill = self.hold_levels();
            self.drain(now);
            let all_seen_ns = self.streams(if stop { u64::MAX } else { seen_ns });
            if asked.0 != request {
                asked = (request, seen_ns);
            }
            if request != answered || now.saturating_sub(reported_ns) >= INTERVAL_NS || stop {
                let begun_ns = thread_ns();
                self.share.adapt(&mut self.rings, now);
                let current = Handed {
                    wanted,
                    at_ns: now,
                    minute: moment().unix_s / 60,
                };
                let is_due = handed.is_due(&current) || self.shard.is_crowded() || stop;
                let handed_over = !is_due || self.hand_over(stop);
                if is_due && handed_over {
                    handed = current;
                }
                // Whoever asks gets an answer when everything is handed over.
                if handed_over && all_seen_ns >= asked.1 {
                    answered = request;
                }
                self.report(answered, now);
                reported_ns = now;
                self.shared.pauses.note(thread_ns() - begun_ns, now);
            }
            if stop {
                return;
            }
            let sleep = pace.next(fill, Duration::from_nanos(now.saturating_sub(last_ns)));
            last_ns = now;
            let pause = self.govern();
            thread::park_timeout(if answered == request {
                sleep.max(pause)
            } else {
                // Whoever asks does not wait for the budget.
                self.options.poll_min.min(LOOK)
            });
        }
    }

    /// Looks how full the rings were, and holds the levels that their programs
    /// have come to; the share of the fullest one that is in use.
    fn hold_levels(&mut self) -> f64 {
        let mut fullest = 0.0_f64;
        for (place, ring) in self.rings.iter_mut().enumerate() {
            let (fill, level) = ring.pressure();
            fullest = fullest.max(fill);
            if let Some(floor) = self.governor.seen(place, fill, level) {
                ring.set_floor(floor);
            }
        }
        fullest
    }

    /// Lowers the levels that are not needed any longer; how long to sleep at
    /// least, to stay within the budget.
    fn govern(&mut self) -> Duration {
        if self.governor.is_idle() {
            return Duration::ZERO;
        }
        let moment = Moment {
            now_ns: now_ns(),
            processor_ns: thread_ns(),
        };
        for (place, floor) in self.governor.judge(moment) {
            if let Some(ring) = self.rings.get_mut(place) {
                ring.set_floor(floor);
            }
        }
        self.governor.pause(moment)
    }

    /// Empties the rings up to the last look.
    fn drain(&mut self, now: u64) {
        let mut read = Batch::default();
        for ring in &mut self.rings {
            let drained = ring.drain(now, |record| self.shard.record(record));
            self.shard.end_of_ring();
            match drained {
                Ok(batch) => read.add(&batch),
                Err(damaged) => {
                    read.add(damaged.read());
                    self.damaged += 1;
                    if self.damaged == 1 {
                        error!("{damaged}");
                    }
                }
            }
        }
        self.shared.collector.counted(self.index, &read);
        self.counted.add(&read);
    }

    /// Hands TCP records on to their streams, the rings having been read up to a
    /// time, and pairs what has come of all. Up to when all threads have read.
    fn streams(&mut self, seen_ns: u64) -> u64 {
        let mut all_seen_ns = self.shard.end_of_look(seen_ns);
        if seen_ns == u64::MAX {
            let deadline = Instant::now() + PATIENCE;
            while all_seen_ns < seen_ns && Instant::now() < deadline {
                thread::park_timeout(self.options.poll_min.min(LOOK));
                all_seen_ns = self.shard.end_of_look(seen_ns);
            }
            self.shard.finish();
        }
        self.pair();
        all_seen_ns
    }

    fn pair(&mut self) {
        let mut events = self.shard.take_events();
        if let Some(first) = events.next() {
            let mut pairing = locked(&self.shared.pairing);
            pairing.event(&first);
            for event in events {
                pairing.event(&event);
            }
        }
    }

    /// Hands the counts over; the last ones even if it takes a while.
    fn hand_over(&mut self, is_last: bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let collector = &self.shared.collector;
            let handed_over = collector.hand_over(self.index, &mut self.shard, &mut self.counted);
            if handed_over || !is_last || Instant::now() >= deadline {
                return handed_over;
            }
            thread::park_timeout(LOOK);
        }
    }

    /// Tells what was counted; all records up to `now` have been read.
    fn report(&mut self, request: u64, now: u64) {
        self.shard.advance(now);
        locked(&self.shared.pairing).advance(now);
        let report = Report {
            reassembled: [
                Box::new(self.shard.reassembled(Hook::Ingress).clone()),
                Box::new(self.shard.reassembled(Hook::Egress).clone()),
            ],
            streams: self.shard.stream_stats(),
            damaged: self.damaged + self.shard.broken_messages(),
            caches: self.shard.caches(),
            answers: request,
        };
        if let Some(place) = self.shared.reports.get(self.index) {
            *locked(place) = report;
        }
        let (lock, answered) = &self.shared.answered;
        let _guard = locked(lock);
        answered.notify_all();
    }
}

/// When counts were handed over.
#[derive(Clone, Copy, Debug, Default)]
struct Handed {
    /// So many requests had wanted it by then.
    wanted: u64,
    at_ns: u64,
    /// Minute since the Unix epoch: what is counted by the minute is not to be
    /// counted in the next one.
    minute: u64,
}

impl Handed {
    /// Whether they are to be handed over again.
    const fn is_due(&self, now: &Self) -> bool {
        now.wanted != self.wanted
            || now.at_ns.saturating_sub(self.at_ns) >= HAND_OVER_NS
            || now.minute != self.minute
    }
}

fn ring_report(ring: &RingWatch, state: &RingState) -> RingReport {
    RingReport {
        hook: ring.hook(),
        cpu: ring.cpu(),
        lag: state.lag,
        // The kernel counts them; see `Live::snapshot`.
        dropped: 0,
        fill: state.used_lines as f64 / state.lines as f64,
        one_in: 1 << state.level,
        sampling_variance: state.variance,
        bytes: state.lines * dns_wire::record::LINE as u64,
    }
}

/// The share of transactions that is paired: all while there are few, and the
/// fewer the more there are.
#[derive(Debug)]
struct Share {
    /// The smallest.
    share_bits: u8,
    full_below: u64,
    current: u8,
    last: (u64, u64),
}

impl Share {
    const fn new(share_bits: u8, full_below: u32) -> Self {
        Self {
            share_bits,
            full_below: full_below as u64,
            current: share_bits,
            last: (0, 0),
        }
    }

    fn set(&self, rings: &mut [Ring]) {
        for ring in rings {
            ring.set_share(self.current);
        }
    }

    /// Goes by the rate of this thread's rings.
    fn adapt(&mut self, rings: &mut [Ring], now: u64) {
        let records = rings.iter().map(|ring| ring.watch().consumed()).sum();
        if self.take(records, now) {
            self.set(rings);
        }
    }

    /// So many records have come until now: whether the share is chosen anew, which
    /// it is at most once in half a second.
    fn take(&mut self, records: u64, now: u64) -> bool {
        let (then, before) = self.last;
        let elapsed = now.saturating_sub(then);
        if elapsed < INTERVAL_NS / 2 {
            return false;
        }
        let rate = u128::from(records - before) * u128::from(INTERVAL_NS) / u128::from(elapsed);
        self.last = (now, records);
        self.current = if then == 0 {
            0
        } else {
            self.bits(u64::try_from(rate).unwrap_or(u64::MAX))
        };
        true
    }

    /// Halves the share until it is below the rate up to which all are paired.
    fn bits(&self, rate: u64) -> u8 {
        (0..self.share_bits)
            .find(|bits| rate >> bits < self.full_below)
            .unwrap_or(self.share_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_handed_over_when_asked_for_and_by_the_clock() {
        let last = Handed {
            wanted: 2,
            at_ns: 1_000,
            minute: 7,
        };
        for (name, now, expected) in [
            ("nothing new", last, false),
            (
                "within three seconds",
                Handed {
                    at_ns: 3_000_000_999,
                    ..last
                },
                false,
            ),
            (
                "three seconds later",
                Handed {
                    at_ns: 3_000_001_000,
                    ..last
                },
                true,
            ),
            ("asked for", Handed { wanted: 3, ..last }, true),
            ("another minute", Handed { minute: 8, ..last }, true),
        ] {
            assert_eq!(last.is_due(&now), expected, "{name}");
        }
    }

    #[test]
    fn share_is_halved_until_few_enough_transactions_are_paired() {
        let share = |full_below| Share::new(3, full_below);
        for (rate, expected) in [
            (0, 0),
            (19_999, 0),
            (20_000, 1),
            (39_999, 1),
            (40_000, 2),
            (79_999, 2),
            (80_000, 3),
            (u64::MAX, 3),
        ] {
            assert_eq!(share(20_000).bits(rate), expected, "{rate}");
        }
        assert_eq!(share(0).bits(0), 3, "never all");
    }

    #[test]
    fn share_follows_the_rate() {
        const MS: u64 = 1_000_000;
        let mut share = Share::new(3, 20_000);
        assert_eq!(share.current, 3, "cautious before the first look");
        for (name, now_ms, records, expected) in [
            ("first look", 1_000, 0, 0),
            ("10,000 per second", 2_000, 10_000, 0),
            ("50,000 per second", 3_000, 60_000, 2),
            ("too early, by a scrape", 3_100, 1_060_000, 2),
            ("500,000 per second", 5_000, 1_060_000, 3),
            ("as few as before", 6_000, 1_070_000, 0),
            ("30,000 per second for half a second", 6_500, 1_085_000, 1),
            ("none", 9_000, 1_085_000, 0),
        ] {
            share.take(records, now_ms * MS);
            assert_eq!(share.current, expected, "{name}");
        }
    }
}
