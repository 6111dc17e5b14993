//! Where a capture is cut into DSC's files: by the time of its packets.
//!
//! DSC counts a packet first and then looks whether it ended the interval, so
//! that the first packet at or behind the boundary is in the earlier file. After
//! a pause of many intervals it goes on by one interval per packet until it has
//! caught up. [`Cut::Dsc`] does the same; [`Cut::Exact`] puts each packet into
//! the interval of its time, and leaves out intervals without packets.

use std::{mem, num::NonZeroU32};

/// Which packets belong to an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Those of its time.
    Exact,
    /// Those that DSC counts in it.
    Dsc,
}

/// The times that a file of DSC bears, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The boundary where it begins; of the first one, the first packet.
    pub start: i64,
    /// The boundary where it ends; of the last one, the last packet. It is the
    /// file's name, too.
    pub stop: i64,
}

/// What a packet means to the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is counted, and nothing more.
    Within,
    /// This interval has ended before it: it is counted in the next one.
    Before(Span),
    /// This interval ends with it: it is the last one counted.
    After(Span),
}

/// Cuts a capture.
#[derive(Clone, Debug)]
pub struct Intervals {
    length: i64,
    cut: Cut,
    /// From where to where the open one goes; none before the first packet.
    open: Option<Span>,
    last: i64,
}

impl Intervals {
    /// Intervals of so many seconds.
    #[must_use]
    pub fn new(length: NonZeroU32, cut: Cut) -> Self {
        Self {
            length: i64::from(length.get()),
            cut,
            open: None,
            last: 0,
        }
    }

    /// Takes the time of a packet, in ns since the Unix epoch. A packet that is
    /// earlier than the one before belongs to the open interval.
    pub fn packet(&mut self, time_ns: u64) -> Step {
        let now = i64::try_from(time_ns / 1_000_000_000).unwrap_or(i64::MAX);
        self.last = now;
        let first = Span {
            start: now,
            stop: self.boundary_behind(now),
        };
        let open = *self.open.get_or_insert(first);
        if now < open.stop {
            return Step::Within;
        }
        match self.cut {
            Cut::Exact => {
                let stop = self.boundary_behind(now);
                let start = stop - self.length;
                self.open = Some(Span { start, stop });
                Step::Before(open)
            }
            Cut::Dsc => {
                self.open = Some(Span {
                    start: open.stop,
                    stop: open.stop.saturating_add(self.length),
                });
                Step::After(open)
            }
        }
    }

    /// The interval that the capture's end cuts off; none without packets.
    ///
    /// With [`Cut::Dsc`] it may hold no packet; DSC writes it nevertheless, and
    /// where `stop` is that of the file before, over it.
    pub fn finish(&mut self) -> Option<Span> {
        let open = mem::take(&mut self.open)?;
        Some(Span {
            stop: self.last,
            ..open
        })
    }

    fn boundary_behind(&self, time: i64) -> i64 {
        (time / self.length)
            .saturating_add(1)
            .saturating_mul(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

    /// Files as `start..stop: packets` of packets at these seconds.
    fn files(cut: Cut, seconds: &[u64]) -> Vec<(i64, i64, usize)> {
        let mut intervals = Intervals::new(MINUTE, cut);
        let (mut files, mut packets) = (Vec::new(), 0);
        for second in seconds {
            match intervals.packet(second * 1_000_000_000 + 999_999_999) {
                Step::Within => packets += 1,
                Step::Before(span) => {
                    files.push((span.start, span.stop, packets));
                    packets = 1;
                }
                Step::After(span) => {
                    files.push((span.start, span.stop, packets + 1));
                    packets = 0;
                }
            }
        }
        let last = intervals.finish();
        files.extend(last.map(|span| (span.start, span.stop, packets)));
        files
    }

    #[test]
    fn a_packet_at_the_boundary_opens_an_interval() {
        let seconds = [100, 119, 120, 130];
        let expected = [(100, 120, 2), (120, 130, 2)];
        assert_eq!(files(Cut::Exact, &seconds), expected);
    }

    #[test]
    fn for_dsc_it_ends_one() {
        let seconds = [100, 119, 120, 130];
        let expected = [(100, 120, 3), (120, 130, 1)];
        assert_eq!(files(Cut::Dsc, &seconds), expected);
    }

    #[test]
    fn intervals_without_packets_are_left_out() {
        let seconds = [100, 305, 306, 307, 308, 309];
        let expected = [(100, 120, 1), (300, 309, 5)];
        assert_eq!(files(Cut::Exact, &seconds), expected);
    }

    #[test]
    fn dsc_catches_up_by_one_interval_per_packet() {
        let seconds = [100, 305, 306, 307, 308, 309];
        let expected = [
            (100, 120, 2),
            (120, 180, 1),
            (180, 240, 1),
            (240, 300, 1),
            (300, 309, 1),
        ];
        assert_eq!(files(Cut::Dsc, &seconds), expected);
    }

    #[test]
    fn dsc_ends_with_an_empty_file_if_the_last_packet_ended_an_interval() {
        let expected = [(100, 120, 2), (120, 125, 0)];
        assert_eq!(files(Cut::Dsc, &[100, 125]), expected);
    }

    #[test]
    fn one_file_without_a_boundary_and_none_without_packets() {
        for cut in [Cut::Exact, Cut::Dsc] {
            assert_eq!(files(cut, &[100, 101, 100]), [(100, 100, 3)]);
            assert_eq!(files(cut, &[]), []);
        }
    }
}
