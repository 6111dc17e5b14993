//! An interface's timestamps in pcapng, whose unit and zero each file chooses.

const NANOSECONDS: i128 = 1_000_000_000;

/// Turns an interface's ticks into time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    offset_seconds: i64,
}

/// How many nanoseconds a tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Times(u64),
    DividedBy(u64),
    /// A second divided by this power of two.
    SecondShifted(u32),
}

impl Default for Clock {
    /// Microseconds since the Unix epoch, when an interface has no options.
    fn default() -> Self {
        Self {
            unit: Unit::Times(1000),
            offset_seconds: 0,
        }
    }
}

impl Clock {
    /// `if_tsresol`: a negative power of 10, or with the uppermost bit set, of 2.
    pub(super) fn set_resolution(&mut self, if_tsresol: u8) {
        let exponent = u32::from(if_tsresol & 0x7f);
        self.unit = match if_tsresol {
            0x80.. => Unit::SecondShifted(exponent),
            0..=9 => Unit::Times(10_u64.pow(9 - exponent)),
            // Where the divisor exceeds 64 bits, so does it any tick count.
            10..0x80 => 10_u64
                .checked_pow(exponent - 9)
                .map_or(Unit::Times(0), Unit::DividedBy),
        };
    }

    /// `if_tsoffset`: "an offset (in seconds) that must be added to the timestamp
    /// of each packet to obtain the absolute timestamp of a packet".
    pub(super) fn set_offset(&mut self, seconds: i64) {
        self.offset_seconds = seconds;
    }

    /// Nanoseconds since the Unix epoch; times before it, or after the year
    /// 2554, are those limits.
    pub(super) fn nanoseconds(self, ticks: u64) -> u64 {
        // None of these leaves 128 bits: ticks, factor and offset have 64 each,
        // signs included, a second's nanoseconds 30.
        let since_offset = match self.unit {
            Unit::Times(factor) => i128::from(ticks) * i128::from(factor),
            Unit::DividedBy(divisor) => i128::from(ticks / divisor),
            Unit::SecondShifted(exponent) => (i128::from(ticks) * NANOSECONDS) >> exponent,
        };
        let time = since_offset + i128::from(self.offset_seconds) * NANOSECONDS;
        u64::try_from(time.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Clock;

    fn clock(if_tsresol: u8, offset_seconds: i64) -> Clock {
        let mut clock = Clock::default();
        clock.set_resolution(if_tsresol);
        clock.set_offset(offset_seconds);
        clock
    }

    #[test]
    fn ticks_are_microseconds_by_default() {
        assert_eq!(Clock::default().nanoseconds(1_500_000), 1_500_000_000);
    }

    #[test]
    fn every_resolution_gives_the_same_time() {
        // (name, if_tsresol, ticks of one and a half seconds)
        let table = [
            ("tenths", 1, 15),
            ("milliseconds", 3, 1500),
            ("microseconds", 6, 1_500_000),
            ("nanoseconds", 9, 1_500_000_000),
            ("picoseconds", 12, 1_500_000_000_000),
            ("halves", 0x81, 3),
            ("1024ths", 0x8a, 1536),
            ("2^-32, as of NTP", 0xa0, 0x1_8000_0000),
            ("2^-62", 0xbe, 3 << 61),
        ];
        for (name, if_tsresol, ticks) in table {
            let time = clock(if_tsresol, 0).nanoseconds(ticks);
            assert_eq!(time, 1_500_000_000, "{name}");
        }
    }

    #[test]
    fn the_offset_is_added_in_seconds() {
        assert_eq!(clock(0, 1_000).nanoseconds(7), 1_007_000_000_000);
        assert_eq!(clock(9, -1).nanoseconds(1_000_000_005), 5);
    }

    #[test]
    fn times_beyond_64_bits_are_the_limit() {
        assert_eq!(clock(0, 0).nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(clock(0x80, 0).nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(clock(0, i64::MAX).nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(clock(9, -2).nanoseconds(1_000_000_000), 0);
        assert_eq!(clock(0, i64::MIN).nanoseconds(0), 0);
    }

    #[test]
    fn the_finest_resolutions_round_down_to_zero() {
        assert_eq!(clock(28, 0).nanoseconds(u64::MAX), 1);
        assert_eq!(clock(29, 0).nanoseconds(u64::MAX), 0);
        assert_eq!(clock(127, 0).nanoseconds(u64::MAX), 0);
        assert_eq!(clock(0xff, 0).nanoseconds(u64::MAX), 0);
    }

    proptest! {
        #[test]
        fn a_clock_never_overflows_nor_runs_backwards(
            if_tsresol: u8, offset: i64, ticks in 0..u64::MAX,
        ) {
            let clock = clock(if_tsresol, offset);
            prop_assert!(clock.nanoseconds(ticks) <= clock.nanoseconds(ticks + 1));
        }
    }
}
