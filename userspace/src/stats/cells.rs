//! The cells of one dataset: a table from two values to a count.
//!
//! A cell is found by its values, or by the number that it got when it came, which
//! whoever counts the same cells again and again (`joints`) keeps. The probe by
//! values is what costs, and it costs a cache miss where a dataset has many cells:
//! so all that it needs stands in one place of 32 octets, whose address is known
//! ([`Cells::spot`]) before it is needed. Open addressing with linear probing from one
//! line of two places to the next, so that few probes leave a line of the cache; no
//! tombstones: cells are only ever added, and all forgotten at once. When all is
//! counted anew they can also stay, without a count: what comes in one interval
//! mostly comes in the next, too.
//!
//! Places go by a hash of the two values, seeded so that nobody can choose names
//! that collide.

use crate::prefetch::prefetch;

/// What stands for a value of an indexer: the number itself, or the hash of its
/// text, which [`Texts`] keeps.
pub type Key = u64;

/// Lines of an empty table.
const SMALLEST: usize = 8;
/// Places of a line.
const WAYS: usize = 2;
/// Cells stay while one of so many is used, or while there are few of them.
const USED_OF: usize = 4;
const SOME: usize = 16;
/// Cells at most; the places of so many have a number of 32 bits each.
const MOST: usize = 1 << 31;

/// The table.
#[derive(Clone, Debug)]
pub struct Cells {
    /// A power of two.
    lines: Box<[Line]>,
    /// Where cells are, by their numbers.
    cells: Vec<u32>,
    limit: usize,
    /// So many of the first cells are of earlier intervals.
    kept: usize,
    uncounted: u64,
    seed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line([Place; WAYS]);

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    first: Key,
    second: Key,
    count: u64,
    /// The number of the cell plus one; 0 marks a free place.
    number: u32,
}

/// Where a cell is, or would be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spot {
    first: Key,
    second: Key,
    hash: u64,
}

/// What counting a message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Its cell was there, with this number.
    Known(u32),
    /// Its cell is new and got this number: its texts must be kept.
    New(u32),
    /// There is no room for another cell.
    Full,
}

impl Cells {
    /// At most `limit` cells.
    #[must_use]
    pub fn new(limit: usize, seed: u64) -> Self {
        Self {
            lines: empty(SMALLEST),
            cells: Vec::new(),
            limit: limit.min(MOST),
            kept: 0,
            uncounted: 0,
            seed,
        }
    }

    /// The cell of two values, and a hint to the processor that it will be asked
    /// for.
    #[inline]
    #[must_use]
    pub fn spot(&self, first: Key, second: Key) -> Spot {
        let hash = mix(first, second, self.seed);
        if let Some(line) = self.lines.get(hash as usize & (self.lines.len() - 1)) {
            prefetch(line);
        }
        Spot {
            first,
            second,
            hash,
        }
    }

    /// Counts `weight` messages of a cell.
    #[inline]
    pub fn count(&mut self, spot: &Spot, weight: u64) -> Counted {
        let mask = self.lines.len() - 1;
        let mut at = spot.hash as usize & mask;
        loop {
            let line = self.lines.get_mut(at).into_iter();
            for (way, place) in line.flat_map(|line| &mut line.0).enumerate() {
                if place.number == 0 {
                    return self.insert(at * WAYS + way, spot, weight);
                }
                if place.first == spot.first && place.second == spot.second {
                    place.count += weight;
                    return Counted::Known(place.number - 1);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Both in one.
    #[inline]
    pub fn add(&mut self, first: Key, second: Key, weight: u64) -> Counted {
        let spot = Spot {
            first,
            second,
            hash: mix(first, second, self.seed),
        };
        self.count(&spot, weight)
    }

    /// Counts `weight` messages of the cell that has this number.
    #[inline]
    pub(super) fn add_to(&mut self, number: u32, weight: u64) {
        let at = self.cells.get(number as usize);
        if let Some(place) = at.and_then(|at| place_mut(&mut self.lines, *at as usize)) {
            place.count += weight;
        }
    }

    #[cold]
    fn insert(&mut self, at: usize, spot: &Spot, weight: u64) -> Counted {
        if self.cells.len() >= self.limit {
            self.uncounted += weight;
            return Counted::Full;
        }
        let number = self.cells.len() as u32;
        self.cells.push(at as u32);
        if let Some(place) = place_mut(&mut self.lines, at) {
            *place = Place {
                first: spot.first,
                second: spot.second,
                count: weight,
                number: number + 1,
            };
        }
        // Up to five eighths full: few probes leave their line.
        if self.cells.len() * 8 > self.lines.len() * WAYS * 5 {
            self.grow();
        }
        Counted::New(number)
    }

    fn grow(&mut self) {
        let grown = empty(self.lines.len() * 2);
        let mask = grown.len() - 1;
        let old = std::mem::replace(&mut self.lines, grown);
        let moved = old.iter().flat_map(|line| &line.0);
        for moved in moved.filter(|place| place.number != 0) {
            let mut at = (mix(moved.first, moved.second, self.seed) as usize & mask) * WAYS;
            while let Some(place) = place_mut(&mut self.lines, at) {
                if place.number == 0 {
                    *place = *moved;
                    break;
                }
                at = (at + 1) & (mask * WAYS + WAYS - 1);
            }
            if let Some(cell) = self.cells.get_mut(moved.number as usize - 1) {
                *cell = at as u32;
            }
        }
    }

    /// The places of cells, in the order of their coming.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let lines = |at: &u32| self.lines.get(*at as usize / WAYS);
        let places = self
            .cells
            .iter()
            .map(move |at| (lines(at), *at as usize % WAYS));
        places.filter_map(|(line, way)| line.and_then(|line| line.0.get(way)))
    }

    /// The cells in which something was counted, and their counts, in the order of
    /// their coming.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Key, u64)> {
        let counted = self.places().filter(|place| place.count != 0);
        counted.map(|place| (place.first, place.second, place.count))
    }

    /// How many there are, those included that were kept and count nothing yet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no cell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Whether three quarters of the room for new cells are taken.
    #[must_use]
    pub const fn is_crowded(&self) -> bool {
        (self.cells.len() - self.kept) * 4 >= (self.limit - self.kept) * 3
    }

    /// Counts messages that found no cell.
    pub const fn add_uncounted(&mut self, messages: u64) {
        self.uncounted += messages;
    }

    /// Messages that found no cell.
    #[must_use]
    pub const fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// Forgets everything, but keeps its room where that was needed.
    pub fn clear(&mut self) {
        let needed = self.cells.len().next_power_of_two().max(SMALLEST);
        if self.lines.len() > needed * 4 {
            self.lines = empty(needed);
            self.cells = Vec::new();
        } else if !self.cells.is_empty() {
            self.lines.fill(Line::default());
            self.cells.clear();
        }
        self.kept = 0;
        self.uncounted = 0;
    }

    /// The values of all cells, whether something was counted in them or not.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.places().flat_map(|place| [place.first, place.second])
    }

    /// Counts anew: the cells stay, with their numbers, if they leave a quarter of the
    /// room to new ones, and if not too many of them have gone out of use. If not, all are
    /// forgotten, and likewise if they crowd the table, as what does so in a flood
    /// never comes again. Whether they stay.
    pub(super) fn begin_anew(&mut self) -> bool {
        let mut used = 0;
        for place in self.lines.iter_mut().flat_map(|line| &mut line.0) {
            used += usize::from(place.count != 0);
            place.count = 0;
        }
        let stay = self.uncounted == 0
            && !self.is_crowded()
            && self.cells.len() * 4 <= self.limit * 3
            && self.cells.len() <= used.max(SOME) * USED_OF;
        if stay {
            self.kept = self.cells.len();
        } else {
            self.clear();
        }
        stay
    }

    /// Octets of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of_val(&*self.lines) + self.cells.capacity() * size_of::<u32>()
    }
}

/// So many lines without cells.
fn empty(lines: usize) -> Box<[Line]> {
    vec![Line::default(); lines].into_boxed_slice()
}

#[inline(always)]
fn place_mut(lines: &mut [Line], at: usize) -> Option<&mut Place> {
    lines.get_mut(at / WAYS)?.0.get_mut(at % WAYS)
}

/// Two multiplications with their high halves folded in, as in wyhash.
#[inline(always)]
const fn mix(first: Key, second: Key, seed: u64) -> u64 {
    // Neither factor may be 0 for the values of a flat dataset, whatever the seed.
    fold(
        first ^ seed ^ 0xa076_1d64_78bd_642f,
        second ^ 0x9e37_79b9_7f4a_7c15,
    )
}

#[inline(always)]
pub(super) const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}

/// The texts of keys that are hashes.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Where each is in `octets`, and its length in the lowest 16 bits.
    places: hashbrown::HashMap<Key, u64, BuildIdentity>,
    octets: Vec<u8>,
}

/// The keys are hashes already.
type BuildIdentity = std::hash::BuildHasherDefault<Identity>;

/// Hands a key on as its own hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Texts {
    /// Keeps the text of a key, of up to 65,535 octets.
    pub fn keep(&mut self, key: Key, text: &[u8]) {
        let octets = &mut self.octets;
        self.places.entry(key).or_insert_with(|| {
            let text = text.get(..usize::from(u16::MAX)).unwrap_or(text);
            let at = octets.len() as u64;
            octets.extend_from_slice(text);
            at << 16 | text.len() as u64
        });
    }

    /// The text of a key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&[u8]> {
        let place = *self.places.get(&key)?;
        let len = (place & 0xffff) as usize;
        self.octets.get((place >> 16) as usize..)?.get(..len)
    }

    /// Keeps the texts of these keys only, and their room where that was needed.
    pub(super) fn retain(&mut self, keys: impl Iterator<Item = Key>) {
        let mut kept = Self::default();
        for key in keys {
            if let Some(text) = self.get(key) {
                kept.keep(key, text);
            }
        }
        self.clear();
        self.octets.extend_from_slice(&kept.octets);
        self.places.extend(kept.places);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets all texts, but keeps their room where that was needed.
    pub fn clear(&mut self) {
        self.places.shrink_to(self.places.len() * 2);
        self.places.clear();
        self.octets.shrink_to(self.octets.len() * 2);
        self.octets.clear();
    }

    /// Octets of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.octets.capacity() + self.places.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn counts(cells: &Cells) -> HashMap<(Key, Key), u64> {
        cells.iter().map(|(a, b, count)| ((a, b), count)).collect()
    }

    proptest! {
        #[test]
        fn cells_count_as_a_map_does(
            seed: u64,
            adds in prop::collection::vec((0_u64..40, 0_u64..40, 1_u64..1000), 0..2000),
        ) {
            let mut cells = Cells::new(usize::MAX, seed);
            let mut map = HashMap::new();
            for (first, second, weight) in adds {
                let is_new = !map.contains_key(&(first, second));
                let (number, counted) = match cells.add(first, second, weight) {
                    Counted::New(number) => (number, true),
                    Counted::Known(number) => (number, false),
                    Counted::Full => panic!("no limit"),
                };
                prop_assert_eq!(counted, is_new);
                cells.add_to(number, 5);
                *map.entry((first, second)).or_insert(0) += weight + 5;
            }
            prop_assert_eq!(cells.len(), map.len());
            prop_assert_eq!(counts(&cells), map);
        }
    }

    #[test]
    fn a_full_table_goes_on_counting_what_it_has() {
        let mut cells = Cells::new(2, 7);
        assert_eq!(cells.add(1, 1, 1), Counted::New(0));
        assert_eq!(cells.add(2, 2, 1), Counted::New(1));
        assert_eq!(cells.add(3, 3, 5), Counted::Full);
        assert_eq!(cells.add(1, 1, 4), Counted::Known(0));
        assert_eq!(cells.uncounted(), 5);
        assert_eq!(counts(&cells), HashMap::from([((1, 1), 5), ((2, 2), 1)]));
        cells.clear();
        assert!(cells.is_empty() && cells.uncounted() == 0);
        assert_eq!(cells.add(3, 3, 5), Counted::New(0));
    }

    #[test]
    fn cells_that_are_used_stay_with_their_numbers() {
        let mut cells = Cells::new(20, 7);
        let numbers: Vec<_> = (0..4).map(|key| cells.add(key, 0, 1)).collect();
        assert_eq!(numbers[3], Counted::New(3));
        assert!(cells.begin_anew());
        assert_eq!((cells.len(), cells.iter().count()), (4, 0));
        assert_eq!(cells.add(3, 0, 5), Counted::Known(3));
        cells.add_to(1, 2);
        assert_eq!(cells.add(4, 0, 1), Counted::New(4));
        let counted = HashMap::from([((3, 0), 5), ((1, 0), 2), ((4, 0), 1)]);
        assert_eq!(counts(&cells), counted);
        assert_eq!(cells.keys().count(), 2 * 5);
    }

    #[test]
    fn cells_are_forgotten_where_they_would_leave_no_room_or_are_used_no_more() {
        let filled = |limit, keys| {
            let mut cells = Cells::new(limit, 7);
            for key in 0..keys {
                cells.add(key, 0, 1);
            }
            cells
        };
        for (limit, keys, stay) in [
            (20, 14, true),
            (20, 15, false),
            (0, 0, false),
            (0, 1, false),
        ] {
            let mut cells = filled(limit, keys);
            assert_eq!(cells.begin_anew(), stay, "{keys} of {limit}");
            assert_eq!(cells.is_empty(), !stay);
            assert_eq!(cells.uncounted(), 0);
        }
        let mut cells = filled(20, 14);
        assert!(cells.begin_anew());
        cells.add(14, 0, 1);
        assert!(cells.begin_anew(), "three quarters of the room");
        cells.add(15, 0, 1);
        assert!(!cells.begin_anew(), "more of it");
        for (used, stay) in [(25, true), (24, false)] {
            let mut cells = filled(1_000, 100);
            assert!(cells.begin_anew());
            for key in 0..used {
                cells.add(key, 0, 1);
            }
            assert_eq!(cells.begin_anew(), stay, "{used} of 100");
        }
    }

    #[test]
    fn cells_that_stay_do_not_crowd_a_table() {
        let crowding = |cells: &mut Cells| {
            (0..20).find(|key| {
                cells.add(*key, 0, 1);
                cells.is_crowded()
            })
        };
        let mut cells = Cells::new(20, 7);
        assert_eq!(crowding(&mut cells), Some(14), "the fifteenth");
        let mut cells = Cells::new(20, 7);
        for key in 0..12 {
            cells.add(key, 0, 1);
        }
        assert!(cells.begin_anew() && !cells.is_crowded());
        assert_eq!(crowding(&mut cells), Some(17), "the sixth that is new");
    }

    #[test]
    fn room_that_is_not_needed_any_more_is_given_back() {
        let mut cells = Cells::new(usize::MAX, 7);
        for key in 0..10_000 {
            cells.add(key, 0, 1);
        }
        let flood = cells.memory();
        cells.clear();
        cells.add(1, 1, 1);
        cells.clear();
        assert!(cells.memory() * 8 < flood);
    }

    #[test]
    fn flat_datasets_spread_without_a_seed() {
        let mut cells = Cells::new(usize::MAX, 0);
        for key in 0..1_000_000 {
            cells.add(0, key, 1);
        }
        assert_eq!(cells.len(), 1_000_000);
    }

    #[test]
    fn texts_are_kept_once() {
        let mut texts = Texts::default();
        texts.keep(1, b"com");
        texts.keep(2, b"");
        texts.keep(1, b"com");
        assert_eq!(texts.get(1), Some(&b"com"[..]));
        assert_eq!(texts.get(2), Some(&b""[..]));
        assert_eq!(texts.get(3), None);
        assert_eq!(texts.octets.len(), 3);
    }
}
