//! How much of the traffic a drain thread takes in detail, and how much of a CPU
//! it takes for that.
//!
//! The kernel programs sample by the fill of their ring, at once. What they
//! decide is held here, so that the level does not swing with every batch: a ring
//! that came to a level is kept near it for a while, by a floor, which is lowered
//! only when twice its records would fit, into the ring and into the thread's time. And where the configuration gives the
//! drain a share of a CPU only, a thread sleeps when its share is used up; the
//! rings fill meanwhile, and the programs sample what does not fit.

use std::time::Duration;

/// How long a floor stays at least.
const HOLD_NS: u64 = 250_000_000;
/// The floor is lowered while the ring is never fuller than that: twice as much
/// still is less than half, where the programs raise the level.
const LOW_FILL: f64 = 1.0 / 5.0;
/// A floor is lowered while the thread would take no more of its budget than that.
const MOST_USE: f64 = 0.9;
/// So much time of the budget can be saved up.
const SAVED: Duration = Duration::from_millis(50);

/// The floor of one ring.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    level: u8,
    /// The last look found the program above the floor.
    is_exceeded: bool,
    /// Fullest since the last judgement.
    fill: f64,
    /// What was read of it since then, in rings full.
    read: f64,
}

/// A thread's.
#[derive(Debug)]
pub(super) struct Governor {
    /// CPUs that the thread may keep busy; 1 is all that it can.
    budget: f64,
    floors: Vec<Floor>,
    /// When floors were judged last, and the thread's CPU time then.
    judged: Option<Moment>,
    last: Option<Moment>,
    /// CPU time that is left of the budget, in ns; below 0, it is overdrawn.
    left_ns: f64,
}

/// The time, and the thread's CPU time, in ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now_ns: u64,
    pub(super) processor_ns: u64,
}

impl Moment {
    /// The time, and the share of it on a CPU, since an earlier one.
    const fn since(self, earlier: Self) -> (u64, u64) {
        (
            self.now_ns.saturating_sub(earlier.now_ns),
            self.processor_ns.saturating_sub(earlier.processor_ns),
        )
    }
}

impl Governor {
    /// Of so many rings; `budget` CPUs may be kept busy.
    pub(super) fn new(rings: usize, budget: f64) -> Self {
        Self {
            budget: budget.clamp(0.001, 1.0),
            floors: vec![Floor::default(); rings],
            judged: None,
            last: None,
            left_ns: 0.0,
        }
    }

    /// Notes how full a ring was at a look, and the level that its program had
    /// come to with the last message. The ring's new floor, when it is another.
    pub(super) fn seen(&mut self, ring: usize, fill: f64, level: u8) -> Option<u8> {
        let floor = self.floors.get_mut(ring)?;
        floor.fill = floor.fill.max(fill);
        floor.read += fill;
        // An empty ring tells of an older look.
        let is_exceeded = fill > 0.0 && level > floor.level;
        let was_exceeded = std::mem::replace(&mut floor.is_exceeded, is_exceeded);
        // A single look that came late does not coarsen what follows: it takes two
        // in a row to raise the floor by one.
        if !(is_exceeded && was_exceeded) {
            return None;
        }
        floor.is_exceeded = false;
        floor.level += 1;
        Some(floor.level)
    }

    /// Whether there is nothing to judge, and no budget to keep: the time on the CPU,
    /// which takes a call of the kernel, need not be asked for.
    pub(super) fn is_idle(&mut self) -> bool {
        let is_idle = self.budget >= 1.0 && self.floors.iter().all(|floor| floor.level == 0);
        if is_idle {
            (self.judged, self.last) = (None, None);
        }
        is_idle
    }

    /// Judges all floors, after a look: the rings whose floor is another now.
    pub(super) fn judge(&mut self, now: Moment) -> Vec<(usize, u8)> {
        let Some(judged) = self.judged else {
            self.judged = Some(now);
            return Vec::new();
        };
        let (elapsed, busy) = now.since(judged);
        if elapsed < HOLD_NS {
            return Vec::new();
        }
        self.judged = Some(now);
        let most = elapsed as f64 * self.budget * MOST_USE;
        let read: f64 = self.floors.iter().map(|floor| floor.read).sum();
        let per_read = if read > 0.0 { busy as f64 / read } else { 0.0 };
        let mut expected = busy as f64;
        let mut lowered = Vec::new();
        for (place, floor) in self.floors.iter_mut().enumerate() {
            // One level less is twice the records.
            let added = floor.read * per_read;
            if floor.level > 0 && floor.fill < LOW_FILL && expected + added <= most {
                expected += added;
                floor.level -= 1;
                lowered.push((place, floor.level));
            }
            (floor.fill, floor.read) = (0.0, 0.0);
        }
        lowered
    }

    /// How long to sleep at least after a look, to stay within the budget.
    pub(super) fn pause(&mut self, now: Moment) -> Duration {
        let last = self.last.replace(now).unwrap_or(now);
        let (elapsed, busy) = now.since(last);
        let most = SAVED.as_nanos() as f64 * self.budget;
        self.left_ns = (self.left_ns + elapsed as f64 * self.budget - busy as f64).min(most);
        if self.budget >= 1.0 || self.left_ns >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_nanos((-self.left_ns / self.budget) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn floors(governor: &Governor) -> Vec<u8> {
        governor.floors.iter().map(|floor| floor.level).collect()
    }

    const fn at(now_ms: u64, processor_ms: u64) -> Moment {
        Moment {
            now_ns: now_ms * MS,
            processor_ns: processor_ms * MS,
        }
    }

    #[test]
    fn floor_follows_the_level_step_by_step() {
        let mut governor = Governor::new(2, 1.0);
        for (fill, level, expected) in [
            (0.9, 7, None),
            (0.9, 7, Some(1)),
            (0.7, 4, None),
            (0.6, 3, Some(2)),
            (0.5, 2, None),
            (0.5, 2, None),
        ] {
            assert_eq!(governor.seen(0, fill, level), expected, "{fill} {level}");
        }
        assert_eq!(floors(&governor), [2, 0]);
    }

    #[test]
    fn a_look_that_comes_late_raises_nothing() {
        let mut governor = Governor::new(1, 1.0);
        for _ in 0..3 {
            assert_eq!(governor.seen(0, 0.9, 7), None);
            assert_eq!(governor.seen(0, 0.1, 0), None);
        }
        assert_eq!(floors(&governor), [0]);
    }

    #[test]
    fn an_empty_ring_raises_nothing() {
        let mut governor = Governor::new(1, 1.0);
        assert_eq!(governor.seen(0, 0.0, 8), None);
        assert_eq!(governor.seen(0, 0.0, 8), None);
        assert_eq!(floors(&governor), [0]);
    }

    /// Floor 1 at the time 0; then a quarter of a second with such a fill and so
    /// many ms on the CPU.
    fn judged(budget: f64, fill: f64, processor_ms: u64) -> u8 {
        let mut governor = Governor::new(1, budget);
        governor.judge(at(0, 0));
        governor.seen(0, 0.6, 1);
        governor.seen(0, 0.6, 1);
        governor.judge(at(250, 0));
        governor.seen(0, fill, 1);
        governor.judge(at(499, processor_ms));
        assert_eq!(floors(&governor), [1], "too early to judge");
        governor.judge(at(500, processor_ms));
        floors(&governor)[0]
    }

    #[test]
    fn floor_is_lowered_when_twice_the_records_would_fit() {
        for (name, budget, fill, processor_ms, expected) in [
            ("quiet", 1.0, 0.01, 10, 0),
            ("idle", 1.0, 0.0, 0, 0),
            ("of nobody's work", 1.0, 0.0, 130, 0),
            ("filling", 1.0, 0.25, 10, 1),
            ("busy", 1.0, 0.01, 130, 1),
            ("just idle enough", 1.0, 0.01, 110, 0),
            ("busy for its budget", 0.1, 0.01, 20, 1),
            ("within its budget", 0.1, 0.01, 10, 0),
        ] {
            assert_eq!(judged(budget, fill, processor_ms), expected, "{name}");
        }
    }

    #[test]
    fn what_was_before_it_was_idle_is_not_judged() {
        let mut governor = Governor::new(1, 1.0);
        governor.judge(at(0, 0));
        assert!(governor.is_idle());
        governor.seen(0, 0.6, 1);
        governor.seen(0, 0.6, 1);
        assert!(!governor.is_idle());
        assert!(governor.judge(at(10_000, 200)).is_empty());
        governor.seen(0, 0.3, 1);
        governor.judge(at(10_250, 400));
        assert_eq!(floors(&governor), [1], "busy since then");
        assert!(!Governor::new(1, 0.5).is_idle(), "a budget is kept");
    }

    #[test]
    fn floor_goes_by_the_work_of_its_own_ring() {
        for (name, fill, others, expected) in [
            ("a trickle beside much", 0.01, 0.09, 0),
            ("half of the work", 0.05, 0.05, 1),
            ("most of it", 0.09, 0.01, 1),
        ] {
            let mut governor = Governor::new(2, 1.0);
            governor.judge(at(0, 0));
            governor.seen(0, 0.6, 1);
            governor.seen(0, 0.6, 1);
            governor.judge(at(250, 0));
            governor.seen(0, fill, 1);
            governor.seen(1, others, 0);
            // 70 % of the time.
            governor.judge(at(500, 175));
            assert_eq!(floors(&governor), [expected, 0], "{name}");
        }
    }

    #[test]
    fn budget_is_kept_by_sleeping() {
        let mut governor = Governor::new(1, 0.1);
        assert_eq!(governor.pause(at(0, 0)), Duration::ZERO);
        // 1 ms of 10: exactly what it may.
        assert_eq!(governor.pause(at(10, 1)), Duration::ZERO);
        // 5 ms of 10 are 4 too much, which takes 40 ms.
        assert_eq!(governor.pause(at(20, 6)), Duration::from_millis(40));
        assert_eq!(governor.pause(at(60, 6)), Duration::ZERO);
        // 5 ms can be saved up at most.
        assert_eq!(governor.pause(at(100_000, 6)), Duration::ZERO);
        assert_eq!(governor.pause(at(100_000, 12)), Duration::from_millis(10));
    }

    #[test]
    fn without_a_budget_there_is_no_pause() {
        let mut governor = Governor::new(1, 1.0);
        governor.pause(at(0, 0));
        assert_eq!(governor.pause(at(1, 1)), Duration::ZERO);
        assert_eq!(governor.pause(at(1, 9)), Duration::ZERO);
    }
}
