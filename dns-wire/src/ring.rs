//! The ring between one kernel program on one CPU and one reader: the layout of
//! its memory and the arithmetic of its protocol.
//!
//! One producer, one consumer, no lock. A ring is a few consecutive elements
//! (chunks) of a `BPF_F_MMAPABLE` array, so that the loader can choose its size,
//! and one element (block) of a second array: the control words, and behind them
//! the [`Tally`](crate::tally::Tally) of the same program and CPU, so that the
//! program finds all it writes to by one look-up. Each chunk ends in
//! slack of one largest record, so that a record that starts near the end needs
//! no wrap. Positions count lines and never wrap (64 bits). The producer writes
//! a record at `head`, then publishes the new head; the consumer reads up to
//! `head`, then publishes its `tail`, once per batch. Each word that one side
//! writes often has a cache line of its own.

use crate::{
    record::{HEAD, LINE, MAX_LEVEL, MAX_LINES},
    tally::Tally,
};

/// Lines of a chunk in which a record may start: 64 KiB of them.
pub const CHUNK_LINES: u64 = 1024;
/// Octets of a chunk, slack included.
pub const CHUNK: usize = (CHUNK_LINES as usize + MAX_LINES) * LINE;
/// Most chunks of a ring: 16 MiB.
pub const MAX_CHUNKS: u64 = 256;
/// Octets of a ring's control words.
pub const CONTROL: usize = 320;
/// Octets of a block: whole cache lines.
pub const BLOCK: usize = (CONTROL + size_of::<Tally>()).next_multiple_of(64);

const _: () = assert!(word::SCRATCH + HEAD <= word::LOCATED);
const _: () = assert!(word::LOCATED + 16 <= CONTROL);

/// Byte offsets of the control words, each an aligned `u64`.
pub mod word {
    /// Producer: position behind the last record published.
    pub const HEAD: usize = 0;
    /// Producer: records published beyond the first of each packet.
    pub const FURTHER: usize = 8;
    /// Producer: not 0 while a record is being written.
    pub const BUSY: usize = 16;
    /// Producer: the number drawn last, by which messages are sampled.
    pub const DRAWN: usize = 24;
    /// Producer: the sampling level of the last message.
    pub const LEVEL: usize = 32;
    /// Producer: the last tail it has read.
    pub const TAIL_SEEN: usize = 40;
    /// Producer: the kernel's tick at which it read the coarse clock last.
    pub const TICK: usize = 48;
    /// Producer: what that said.
    pub const TICK_NS: usize = 56;
    /// Consumer: position up to which everything was read.
    pub const TAIL: usize = 64;
    /// Daemon: the share of transactions that is paired, and the lowest level
    /// of sampling; see [`wishes`](super::wishes).
    pub const WISHES: usize = 128;
    /// Producer: room for what it must not keep on its stack, as long as a
    /// record's head.
    pub const SCRATCH: usize = 192;
    /// Producer: two words that say where a payload was found.
    pub const LOCATED: usize = 288;
}

/// What the daemon wishes: one transaction in `2^share_bits` paired, and one
/// record in `2^floor` or fewer.
///
/// The upper half are the bits of a hash that are 0 in what is paired, so that
/// the program need not make them for every message.
#[inline(always)]
#[must_use]
pub const fn wishes(share_bits: u8, floor: u8) -> u64 {
    let paired = (1 << share_bits) - 1;
    paired << 32 | (share_bits as u64) << 4 | floor as u64
}

/// The share of transactions in [`wishes`].
#[inline(always)]
#[must_use]
pub const fn share_bits(wishes: u64) -> u8 {
    wishes as u8 >> 4
}

/// Whether [`wishes`] want a transaction of this hash paired:
/// [`is_paired`](crate::record::is_paired) by their share.
#[inline(always)]
#[must_use]
pub const fn wants_paired(wishes: u64, hash: u32) -> bool {
    (wishes >> 32) & hash as u64 == 0
}

/// The next number after the one that was drawn `last`, for a message of that hash.
///
/// Which messages are kept must have to do with nothing in them: every 2^k-th would
/// take the queries for A and leave out those for AAAA that come next to them; and
/// by their hash alone, a flood from one port would be taken wholly or not at all.
#[inline(always)]
#[must_use]
pub const fn draw(last: u64, hash: u32) -> u64 {
    // Knuth's multiplier; the hash, which is seeded, is the increment.
    last.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(hash as u64 | 1)
}

/// Whether sampling at `level` keeps the message that drew this number.
#[inline(always)]
#[must_use]
pub const fn is_drawn(drawn: u64, level: u8) -> bool {
    // The upper bits are the random ones.
    (drawn >> 48) & ((1 << level) - 1) == 0
}

/// The lowest level of sampling in [`wishes`]: the daemon asks for no more than
/// [`MAX_LEVEL`].
#[inline(always)]
#[must_use]
pub const fn floor(wishes: u64) -> u8 {
    wishes as u8 & 0xf
}

/// Lines of a ring of `chunks` chunks, a power of two.
#[inline(always)]
#[must_use]
pub const fn lines(chunks: u64) -> u64 {
    chunks * CHUNK_LINES
}

/// Which of the ring's chunks holds `position`.
#[inline(always)]
#[must_use]
pub const fn chunk(position: u64, chunks: u64) -> u64 {
    (position / CHUNK_LINES) & (chunks - 1)
}

/// Offset of `position` in its chunk.
#[inline(always)]
#[must_use]
pub const fn offset(position: u64) -> usize {
    (position & (CHUNK_LINES - 1)) as usize * LINE
}

/// The position where the record after one of `lines` lines begins.
#[inline(always)]
#[must_use]
pub const fn advance(position: u64, lines: u64) -> u64 {
    let next = position + lines;
    // A record may reach into the slack; the next one starts the next chunk.
    let end = position | (CHUNK_LINES - 1);
    if next > end { end + 1 } else { next }
}

/// Sampling level by lines in use: none up to half, then a level per eighth of
/// the other half.
#[inline(always)]
#[must_use]
pub const fn level(used: u64, lines: u64) -> u8 {
    let half = lines / 2;
    if used < half {
        return 0;
    }
    if used >= lines {
        return MAX_LEVEL;
    }
    // Steps rather than a division, which could panic for all the compiler knows.
    let mut level = 1;
    while level < MAX_LEVEL && (used - half) * MAX_LEVEL as u64 >= half * level as u64 {
        level += 1;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_at_the_end_reaches_into_the_slack_and_the_next_starts_a_chunk() {
        let last = CHUNK_LINES - 1;
        assert_eq!(offset(last), CHUNK - MAX_LINES * LINE - LINE);
        assert_eq!(advance(last, 1), 1024);
        assert_eq!(advance(last, MAX_LINES as u64), 1024);
        assert_eq!(offset(1024), 0);
        assert_eq!(advance(last - 1, 2), 1024);
        assert_eq!(advance(5, 3), 8);
        assert_eq!(advance(3 * 1024 + last, 7), 4 * 1024);
    }

    #[test]
    fn chunks_follow_each_other_and_start_over() {
        let chunks = [0, 1023, 1024, 4095, 4096, 5120].map(|position| chunk(position, 4));
        assert_eq!(chunks, [0, 0, 1, 3, 0, 1]);
        assert_eq!(chunk(123_456, 1), 0);
    }

    #[test]
    fn wishes_are_understood_as_they_were_meant() {
        for share_bits in 0..=10 {
            for level in 0..=MAX_LEVEL {
                let wishes = wishes(share_bits, level);
                assert_eq!(
                    (self::share_bits(wishes), floor(wishes)),
                    (share_bits, level)
                );
            }
        }
        assert_eq!((share_bits(0), floor(0)), (0, 0));
    }

    #[test]
    fn one_hash_in_so_many_is_wanted_paired() {
        for (share_bits, wanted) in [(0, 4096), (1, 2048), (3, 512), (10, 4)] {
            let wishes = wishes(share_bits, 5);
            let hashes = (0..4096).map(|number| 0xabcd_0000 | number);
            let paired = hashes.filter(|hash| wants_paired(wishes, *hash)).count();
            assert_eq!(paired, wanted, "share bits {share_bits}");
        }
        assert!(
            wants_paired(0, u32::MAX),
            "before the daemon wishes anything"
        );
    }

    #[test]
    fn one_message_in_so_many_is_drawn_whatever_the_messages_are() {
        const TURNS: u32 = 1 << 15;
        for (name, hashes) in [
            ("all alike", [7, 7]),
            ("none", [0, 0]),
            ("by turns", [0x9e37_79b9, 0x85eb_ca6b]),
        ] {
            for level in 0..=MAX_LEVEL {
                let mut drawn = 0;
                let mut kept = [0_u32; 2];
                for _ in 0..TURNS {
                    for (hash, kept) in hashes.into_iter().zip(&mut kept) {
                        drawn = draw(drawn, hash);
                        *kept += u32::from(is_drawn(drawn, level));
                    }
                }
                let expected = f64::from(TURNS >> level);
                for kept in kept {
                    let deviations = (f64::from(kept) - expected).abs() / expected.sqrt();
                    assert!(deviations < 4.0, "{name}, level {level}: {kept}");
                }
            }
        }
    }

    #[test]
    fn sampling_starts_at_half_and_ends_at_one_in_256() {
        for chunks in [1, 64, MAX_CHUNKS] {
            let lines = lines(chunks);
            assert_eq!(level(0, lines), 0);
            assert_eq!(level(lines / 2 - 1, lines), 0);
            assert_eq!(level(lines / 2, lines), 1);
            assert_eq!(level(lines * 3 / 4, lines), 5);
            assert_eq!(level(lines - 1, lines), MAX_LEVEL);
            assert_eq!(level(u64::MAX, lines), MAX_LEVEL);
        }
    }
}
