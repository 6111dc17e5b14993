//! When a drain thread looks at its rings next.
//!
//! A look costs a wake-up, whatever it finds, and a wake-up costs as much as tens
//! of records. So a thread sleeps until its fullest ring should be a sixteenth
//! full: seldom under little load, often under much. Where it was filled of late, it
//! looks often for a while though it finds nothing, as traffic comes in bursts.

use std::time::Duration;

/// How full a ring should be at a look: far from the half where sampling starts,
/// and few enough lines to stay in a CPU's cache.
const WANTED_FILL: f64 = 1.0 / 16.0;
/// While there is load, the sleep is at most so many times the shortest: a sudden
/// flood must not find the thread asleep for long. In 8 ms the most that one CPU can
/// bring fills less than half of a ring of 4 MiB.
const LONGEST: u32 = 16;
/// A look that finds so much is of a burst, and so many looks that find nothing come
/// before there is no load: a quarter of a second.
const BURST_FILL: f64 = 1.0 / 8.0;
const CALM: u32 = 64;

/// The sleeps between looks.
#[derive(Debug)]
pub(super) struct Pace {
    shortest: Duration,
    longest: Duration,
    sleep: Duration,
    /// Looks that may find nothing still.
    alert: u32,
}

impl Pace {
    /// Sleeps from `shortest`, under load, to `longest`, when idle.
    pub(super) const fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            sleep: shortest,
            alert: 0,
        }
    }

    /// How long to sleep after a look that found the fullest ring so full, 0 to
    /// 1; the last look was so long before it.
    pub(super) fn next(&mut self, fill: f64, since_last: Duration) -> Duration {
        let twice = self.sleep * 2;
        let under_load = self.longest.min(self.shortest * LONGEST);
        if fill >= BURST_FILL {
            self.alert = CALM;
        }
        self.sleep = if fill > 0.0 {
            let until_wanted = since_last.as_secs_f64() * (WANTED_FILL / fill).min(2.0);
            let most = under_load.min(twice).max(self.shortest);
            Duration::from_secs_f64(until_wanted).clamp(self.shortest, most)
        } else if self.alert > 0 {
            self.alert -= 1;
            twice.min(under_load)
        } else {
            twice.min(self.longest)
        };
        self.sleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(microseconds: u64) -> Duration {
        Duration::from_micros(microseconds)
    }

    /// The sleep that comes of so many looks at rings that fill so much per
    /// second.
    fn settled(pace: &mut Pace, looks: u32, fill_per_second: f64) -> Duration {
        let mut sleep = us(500);
        for _ in 0..looks {
            sleep = pace.next(fill_per_second * sleep.as_secs_f64(), sleep);
        }
        sleep
    }

    #[test]
    fn sleeps_by_how_fast_the_rings_fill() {
        let pace = || Pace::new(us(500), us(20_000));
        for (fill_per_second, expected) in [
            (0.0, us(20_000)),
            // A trickle: sixteen times the shortest.
            (0.1, us(8_000)),
            (6.0, us(8_000)),
            // A sixteenth within 2 ms.
            (31.25, us(2_000)),
            (62.5, us(1_000)),
            (1_000.0, us(500)),
        ] {
            let sleep = settled(&mut pace(), 20, fill_per_second);
            let off = sleep.abs_diff(expected);
            assert!(off < us(20), "{fill_per_second}/s: {sleep:?}");
        }
    }

    #[test]
    fn between_bursts_it_looks_often() {
        let mut pace = Pace::new(us(500), us(20_000));
        pace.next(BURST_FILL, us(500));
        for _ in 0..CALM {
            assert!(pace.next(0.0, us(8_000)) <= us(8_000));
        }
        assert_eq!(pace.next(0.0, us(8_000)), us(16_000), "it is over");
        pace.next(BURST_FILL / 2.0, us(500));
        assert_eq!(settled(&mut pace, 20, 0.0), us(20_000), "a trickle is none");
    }

    #[test]
    fn a_flood_after_idleness_is_met_at_the_next_look() {
        let mut pace = Pace::new(us(500), us(20_000));
        settled(&mut pace, 20, 0.0);
        assert_eq!(pace.next(0.4, us(20_000)), us(3_125));
        assert_eq!(pace.next(1.0, us(3_125)), us(500));
    }

    #[test]
    fn bounds_that_are_equal_are_kept() {
        let mut pace = Pace::new(us(1_000_000), us(1_000_000));
        for fill in [0.0, 0.001, 1.0] {
            assert_eq!(pace.next(fill, us(1_000_000)), us(1_000_000));
        }
    }
}
