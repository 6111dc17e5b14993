//! A circuit breaker: whoever fails again and again is left alone for a while.
//!
//! It has no clock and asks nobody: time is told with each call, so the same code
//! guards the resolver and the shared cache, and tests need not wait.

use std::time::Duration;

use tokio::time::Instant;

/// How long a trial may last before the next one is let through.
const TRIAL: Duration = Duration::from_secs(60);

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Failures in a row that open it.
    pub(super) failures: u32,
    /// How long it is open at first; each trial that fails doubles it.
    pub(super) open_min: Duration,
    /// The longest that it is open.
    pub(super) open_max: Duration,
}

/// What a breaker does with those who come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// It lets them through.
    #[default]
    Closed,
    /// It sends them away.
    Open,
    /// It lets one through to see how that goes.
    HalfOpen,
}

impl BreakerState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The value of a label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Whether one may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes.
    Go,
    /// Not before then, or before the trial under way has ended.
    WaitUntil(Instant),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    Trial { until: Instant, pause: Duration },
}

/// A breaker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breaker {
    rules: Rules,
    phase: Phase,
    opened: u64,
}

impl Breaker {
    pub(super) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Closed { failures: 0 },
            opened: 0,
        }
    }

    /// Lets one through or not; of those that come once it was open long enough,
    /// one.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.would_admit(now);
        match self.phase {
            Phase::Open { pause, .. } | Phase::Trial { pause, .. }
                if admission == Admission::Go =>
            {
                let until = now + TRIAL;
                self.phase = Phase::Trial { until, pause };
            }
            Phase::Closed { .. } | Phase::Open { .. } | Phase::Trial { .. } => {}
        }
        admission
    }

    /// What [`Self::admit`] would say.
    pub(super) fn would_admit(&self, now: Instant) -> Admission {
        match self.phase {
            Phase::Open { until, .. } | Phase::Trial { until, .. } if now < until => {
                Admission::WaitUntil(until)
            }
            Phase::Closed { .. } | Phase::Open { .. } | Phase::Trial { .. } => Admission::Go,
        }
    }

    /// Whether it is of no use to come now.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed { .. } => false,
            Phase::Open { until, .. } => now < until,
            // The trial's end is near.
            Phase::Trial { .. } => false,
        }
    }

    /// Someone came through and was well received.
    pub(super) const fn succeeded(&mut self) {
        match self.phase {
            Phase::Closed { .. } | Phase::Trial { .. } => {
                self.phase = Phase::Closed { failures: 0 };
            }
            // One who left before it opened: only the trial tells how it is now.
            Phase::Open { .. } => {}
        }
    }

    /// Someone came through and failed.
    pub(super) fn failed(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed { failures } if failures + 1 < self.rules.failures => {
                let failures = failures + 1;
                self.phase = Phase::Closed { failures };
            }
            Phase::Closed { .. } => self.open(now, self.rules.open_min),
            Phase::Trial { pause, .. } => {
                self.open(now, pause.saturating_mul(2).min(self.rules.open_max));
            }
            // One who left before it opened.
            Phase::Open { .. } => {}
        }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until, .. } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::Trial { .. } => BreakerState::HalfOpen,
        }
    }

    /// Times that it opened.
    pub(super) const fn opened(&self) -> u64 {
        self.opened
    }

    fn open(&mut self, now: Instant, pause: Duration) {
        self.opened += 1;
        let until = now + pause;
        self.phase = Phase::Open { until, pause };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        failures: 3,
        open_min: Duration::from_secs(10),
        open_max: Duration::from_secs(35),
    };

    fn after_failures(count: u32, now: Instant) -> Breaker {
        let mut breaker = Breaker::new(RULES);
        for _ in 0..count {
            assert_eq!(breaker.admit(now), Admission::Go);
            breaker.failed(now);
        }
        breaker
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Instant::now();
        let mut breaker = after_failures(2, now);
        breaker.succeeded();
        breaker.failed(now);
        breaker.failed(now);
        assert_eq!(breaker.state(now), BreakerState::Closed);
        breaker.failed(now);
        assert_eq!(breaker.state(now), BreakerState::Open);
        assert!(breaker.refuses(now));
        assert_eq!(breaker.opened(), 1);
    }

    #[test]
    fn one_trial_goes_through_when_the_time_is_up() {
        let now = Instant::now();
        let mut breaker = after_failures(3, now);
        let up = now + seconds(10);
        assert_eq!(breaker.admit(up - seconds(1)), Admission::WaitUntil(up));
        assert!(!breaker.refuses(up), "one may come for the trial");
        assert_eq!(breaker.state(up), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(up), Admission::Go);
        assert_eq!(breaker.admit(up), Admission::WaitUntil(up + TRIAL));
        breaker.succeeded();
        assert_eq!(breaker.state(up), BreakerState::Closed);
        assert_eq!(breaker.admit(up), Admission::Go);
        assert_eq!(breaker.admit(up), Admission::Go);
    }

    #[test]
    fn trials_that_fail_double_the_time_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = after_failures(3, now);
        for pause in [10, 20, 35, 35] {
            assert_eq!(
                breaker.admit(now),
                Admission::WaitUntil(now + seconds(pause))
            );
            now += seconds(pause);
            assert_eq!(breaker.admit(now), Admission::Go);
            breaker.failed(now);
        }
        assert_eq!(breaker.opened(), 5);
        // A success brings the short time back.
        now += seconds(35);
        assert_eq!(breaker.admit(now), Admission::Go);
        breaker.succeeded();
        (0..3).for_each(|_| breaker.failed(now));
        assert_eq!(breaker.admit(now), Admission::WaitUntil(now + seconds(10)));
    }

    #[test]
    fn those_who_left_before_it_opened_change_nothing() {
        let now = Instant::now();
        let mut breaker = after_failures(3, now);
        breaker.succeeded();
        breaker.failed(now + seconds(9));
        assert_eq!(breaker.opened(), 1);
        assert_eq!(
            breaker.admit(now + seconds(9)),
            Admission::WaitUntil(now + seconds(10))
        );
    }

    #[test]
    fn a_trial_that_never_ends_does_not_keep_it_shut() {
        let now = Instant::now();
        let mut breaker = after_failures(3, now);
        let up = now + seconds(10);
        assert_eq!(breaker.admit(up), Admission::Go);
        assert_eq!(breaker.admit(up + TRIAL), Admission::Go);
    }
}
