//! Hashes of octets and words: the keys of texts, and of joints.
//!
//! Each takes the whole text at once, sixteen octets at a time; names are hashed
//! as if they were lower-case (RFC 4343), without a copy that is. Two
//! multiplications with their high halves folded in, as in wyhash, and seeded, so
//! that nobody can choose texts that collide.

use super::cells::{Key, fold};

/// Hashes of one seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    seeds: [u64; 3],
}

impl Hasher {
    pub(super) const fn new(seed: u64) -> Self {
        let first = fold(seed ^ 0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9);
        let second = fold(first ^ 0x4b33_a62e_d433_d4a3, seed ^ 0x4d5a_2da5_1de1_aa47);
        let third = fold(
            second ^ 0xa076_1d64_78bd_642f,
            first ^ 0xe703_7ed1_a0b4_28db,
        );
        Self {
            seeds: [first, second, third],
        }
    }

    /// For who hashes words by itself.
    pub(super) const fn seed(&self) -> u64 {
        self.seeds[0]
    }

    /// Of any octets.
    #[inline]
    pub(super) fn octets(&self, octets: &[u8]) -> Key {
        self.hash(octets, |word| word)
    }

    /// Of a name, as of its octets in lower case.
    #[inline]
    pub(super) fn name(&self, wire: &[u8]) -> Key {
        self.hash(wire, to_lower_case)
    }

    /// Of two words.
    #[inline]
    pub(super) const fn words(&self, [first, second]: [u64; 2]) -> Key {
        let [a, b, c] = self.seeds;
        fold(fold(first ^ a, second ^ b) ^ c, b)
    }

    #[inline(always)]
    fn hash(&self, octets: &[u8], case: impl Fn(u64) -> u64) -> Key {
        let [first, second, third] = self.seeds;
        let mut state = first;
        let mut add = |[a, b]: [u64; 2]| state = fold(case(a) ^ second, case(b) ^ state);
        if let Some(last) = octets.last_chunk::<16>() {
            let (blocks, rest) = octets.as_chunks::<16>();
            for block in blocks {
                add(halves(block));
            }
            // What is left, with octets before it.
            if !rest.is_empty() {
                add(halves(last));
            }
        } else {
            add(short(octets));
        }
        // Not where the octets are: some octet would make up for another length.
        fold(state ^ third, second ^ octets.len() as u64)
    }
}

#[inline(always)]
const fn halves(block: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*block);
    [both as u64, (both >> 64) as u64]
}

/// Up to fifteen octets; the same ones twice where there are no more.
#[inline(always)]
fn short(octets: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (octets.first_chunk::<8>(), octets.last_chunk::<8>()) {
        [u64::from_le_bytes(*first), u64::from_le_bytes(*last)]
    } else if let (Some(first), Some(last)) = (octets.first_chunk::<4>(), octets.last_chunk::<4>())
    {
        let word = |four: &[u8; 4]| u64::from(u32::from_le_bytes(*four));
        [word(first), word(last)]
    } else {
        let word = octets
            .iter()
            .fold(0, |word, octet| word << 8 | u64::from(*octet));
        [word, 0]
    }
}

/// Eight octets, the ASCII letters among them in lower case.
#[inline(always)]
const fn to_lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let beyond_z = low + (0x7f - b'Z' as u64) * EACH;
    let letters = (from_a ^ beyond_z) & !word & (0x80 * EACH);
    word | letters >> 2
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_hashed_as_their_lower_case(
            seed: u64,
            octets in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let hasher = Hasher::new(seed);
            let lower = octets.to_ascii_lowercase();
            prop_assert_eq!(hasher.name(&octets), hasher.octets(&lower));
            prop_assert_eq!(hasher.name(&octets), hasher.name(&octets.to_ascii_uppercase()));
        }

        #[test]
        fn every_octet_counts(
            octets in prop::collection::vec(any::<u8>(), 1..80),
            at: prop::sample::Index,
            other: u8,
        ) {
            let hasher = Hasher::new(7);
            let mut changed = octets.clone();
            changed[at.index(octets.len())] = other;
            let same = hasher.octets(&octets) == hasher.octets(&changed);
            prop_assert_eq!(same, octets == changed);
            prop_assert_ne!(hasher.octets(&octets), Hasher::new(8).octets(&octets));
        }
    }

    /// The eighth octet from the end differs by what the length does.
    #[test]
    fn no_octet_makes_up_for_another_length() {
        for (one, other) in [
            ("domain-136.net", "domain-13136.net"),
            ("domain-27.info", "domain-2327.info"),
        ] {
            for seed in [1, 7, 0x2545_f491_4f6c_dd1d] {
                let [one, other] =
                    [one, other].map(|text| Hasher::new(seed).octets(text.as_bytes()));
                assert_ne!(one, other, "{seed}");
            }
        }
        let hasher = Hasher::new(7);
        let texts = (8..=16).flat_map(|len| (0..=255_u8).map(move |octet| (len, octet)));
        let hashes = texts.map(|(len, octet)| {
            let mut text = vec![0; len];
            text[len - 8] = octet;
            hasher.octets(&text)
        });
        assert_eq!(hashes.collect::<HashSet<_>>().len(), 9 * 256);
    }

    #[test]
    fn texts_that_differ_in_length_only_have_hashes_of_their_own() {
        let hasher = Hasher::new(1);
        let zeros = [0; 300];
        let hashes: HashSet<_> = (0..=300).map(|len| hasher.octets(&zeros[..len])).collect();
        assert_eq!(hashes.len(), 301);
    }
}
