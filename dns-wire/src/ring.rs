//! The ring between one kernel program on one CPU and one reader: the layout of
//! its memory and the arithmetic of its protocol.
//!
//! One producer, one consumer, no lock. The memory is one element of a
//! `BPF_F_MMAPABLE` array: a page of control words, the data, and slack of one
//! largest record, so that a record that starts near the end needs no wrap.
//! Positions count lines and never wrap (64 bits). The producer writes a record
//! at `head`, then publishes the new head; the consumer reads up to `head`,
//! then publishes its `tail`, once per batch. Each word that one side writes
//! often has a cache line of its own.

use crate::record::{LINE, MAX_LEVEL, MAX_LINES};

/// Octets of data: 2^22. A power of two, so that a position needs no division.
pub const DATA: usize = 4 << 20;
/// Lines of data.
pub const LINES: usize = DATA / LINE;
/// Octets of control words before the data.
pub const CONTROL: usize = 4096;
/// Octets of one ring.
pub const RING: usize = CONTROL + DATA + MAX_LINES * LINE;

/// Byte offsets of the control words, each an aligned `u64`.
pub mod word {
    /// Producer: position behind the last record published.
    pub const HEAD: usize = 0;
    /// Producer: records published.
    pub const RECORDS: usize = 8;
    /// Producer: not 0 while a record is being written.
    pub const BUSY: usize = 16;
    /// Producer: messages met, from which every 2^k-th is taken.
    pub const MET: usize = 24;
    /// Producer: the sampling level of the last message.
    pub const LEVEL: usize = 32;
    /// Consumer: position up to which everything was read.
    pub const TAIL: usize = 64;
    /// Control: `share_bits`, one transaction in `2^share_bits` is paired.
    pub const SHARE: usize = 128;
}

/// Offset of the record at `position`.
#[inline(always)]
#[must_use]
pub const fn offset(position: u64) -> usize {
    CONTROL + (position as usize & (LINES - 1)) * LINE
}

/// The position where the record after one of `lines` lines begins.
#[inline(always)]
#[must_use]
pub const fn advance(position: u64, lines: usize) -> u64 {
    let next = position + lines as u64;
    // A record may reach into the slack; the next one starts at the beginning.
    let end = position | (LINES as u64 - 1);
    if next > end { end + 1 } else { next }
}

/// Sampling level by lines in use: none up to half, then a level per eighth of
/// the other half.
#[inline(always)]
#[must_use]
pub const fn level(used: u64) -> u8 {
    let half = LINES as u64 / 2;
    if used < half {
        return 0;
    }
    let step = 1 + (used - half) / (half / MAX_LEVEL as u64);
    if step > MAX_LEVEL as u64 {
        MAX_LEVEL
    } else {
        step as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_at_the_end_reaches_into_the_slack_and_the_next_starts_over() {
        let last = LINES as u64 - 1;
        assert_eq!(offset(last), CONTROL + DATA - LINE);
        assert_eq!(advance(last, 1), LINES as u64);
        assert_eq!(advance(last, MAX_LINES), LINES as u64);
        assert_eq!(offset(advance(last, MAX_LINES)), CONTROL);
        assert_eq!(advance(last - 1, 2), LINES as u64);
        assert_eq!(advance(5, 3), 8);
        let second_round = 3 * LINES as u64 + last;
        assert_eq!(advance(second_round, 7), 4 * LINES as u64);
    }

    #[test]
    fn no_record_leaves_the_ring() {
        let last = offset(LINES as u64 - 1) + MAX_LINES * LINE;
        assert!(last <= RING);
    }

    #[test]
    fn sampling_starts_at_half_and_ends_at_one_in_256() {
        assert_eq!(level(0), 0);
        assert_eq!(level(LINES as u64 / 2 - 1), 0);
        assert_eq!(level(LINES as u64 / 2), 1);
        assert_eq!(level(LINES as u64 * 3 / 4), 5);
        assert_eq!(level(LINES as u64 - 1), MAX_LEVEL);
        assert_eq!(level(u64::MAX), MAX_LEVEL);
    }
}
