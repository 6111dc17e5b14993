//! How many transactions the stream takes: as many as are wanted, whatever comes.
//!
//! The share halves as soon as there are too many, by as much as the rate so far
//! calls for, and at once when a queue fills. It doubles one step at a time, after
//! two seconds in which twice as many would have been well below the bound: a
//! rate that lies on the bound does not make it swing.

use crate::stats::choice::MAX_THINNING;

const SECOND_NS: u64 = 1_000_000_000;
/// A rate is not judged by less than this.
const LEAST_NS: u64 = SECOND_NS / 20;
/// A queue that stays full calls for another step after so long.
const CROWDED_NS: u64 = SECOND_NS / 10;
/// So many quiet seconds before the share doubles.
const QUIET_SECONDS: u8 = 2;

/// The share that is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    max_rate: u64,
    thinning: u8,
    since_ns: u64,
    queries: u64,
    responses: u64,
    quiet: u8,
    narrowed_ns: u64,
}

/// What was taken in a turn, with the present thinning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) queries: u64,
    pub(super) responses: u64,
}

impl Sampling {
    /// At most so many exchanges per second.
    pub(super) const fn new(max_rate: u64) -> Self {
        Self {
            max_rate,
            thinning: 0,
            since_ns: 0,
            queries: 0,
            responses: 0,
            quiet: 0,
            narrowed_ns: 0,
        }
    }

    /// One transaction in 2 to this is taken.
    pub(super) const fn thinning(&self) -> u8 {
        self.thinning
    }

    /// Counting begins anew, after nothing was taken for a while.
    pub(super) const fn restart(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        self.queries = 0;
        self.responses = 0;
        self.quiet = 0;
    }

    /// Takes the turn's messages in.
    pub(super) fn turn(&mut self, taken: Taken, is_crowded: bool, now_ns: u64) {
        self.queries += taken.queries;
        self.responses += taken.responses;
        let elapsed_ns = now_ns.saturating_sub(self.since_ns);
        let exchanges = self.queries.max(self.responses);
        if is_crowded && now_ns.saturating_sub(self.narrowed_ns) >= CROWDED_NS {
            self.narrow(1, now_ns);
        } else if exchanges > self.max_rate {
            let rate = per_second(exchanges, elapsed_ns.max(LEAST_NS));
            self.narrow(steps(rate, self.max_rate), now_ns);
        } else if elapsed_ns >= SECOND_NS {
            self.settle(per_second(exchanges, elapsed_ns), now_ns);
        }
    }

    fn narrow(&mut self, steps: u8, now_ns: u64) {
        self.thinning = self.thinning.saturating_add(steps).min(MAX_THINNING);
        self.narrowed_ns = now_ns;
        self.restart(now_ns);
    }

    /// A second is over in which there were not too many.
    fn settle(&mut self, rate: u64, now_ns: u64) {
        // Twice as many would be at most four fifths of what may be.
        let is_quiet = rate * 5 <= self.max_rate * 2;
        let quiet = if is_quiet { self.quiet + 1 } else { 0 };
        self.restart(now_ns);
        if quiet >= QUIET_SECONDS {
            self.thinning = self.thinning.saturating_sub(1);
        } else {
            self.quiet = quiet;
        }
    }
}

fn per_second(count: u64, ns: u64) -> u64 {
    let rate = u128::from(count) * u128::from(SECOND_NS) / u128::from(ns.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// How often a rate is to be halved, at least once, until it is within the bound.
fn steps(rate: u64, bound: u64) -> u8 {
    let times = rate.div_ceil(bound.max(1)).max(2);
    times.next_power_of_two().trailing_zeros() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Lets `rate` transactions per second come for so many seconds, in turns of
    /// 10 ms; the exchanges taken in each second.
    fn run(sampling: &mut Sampling, start: u64, rate: u64, seconds: u64) -> Vec<u64> {
        let mut taken = vec![0; seconds as usize];
        for turn in 0..seconds * 100 {
            let come = rate / 100;
            let exchanges = come >> sampling.thinning();
            taken[(turn / 100) as usize] += exchanges;
            let messages = Taken {
                queries: exchanges,
                responses: exchanges,
            };
            sampling.turn(messages, false, start + (turn + 1) * 10 * MS);
        }
        taken
    }

    #[test]
    fn a_flood_is_thinned_within_the_first_second_and_stays_so() {
        let mut sampling = Sampling::new(5_000);
        let taken = run(&mut sampling, 0, 1_000_000, 20);
        assert!(taken[0] <= 20_000, "{taken:?}");
        for second in &taken[1..] {
            assert!(*second <= 5_100, "{taken:?}");
        }
        // 1 in 256 of a million is 3906.
        assert_eq!(sampling.thinning(), 8);
    }

    #[test]
    fn few_are_all_taken() {
        let mut sampling = Sampling::new(5_000);
        assert_eq!(run(&mut sampling, 0, 4_900, 5), [4_900; 5]);
        assert_eq!(sampling.thinning(), 0);
    }

    #[test]
    fn the_share_comes_back_when_the_flood_is_over() {
        let mut sampling = Sampling::new(5_000);
        run(&mut sampling, 0, 1_000_000, 5);
        run(&mut sampling, 5_000 * MS, 1_000, 20);
        assert_eq!(sampling.thinning(), 0);
    }

    #[test]
    fn a_rate_near_the_bound_does_not_make_it_swing() {
        for rate in [4_100, 5_000, 6_000, 8_000, 9_900, 20_000] {
            let mut sampling = Sampling::new(5_000);
            run(&mut sampling, 0, rate, 5);
            let settled = sampling.thinning();
            let mut start = 5_000 * MS;
            for _ in 0..20 {
                run(&mut sampling, start, rate, 1);
                start += 1_000 * MS;
                assert_eq!(sampling.thinning(), settled, "at {rate}/s");
            }
        }
    }

    #[test]
    fn a_crowded_queue_narrows_at_once_but_not_again_at_once() {
        let mut sampling = Sampling::new(5_000);
        let none = Taken::default();
        sampling.turn(none, true, 1_000 * MS);
        assert_eq!(sampling.thinning(), 1);
        sampling.turn(none, true, 1_010 * MS);
        assert_eq!(sampling.thinning(), 1);
        sampling.turn(none, true, 1_100 * MS);
        assert_eq!(sampling.thinning(), 2);
    }

    #[test]
    fn there_is_an_end_to_thinning() {
        let mut sampling = Sampling::new(10);
        for second in 0..100 {
            let flood = Taken {
                queries: u64::from(u32::MAX),
                responses: 0,
            };
            sampling.turn(flood, true, second * 1_000 * MS);
        }
        assert_eq!(sampling.thinning(), MAX_THINNING);
    }
}
