//! How many different things were seen, in memory that does not grow with them.
//!
//! A HyperLogLog sketch (Flajolet et al., 2007) of 2^15 registers, in the form
//! of Apache DataSketches. Some hundred things take as many words; from some
//! thousand on it is 32 KiB. The estimate depends on the set of things alone,
//! not on their order nor on how it was split over sketches: those of several
//! nodes merge into what one would have seen.
//!
//! The hash has no secret, or nodes could not merge. Whoever forges sources can
//! so forge an estimate, as they can by sending from many addresses.

use std::fmt;
use std::net::IpAddr;

use datasketches::hll::{HllSketch, HllType, HllUnion};

/// The logarithm of the number of registers.
const LG_K: u8 = 15;

/// Things that were seen, as 64-bit hashes.
#[derive(Clone)]
pub struct Distinct {
    /// `None` until something is added: most are never used.
    sketch: Option<HllSketch>,
}

/// Octets that are no sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a sketch of 2^{LG_K} registers")]
pub struct NotASketch;

impl Distinct {
    /// The standard error of the estimate as a part of it, when there are many:
    /// 1.04 / sqrt(2^15). Below some thousand it is smaller.
    pub const RELATIVE_STANDARD_ERROR: f64 = 0.005_74;

    /// Nothing was seen.
    #[must_use]
    pub const fn new() -> Self {
        Self { sketch: None }
    }

    /// Adds a thing by its hash, all of whose bits must be good.
    pub fn add_hash(&mut self, hash: u64) {
        if self.sketch.is_none() {
            self.sketch = empty_sketch();
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.update(hash);
        }
    }

    /// Adds an address.
    pub fn add_address(&mut self, address: IpAddr) {
        self.add_hash(hash_of_address(address));
    }

    /// Adds what the other has seen.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = &other.sketch else { return };
        let Some(ours) = &self.sketch else {
            self.sketch = Some(theirs.clone());
            return;
        };
        if let Ok(mut union) = HllUnion::new(LG_K) {
            union.update(ours);
            union.update(theirs);
            self.sketch = Some(union.to_sketch(HllType::Hll8));
        }
    }

    /// How many different things were added, about.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        // The other estimate of the library depends on the order of additions.
        (self.sketch.as_ref()).map_or(0.0, HllSketch::composite_estimate)
    }

    /// The standard error of the estimate, as a part of it.
    #[must_use]
    pub const fn relative_standard_error(&self) -> f64 {
        Self::RELATIVE_STANDARD_ERROR
    }

    /// The sketch in the form that DataSketches has in all languages.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let sketch = self.sketch.clone().or_else(empty_sketch);
        sketch.map_or_else(Vec::new, |sketch| sketch.serialize())
    }

    /// A sketch that was written by [`Distinct::to_octets`].
    ///
    /// # Errors
    /// When it is none, or one of another size.
    pub fn from_octets(octets: &[u8]) -> Result<Self, NotASketch> {
        if !registers_are_sound(octets) {
            return Err(NotASketch);
        }
        let sketch = HllSketch::deserialize(octets).map_err(|_| NotASketch)?;
        if sketch.lg_config_k() != LG_K || sketch.target_type() != HllType::Hll8 {
            return Err(NotASketch);
        }
        let sketch = Some(sketch).filter(|sketch| !sketch.is_empty());
        Ok(Self { sketch })
    }
}

impl Default for Distinct {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Distinct(about {})", self.estimate())
    }
}

/// Whether a sketch that has its registers written out says the same of them in
/// its head; other octets are left to the library. It believes both: a register
/// beyond 63 makes it panic, a wrong sum its estimate wrong.
fn registers_are_sound(octets: &[u8]) -> bool {
    const HEAD: usize = 40;
    const MODE: usize = 7;
    const REGISTERS_OF_8_BITS: u8 = 0b1010;
    if octets
        .get(MODE)
        .is_none_or(|mode| mode & 0b1111 != REGISTERS_OF_8_BITS)
    {
        return true;
    }
    let Some((head, registers)) = octets.split_at_checked(HEAD) else {
        return false;
    };
    if registers.len() != 1 << LG_K || registers.iter().any(|register| *register > 63) {
        return false;
    }
    let zeros = registers.iter().filter(|register| **register == 0).count();
    let sum_of = |wanted: fn(u8) -> bool| -> f64 {
        let found = registers
            .iter()
            .copied()
            .filter(|register| wanted(*register));
        found.map(|register| (-f64::from(register)).exp2()).sum()
    };
    let sums = [
        sum_of(|register| register < 32),
        sum_of(|register| register >= 32),
    ];
    let told = [number_at(head, 16), number_at(head, 24)];
    let near = |(sum, told): (&f64, &f64)| (sum - told).abs() <= 1e-6 * sum.max(1e-3);
    let told_zeros = head.get(32..36).and_then(|octets| octets.try_into().ok());
    told_zeros.map(u32::from_le_bytes).map(usize::try_from) == Some(Ok(zeros))
        && sums.iter().zip(&told).all(near)
}

/// NaN, which is near nothing, where there is none.
fn number_at(head: &[u8], at: usize) -> f64 {
    let octets = head
        .get(at..at + 8)
        .and_then(|octets| octets.try_into().ok());
    octets.map_or(f64::NAN, f64::from_le_bytes)
}

/// A hash that is the same on all nodes, and in all versions.
#[must_use]
pub fn hash_of_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => mixed(u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let [high, low] = halves(address.to_bits());
            mixed(mixed(high) ^ low)
        }
    }
}

fn halves(bits: u128) -> [u64; 2] {
    let low = (bits & u128::from(u64::MAX)) as u64;
    [(bits >> 64) as u64, low]
}

/// The mixing function of `SplitMix64` (Steele et al., 2014): one to one.
fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn empty_sketch() -> Option<HllSketch> {
    // It is refused for a size that is out of bounds only.
    HllSketch::new(LG_K, HllType::Hll8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first so many hashes from a start.
    fn seen(start: u64, count: u64) -> Distinct {
        let mut distinct = Distinct::new();
        for value in start..start + count {
            distinct.add_hash(mixed(value));
        }
        distinct
    }

    #[test]
    fn estimates_stay_within_four_standard_errors() {
        let bound = 4.0 * Distinct::RELATIVE_STANDARD_ERROR;
        let mut distinct = Distinct::new();
        let mut added = 0_u64;
        for exact in [
            1_u64, 2, 10, 100, 1000, 4000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000,
            10_000_000,
        ] {
            while added < exact {
                distinct.add_hash(mixed(added));
                added += 1;
            }
            let error = (distinct.estimate() / exact as f64 - 1.0).abs();
            assert!(error < bound, "{exact}: {}", distinct.estimate());
        }
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let mut distinct = seen(0, 5000);
        let before = distinct.to_octets();
        for value in (0..5000).rev() {
            distinct.add_hash(mixed(value));
        }
        assert_eq!(distinct.to_octets(), before);
    }

    #[test]
    fn merged_sketches_are_one_of_everything() {
        // Half of the things are in both.
        for size in [2, 20, 2000, 200_000] {
            let whole = seen(0, size * 3 / 2);
            let mut merged = seen(0, size);
            merged.merge(&seen(size / 2, size));
            let difference = (merged.estimate() / whole.estimate() - 1.0).abs();
            assert!(difference < 1e-6, "{size}: {difference}");
        }
    }

    #[test]
    fn nothing_merges_with_everything() {
        let mut nothing = Distinct::new();
        assert!(nothing.estimate() < 0.5);
        nothing.merge(&Distinct::new());
        assert!(nothing.estimate() < 0.5);
        nothing.merge(&seen(0, 100));
        assert!((nothing.estimate() - 100.0).abs() < 1.0);
        let mut some = seen(0, 100);
        some.merge(&Distinct::new());
        assert!((some.estimate() - 100.0).abs() < 1.0);
    }

    #[test]
    fn sketches_survive_as_octets() {
        for size in [0, 1, 100, 100_000] {
            let distinct = seen(0, size);
            let again = Distinct::from_octets(&distinct.to_octets()).expect("a sketch");
            assert_eq!(again.estimate().to_bits(), distinct.estimate().to_bits());
        }
        for octets in [&b""[..], b"nonsense", &[0; 40]] {
            assert!(Distinct::from_octets(octets).is_err());
        }
        let other = HllSketch::new(12, HllType::Hll8).expect("a sketch");
        assert!(Distinct::from_octets(&other.serialize()).is_err());
    }

    #[test]
    fn hashes_of_addresses_never_change() {
        // Nodes of different versions merge: by the published test vectors of
        // SplitMix64, whose first output for the seed 0 this is.
        assert_eq!(hash_of_address([0, 0, 0, 0].into()), 0xe220_a839_7b1d_cdaf);
        let v6 = |text: &str| hash_of_address(text.parse().expect("an address"));
        assert_ne!(v6("::1"), v6("0:0:0:1::"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8::2"));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_are_a_panic(octets: Vec<u8>) {
            let _ = Distinct::from_octets(&octets);
        }

        #[test]
        fn no_damage_is_a_panic(size in proptest::sample::select(vec![0_u64, 1, 6, 100, 9000]), at: usize, octet: u8, length: usize) {
            let mut octets = seen(0, size).to_octets();
            let whole = octets.len();
            // The head is hit as often as the registers.
            let at = if at % 2 == 0 { at % 64 % whole } else { at % whole };
            octets[at] = octet;
            if length % 2 == 0 {
                octets.truncate(length % (whole + 1));
            }
            if let Ok(mut distinct) = Distinct::from_octets(&octets) {
                distinct.add_hash(1);
                let mut other = seen(0, 3);
                other.merge(&distinct);
                let _ = other.estimate();
            }
        }
    }
}
