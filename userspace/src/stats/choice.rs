//! Which transactions were chosen, when each ring, and each reader, chose by
//! itself.
//!
//! A query and its response come through different rings, whose shares and
//! sampling levels change at different times. All of them choose by the same
//! hash, and what a narrower choice keeps, every wider one keeps, too. So whoever
//! pairs goes by the narrowest choice of late: both halves of what that keeps
//! have come, whatever rings they came by.

use dns_wire::record::{self, Record};

/// Most bits of [`Choice::thinning`].
pub const MAX_THINNING: u8 = 14;

/// How a message's transaction was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// What it was chosen by.
    pub hash: u32,
    /// One transaction in `2^share_bits` was being paired.
    pub share_bits: u8,
    /// One in `2^level` of them was kept in the kernel.
    pub level: u8,
    /// One in `2^thinning` of these was taken by whoever took them out of all
    /// that are paired.
    pub thinning: u8,
}

impl Choice {
    /// How a record was chosen.
    #[must_use]
    pub const fn of(record: &Record<'_>) -> Self {
        Self {
            hash: record.hash(),
            share_bits: record.share_bits(),
            level: record.level(),
            thinning: 0,
        }
    }
}

/// Whether thinning keeps what hashes so: by the bits that share and level leave.
#[inline]
#[must_use]
pub const fn is_taken(hash: u32, thinning: u8) -> bool {
    let left = (hash >> 10 & 0x3f) | (hash >> 24) << 6;
    left & ((1 << thinning) - 1) == 0
}

/// The narrowest choice of late: everyone chose at least what it chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Depth {
    now: Bits,
    /// The narrowest since the period began: where the next one starts.
    next: Bits,
    since_ns: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits {
    share: u8,
    level: u8,
    thinning: u8,
}

impl Bits {
    fn narrowed(self, choice: Choice) -> Self {
        Self {
            share: self.share.max(choice.share_bits),
            level: self.level.max(choice.level),
            thinning: self.thinning.max(choice.thinning),
        }
    }
}

impl Depth {
    /// Takes a record's choice in; whether the common one became narrower. It
    /// becomes wider only after a whole `period_ns` without a narrower record.
    pub fn take(&mut self, choice: Choice, now_ns: u64, period_ns: u64) -> bool {
        if now_ns.saturating_sub(self.since_ns) >= period_ns {
            self.now = self.next;
            self.next = Bits::default();
            self.since_ns = now_ns;
        }
        self.next = self.next.narrowed(choice);
        let before = self.now;
        self.now = before.narrowed(choice);
        self.now != before
    }

    /// Time begins anew: what follows is older.
    pub const fn restart(&mut self) {
        self.since_ns = 0;
    }

    /// Whether it keeps what hashes so.
    #[must_use]
    pub const fn chooses(&self, hash: u32) -> bool {
        let Bits {
            share,
            level,
            thinning,
        } = self.now;
        record::is_paired(hash, share as u32)
            && record::is_kept(hash, level)
            && is_taken(hash, thinning)
    }

    /// One transaction in so many is chosen.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        1 << (self.now.share + self.now.level + self.now.thinning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn choice(share_bits: u8, level: u8, thinning: u8) -> Choice {
        Choice {
            hash: 0,
            share_bits,
            level,
            thinning,
        }
    }

    #[test]
    fn the_narrowest_choice_holds_for_a_whole_period() {
        let mut depth = Depth::default();
        assert!(!depth.take(choice(0, 0, 0), 5 * SECOND, 5 * SECOND));
        assert!(depth.take(choice(3, 0, 1), 6 * SECOND, 5 * SECOND));
        assert!(depth.take(choice(0, 2, 0), 7 * SECOND, 5 * SECOND));
        assert_eq!(depth.weight(), 1 << 6);
        // The period that began at 5 s ends with what it had seen.
        assert!(!depth.take(choice(0, 0, 0), 10 * SECOND, 5 * SECOND));
        assert_eq!(depth.weight(), 1 << 6);
        assert!(!depth.take(choice(0, 0, 0), 15 * SECOND, 5 * SECOND));
        assert_eq!(depth.weight(), 1);
    }

    #[test]
    fn thinning_takes_the_share_that_it_says_of_what_share_and_level_leave() {
        // All hashes that a share of 1 in 1024 and level 8 keep: 14 bits are left.
        let kept = (0..1_u32 << 14).map(|left| (left & 0x3f) << 10 | (left >> 6) << 24);
        for thinning in 0..=MAX_THINNING {
            let taken = kept.clone().filter(|hash| is_taken(*hash, thinning));
            assert_eq!(taken.count(), 1 << (14 - thinning), "1 in 2^{thinning}");
        }
    }

    #[test]
    fn what_a_narrower_thinning_takes_a_wider_one_takes() {
        for hash in (0..=u32::MAX).step_by(65_537) {
            for thinning in 1..=MAX_THINNING {
                assert!(!is_taken(hash, thinning) || is_taken(hash, thinning - 1));
            }
        }
    }
}
