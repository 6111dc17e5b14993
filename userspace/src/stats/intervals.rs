//! Where a capture is cut into DSC's files: by the time of its packets.
//!
//! DSC counts a packet first and then looks whether it ended the interval, so
//! that the first packet at or behind the boundary is in the earlier file. After
//! a pause of many intervals it goes on by one interval per packet until it has
//! caught up. [`Cut::Dsc`] does the same; [`Cut::Exact`] puts each packet into
//! the interval of its time, and leaves out intervals without packets.
//!
//! Packets come in the order of time, but for a little disorder within a capture.
//! A capture that begins before the open interval is another matter: whoever
//! reads it asks [`Intervals::begins_before`], and ends what is open.

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
    /// Where the open interval ends if nothing follows.
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

    /// Whether a time, in ns since the Unix epoch, lies before the open interval,
    /// counted from boundary to boundary.
    #[must_use]
    pub fn begins_before(&self, time_ns: u64) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| seconds(time_ns) < open.stop - self.length)
    }

    /// Takes the time of a packet, in ns since the Unix epoch. A packet that is
    /// earlier than the one before belongs to the open interval.
    pub fn packet(&mut self, time_ns: u64) -> Step {
        let now = seconds(time_ns);
        let first = Span {
            start: now,
            stop: self.boundary_behind(now),
        };
        let open = *self.open.get_or_insert(first);
        if now < open.stop {
            self.within(now, open);
            return Step::Within;
        }
        self.last = now;
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

    /// The interval that the end of the captures cuts off, or one that
    /// [begins before it](Self::begins_before); none without packets.
    ///
    /// With [`Cut::Dsc`] it may hold no packet; DSC writes it nevertheless, and
    /// where `stop` is that of the file before, over it.
    pub fn finish(&mut self) -> Option<Span> {
        let open = mem::take(&mut self.open)?;
        let stop = mem::take(&mut self.last);
        Some(Span { stop, ..open })
    }

    /// The span holds all of its packets. With DSC, it ends with the one that was
    /// last read, even if that is an earlier one.
    fn within(&mut self, now: i64, open: Span) {
        match self.cut {
            Cut::Dsc => self.last = now,
            Cut::Exact => {
                self.last = self.last.max(now);
                let begins = open.stop - self.length;
                let start = open.start.min(now.max(begins));
                self.open = Some(Span { start, ..open });
            }
        }
    }

    fn boundary_behind(&self, time: i64) -> i64 {
        (time / self.length)
            .saturating_add(1)
            .saturating_mul(self.length)
    }
}

fn seconds(time_ns: u64) -> i64 {
    i64::try_from(time_ns / 1_000_000_000).unwrap_or(i64::MAX)
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
            assert_eq!(files(cut, &[100, 101]), [(100, 101, 2)]);
            assert_eq!(files(cut, &[]), []);
        }
    }

    #[test]
    fn an_interval_spans_packets_that_are_out_of_order() {
        for (seconds, exact, dsc) in [
            ([100, 101, 100], (100, 101, 3), (100, 100, 3)),
            ([101, 100, 102], (100, 102, 3), (101, 102, 3)),
            ([70, 71, 50], (60, 71, 3), (70, 50, 3)),
        ] {
            assert_eq!(files(Cut::Exact, &seconds), [exact], "{seconds:?}");
            assert_eq!(files(Cut::Dsc, &seconds), [dsc], "{seconds:?}");
        }
    }

    #[test]
    fn only_what_is_before_the_boundary_begins_before_an_interval() {
        let mut intervals = Intervals::new(MINUTE, Cut::Exact);
        let second = 1_000_000_000;
        assert!(!intervals.begins_before(0));
        intervals.packet(130 * second);
        assert!(!intervals.begins_before(120 * second));
        assert!(intervals.begins_before(120 * second - 1));
        let span = intervals.finish().expect("a packet");
        assert_eq!((span.start, span.stop), (130, 130));
        intervals.packet(90 * second);
        let span = intervals.finish().expect("a packet");
        assert_eq!((span.start, span.stop), (90, 90));
    }
}
