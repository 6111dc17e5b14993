//! How far a stage is behind: the seconds between an event and now, what went in
//! and came out, and what waits.
//!
//! A stage is anything that events pass in order: a ring, a thread that reads
//! rings, a queue with its reader, a subscriber. Whoever fills it tells
//! [`StageLag::produced`], whoever empties it [`StageLag::consumed`] (or
//! [`StageLag::lost`]), once per batch or event and without a lock. Anybody may
//! ask for a [`LagReport`], also while the stage hangs, which is when it matters.
//!
//! Lag is the age of what waits, so that a stage with nothing to do has none,
//! however long ago its last event was. It is cut short by what is known: an
//! event that waits came after all that are through. A peak between two scrapes
//! is seen as the maximum of the last minute.
//!
//! All times are those of one clock that never goes back, in ns, and arrive from
//! outside. Live that is `CLOCK_MONOTONIC`, which the kernel stamps events with:
//! a step of the wall clock is nothing to it. It stands still while the machine
//! is suspended, unlike `CLOCK_BOOTTIME`; no packet comes then, nothing waits any
//! longer for it, and so the time asleep is rightly no lag.

use std::sync::atomic::{AtomicU64, Ordering};

/// Events that pass together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    count: u64,
    oldest_ns: u64,
    newest_ns: u64,
}

impl Batch {
    /// One event.
    #[must_use]
    pub const fn one(event_ns: u64) -> Self {
        Self::new(1, event_ns, event_ns)
    }

    /// So many events; those after them are not older than `newest_ns`.
    #[must_use]
    pub const fn new(count: u64, oldest_ns: u64, newest_ns: u64) -> Self {
        Self {
            count,
            oldest_ns,
            newest_ns,
        }
    }

    /// How many they are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            self.count += other.count;
            self.oldest_ns = self.oldest_ns.min(other.oldest_ns);
            self.newest_ns = self.newest_ns.max(other.newest_ns);
        }
    }
}

/// How a stage does at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LagReport {
    /// Age of what waits, in seconds; 0 when nothing does.
    pub lag_seconds: f64,
    /// The longest lag of the last minute, in seconds.
    pub max_lag_seconds: f64,
    /// Events that came to the stage.
    pub produced: u64,
    /// Events that it is through with.
    pub consumed: u64,
    /// Events that wait.
    pub backlog: u64,
}

impl LagReport {
    /// Puts stages beside each other together: as far behind as the slowest.
    pub fn merge(&mut self, other: &Self) {
        self.lag_seconds = self.lag_seconds.max(other.lag_seconds);
        self.max_lag_seconds = self.max_lag_seconds.max(other.max_lag_seconds);
        self.produced += other.produced;
        self.consumed += other.consumed;
        self.backlog += other.backlog;
    }

    /// All of them together.
    #[must_use]
    pub fn sum<'a>(reports: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for report in reports {
            sum.merge(report);
        }
        sum
    }
}

/// Keeps a stage's account. Shared between those who fill it, empty it and ask.
#[derive(Debug, Default)]
pub struct StageLag {
    produced: AtomicU64,
    consumed: AtomicU64,
    lost: AtomicU64,
    /// Whatever waits has not happened before this.
    reached_ns: AtomicU64,
    peaks: Peaks,
}

impl StageLag {
    /// Events come to the stage. To be told before the stage can see them, or
    /// there would be more consumed than produced for a moment.
    pub fn produced(&self, batch: &Batch) {
        let before = self.produced.fetch_add(batch.count, Ordering::AcqRel);
        // Nothing waited: what came before these is through, however long ago.
        if before <= self.done() {
            self.reached_ns
                .fetch_max(batch.oldest_ns, Ordering::Relaxed);
        }
    }

    /// Events are through.
    pub fn consumed(&self, batch: &Batch, now_ns: u64) {
        if batch.count == 0 {
            return;
        }
        self.peaks
            .note(now_ns.saturating_sub(batch.oldest_ns), now_ns);
        // An event from the future must not hide what waits.
        let reached_ns = batch.newest_ns.min(now_ns);
        self.reached_ns.fetch_max(reached_ns, Ordering::Relaxed);
        self.consumed.fetch_add(batch.count, Ordering::Release);
    }

    /// Events were given up on: they wait no more, and are not through.
    pub fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Release);
    }

    /// Events that it is through with so far.
    #[must_use]
    pub fn consumed_so_far(&self) -> u64 {
        self.consumed.load(Ordering::Acquire)
    }

    /// How the stage does.
    #[must_use]
    pub fn report(&self, now_ns: u64) -> LagReport {
        // In this order, so that nothing is done that has not come.
        let done = self.done();
        let produced = self.produced.load(Ordering::Acquire);
        let backlog = produced.saturating_sub(done);
        let reached_ns = self.reached_ns.load(Ordering::Relaxed);
        self.report_of(produced, backlog, Some(reached_ns), now_ns)
    }

    /// The same of a stage that is filled by somebody who does not tell, but
    /// leaves to be seen how many events came, how many wait, and when the oldest
    /// of them happened.
    #[must_use]
    pub fn report_of(
        &self,
        produced: u64,
        backlog: u64,
        oldest_ns: Option<u64>,
        now_ns: u64,
    ) -> LagReport {
        let oldest_ns = oldest_ns.filter(|_| backlog > 0);
        let lag_ns = oldest_ns.map_or(0, |oldest| now_ns.saturating_sub(oldest));
        LagReport {
            lag_seconds: seconds(lag_ns),
            max_lag_seconds: seconds(self.peaks.max(now_ns).max(lag_ns)),
            produced,
            // Some of these may have come since `produced` was looked at.
            consumed: self.consumed_so_far().min(produced),
            backlog,
        }
    }

    fn done(&self) -> u64 {
        self.consumed_so_far() + self.lost.load(Ordering::Acquire)
    }
}

/// The longest of some span of time, as a lag or a pause, in each of the last
/// periods of 10 s; together they cover the last minute at least, and 70 s at most.
///
/// A word holds the number of its period above the span in microseconds, so that
/// one `max` starts a new period as well as it raises the present one. There is
/// room for the periods of 85 years and a span of 19 hours, which a longer one
/// counts as.
#[derive(Debug, Default)]
pub struct Peaks([AtomicU64; 7]);

impl Peaks {
    const PERIOD_NS: u64 = 10_000_000_000;
    const SPAN_BITS: u32 = 36;
    const LONGEST: u64 = (1 << Self::SPAN_BITS) - 1;

    /// Notes one, in ns.
    pub fn note(&self, span_ns: u64, now_ns: u64) {
        let period = now_ns / Self::PERIOD_NS;
        let span = (span_ns / 1_000).min(Self::LONGEST);
        let place = (period % self.0.len() as u64) as usize;
        if let Some(peak) = self.0.get(place) {
            peak.fetch_max(period << Self::SPAN_BITS | span, Ordering::Relaxed);
        }
    }

    /// The longest of the last minute, in ns.
    #[must_use]
    pub fn max(&self, now_ns: u64) -> u64 {
        let current = now_ns / Self::PERIOD_NS;
        let words = self.0.iter().map(|peak| peak.load(Ordering::Relaxed));
        let recent = words.filter(|word| (word >> Self::SPAN_BITS) + self.0.len() as u64 > current);
        recent.map(|word| word & Self::LONGEST).max().unwrap_or(0) * 1_000
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    /// When the tests happen: the machine has run for a while.
    const START: u64 = 1_000 * S;

    fn at(seconds: u64) -> u64 {
        START + seconds * S
    }

    #[test]
    fn a_stage_that_never_saw_anything_has_no_lag() {
        assert_eq!(StageLag::default().report(at(0)), LagReport::default());
    }

    #[test]
    fn idle_is_not_lag() {
        let stage = StageLag::default();
        stage.produced(&Batch::one(at(0)));
        stage.consumed(&Batch::one(at(0)), at(0));
        let hours = stage.report(at(7200));
        assert_eq!((hours.lag_seconds, hours.max_lag_seconds), (0.0, 0.0));
        // The first event after hours is as old as itself.
        stage.produced(&Batch::one(at(7200)));
        assert_eq!(stage.report(at(7201)).lag_seconds, 1.0);
    }

    #[test]
    fn lag_grows_while_a_stage_hangs() {
        let stage = StageLag::default();
        stage.produced(&Batch::new(3, at(0), at(2)));
        for (now, lag) in [(2, 2.0), (3, 3.0), (60, 60.0), (3600, 3600.0)] {
            let report = stage.report(at(now));
            assert_eq!(report.lag_seconds, lag, "at {now}");
            assert_eq!(report.max_lag_seconds, lag, "at {now}");
            assert_eq!((report.produced, report.consumed), (3, 0));
            assert_eq!(report.backlog, 3);
        }
    }

    #[test]
    fn lag_is_that_of_what_still_waits() {
        let stage = StageLag::default();
        for second in 0..4 {
            stage.produced(&Batch::one(at(second)));
        }
        stage.consumed(&Batch::new(3, at(0), at(2)), at(10));
        let report = stage.report(at(10));
        // The fourth happened after the third, at second 2.
        assert_eq!(report.lag_seconds, 8.0);
        assert_eq!(report.max_lag_seconds, 10.0);
        assert_eq!(
            (report.produced, report.consumed, report.backlog),
            (4, 3, 1)
        );
    }

    #[test]
    fn what_is_lost_waits_no_more_and_is_not_consumed() {
        let stage = StageLag::default();
        stage.produced(&Batch::new(10, at(0), at(1)));
        stage.lost(7);
        stage.consumed(&Batch::new(3, at(0), at(1)), at(1));
        let report = stage.report(at(9));
        assert_eq!(
            (report.produced, report.consumed, report.backlog),
            (10, 3, 0)
        );
        assert_eq!(report.lag_seconds, 0.0);
    }

    #[test]
    fn a_peak_is_seen_for_a_minute_and_not_much_longer() {
        for start in [0, 1, 5, 9] {
            let stage = StageLag::default();
            stage.consumed(&Batch::one(at(start)), at(start + 5));
            for age in 0..=60 {
                stage.consumed(&Batch::one(at(start + 5 + age)), at(start + 5 + age));
                let report = stage.report(at(start + 5 + age));
                assert_eq!(report.max_lag_seconds, 5.0, "after {age} s");
            }
            let report = stage.report(at(start + 5 + 70));
            assert_eq!(report.max_lag_seconds, 0.0);
        }
    }

    #[test]
    fn the_largest_peak_of_the_minute_counts_whatever_follows() {
        let stage = StageLag::default();
        for (now, lag) in [(10, 1), (11, 4), (12, 2), (30, 3)] {
            stage.consumed(&Batch::one(at(now - lag)), at(now));
        }
        for (now, max) in [(30, 4.0), (71, 4.0), (80, 3.0), (90, 3.0), (110, 0.0)] {
            assert_eq!(stage.report(at(now)).max_lag_seconds, max, "at {now}");
        }
    }

    /// Events of several CPUs come out of order, and one may be stamped after
    /// the look at the clock.
    #[test]
    fn events_out_of_order_and_ahead_do_no_harm() {
        let stage = StageLag::default();
        stage.produced(&Batch::new(3, at(10), at(10)));
        stage.consumed(&Batch::one(at(100)), at(11));
        stage.consumed(&Batch::one(at(5)), at(11));
        let report = stage.report(at(13));
        assert_eq!(report.max_lag_seconds, 6.0);
        assert_eq!(report.lag_seconds, 2.0, "since the clock's 11, not 100");
        assert_eq!(
            stage.report(at(1)).lag_seconds,
            0.0,
            "asked with an old time"
        );
    }

    /// The wall clock plays no part: the same events with the same monotonic
    /// times give the same report, whatever day it was set to in between.
    #[test]
    fn nothing_but_the_given_times_counts() {
        let run = |offset: u64| {
            let stage = StageLag::default();
            stage.produced(&Batch::new(2, at(offset), at(offset + 1)));
            stage.consumed(&Batch::one(at(offset)), at(offset + 3));
            stage.report(at(offset + 4))
        };
        assert_eq!(run(0), run(3_600_000));
    }

    #[test]
    fn a_lag_beyond_measure_is_a_large_one() {
        let stage = StageLag::default();
        let years = at(80 * 365 * 86_400);
        stage.consumed(&Batch::one(0), years);
        let max = stage.report(years).max_lag_seconds;
        assert!(max > 19.0 * 3600.0 && max < 20.0 * 3600.0, "{max}");
    }

    #[test]
    fn batches_add_up_from_the_oldest_to_the_newest() {
        let mut batch = Batch::default();
        for other in [
            Batch::default(),
            Batch::new(2, 5, 7),
            Batch::new(3, 4, 6),
            Batch::default(),
        ] {
            batch.add(&other);
        }
        assert_eq!(batch, Batch::new(5, 4, 7));
    }

    #[test]
    fn stages_beside_each_other_are_as_far_behind_as_the_slowest() {
        let report = |lag_seconds, max_lag_seconds, produced| LagReport {
            lag_seconds,
            max_lag_seconds,
            produced,
            consumed: 1,
            backlog: produced - 1,
        };
        let sum = LagReport::sum(&[report(1.0, 2.0, 5), report(0.5, 3.0, 2)]);
        let expected = LagReport {
            lag_seconds: 1.0,
            max_lag_seconds: 3.0,
            produced: 7,
            consumed: 2,
            backlog: 5,
        };
        assert_eq!(sum, expected);
    }
}
