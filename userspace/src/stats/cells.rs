//! The cells of one dataset: a table from two values to a count.
//!
//! A cell is found by its values, or by the number that it got when it came, which
//! whoever counts the same cells again and again (`joints`) keeps. The probe by
//! values is what costs, and it costs a cache miss where a dataset has many cells:
//! so all that it needs stands in one place of 16 octets, whose address is known
//! ([`Cells::spot`]) before it is needed. The values themselves and their texts stand
//! elsewhere, by the numbers of cells: they are written once, and read by whoever
//! takes the counts. Open addressing with linear probing from one line of four places
//! to the next, so that few probes leave a line of the cache; no tombstones: cells are
//! only ever added, and all forgotten at once. When all is counted anew they can also
//! stay, without a count: what comes in one interval mostly comes in the next, too.
//!
//! A place goes by a hash of 64 bits of the two values, seeded so that nobody can
//! choose values that collide. Two cells of one hash would be counted as one: with a
//! million cells, that is once in thirty million tables.

use std::collections::BTreeMap;

use crate::prefetch::prefetch;

/// What stands for a value of an indexer: the number itself, or the hash of its
/// text, which [`Cells::keep_text`] keeps.
pub type Key = u64;

/// Lines of an empty table.
const SMALLEST: usize = 4;
/// Places of a line.
const WAYS: usize = 4;
/// No cell has this hash.
const FREE: u64 = 0;
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
    places: Vec<u32>,
    /// Their values, likewise.
    keys: Vec<[Key; 2]>,
    /// The texts of their values, by dimension.
    texts: [Texts; 2],
    /// What is too much for a place, by the numbers of cells.
    carried: BTreeMap<u32, u64>,
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
    /// [`FREE`] marks a place without a cell.
    hash: u64,
    /// With what is carried; never 0 where something was counted.
    count: u32,
    /// The number of the cell.
    number: u32,
}

/// Where a cell is, or would be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spot {
    keys: [Key; 2],
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

/// A cell in which something was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its values.
    pub keys: [Key; 2],
    /// Messages, or octets; never 0.
    pub count: u64,
    /// Its number.
    pub number: u32,
}

impl Cells {
    /// At most `limit` cells.
    #[must_use]
    pub fn new(limit: usize, seed: u64) -> Self {
        Self {
            lines: empty(SMALLEST),
            places: Vec::new(),
            keys: Vec::new(),
            texts: Default::default(),
            carried: BTreeMap::new(),
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
        let keys = [first, second];
        Spot { keys, hash }
    }

    /// Counts `weight` messages of a cell.
    #[inline]
    pub fn count(&mut self, spot: &Spot, weight: u64) -> Counted {
        let mask = self.lines.len() - 1;
        let mut at = spot.hash as usize & mask;
        while let Some(line) = self.lines.get_mut(at) {
            if let Some(place) = line.find(spot.hash) {
                let number = place.number;
                place.add(weight, number, &mut self.carried);
                return Counted::Known(number);
            }
            if let Some(free) = line.free() {
                return self.insert(at * WAYS + free, spot, weight);
            }
            at = (at + 1) & mask;
        }
        // There are always lines, and free places in them.
        self.uncounted += weight;
        Counted::Full
    }

    /// Both in one.
    #[inline]
    pub fn add(&mut self, first: Key, second: Key, weight: u64) -> Counted {
        let spot = Spot {
            keys: [first, second],
            hash: mix(first, second, self.seed),
        };
        self.count(&spot, weight)
    }

    /// Counts `weight` messages of the cell that has this number.
    #[inline]
    pub(super) fn add_to(&mut self, number: u32, weight: u64) {
        let at = self.places.get(number as usize);
        if let Some(place) = at.and_then(|at| place_mut(&mut self.lines, *at as usize)) {
            place.add(weight, number, &mut self.carried);
        }
    }

    /// Keeps the text of a new cell's value of a dimension, the last cell's only.
    pub fn keep_text(&mut self, number: u32, dimension: usize, text: &[u8]) {
        if let Some(texts) = self.texts.get_mut(dimension) {
            texts.keep(number, text);
        }
    }

    /// The texts of a cell's values; empty ones where a value has none.
    #[must_use]
    pub fn texts(&self, number: u32) -> [&[u8]; 2] {
        self.texts.each_ref().map(|texts| texts.get(number))
    }

    #[cold]
    fn insert(&mut self, at: usize, spot: &Spot, weight: u64) -> Counted {
        if self.places.len() >= self.limit {
            self.uncounted += weight;
            return Counted::Full;
        }
        let number = self.places.len() as u32;
        self.places.push(at as u32);
        self.keys.push(spot.keys);
        if let Some(place) = place_mut(&mut self.lines, at) {
            *place = Place {
                hash: spot.hash,
                count: 0,
                number,
            };
            place.add(weight, number, &mut self.carried);
        }
        // Up to five eighths full: few probes leave their line.
        if self.places.len() * 8 > self.lines.len() * WAYS * 5 {
            self.grow();
        }
        Counted::New(number)
    }

    fn grow(&mut self) {
        let grown = empty(self.lines.len() * 2);
        let mask = grown.len() - 1;
        let old = std::mem::replace(&mut self.lines, grown);
        let moved = old.iter().flat_map(|line| &line.0);
        for moved in moved.filter(|place| place.hash != FREE) {
            let mut at = (moved.hash as usize & mask) * WAYS;
            while let Some(place) = place_mut(&mut self.lines, at) {
                if place.hash == FREE {
                    *place = *moved;
                    break;
                }
                at = (at + 1) & (mask * WAYS + WAYS - 1);
            }
            if let Some(place) = self.places.get_mut(moved.number as usize) {
                *place = at as u32;
            }
        }
    }

    /// The cells in which something was counted, in the order of their coming.
    pub fn iter(&self) -> impl Iterator<Item = Cell> {
        let cells = (0..).zip(self.places.iter().zip(&self.keys));
        cells.filter_map(|(number, (at, keys))| {
            let line = self.lines.get(*at as usize / WAYS)?;
            let place = line.0.get(*at as usize % WAYS)?;
            let carried = || self.carried.get(&number).copied().unwrap_or(0);
            (place.count != 0).then(|| Cell {
                keys: *keys,
                count: u64::from(place.count) + carried(),
                number,
            })
        })
    }

    /// How many there are, those included that were kept and count nothing yet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no cell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether three quarters of the room for new cells are taken.
    #[must_use]
    pub const fn is_crowded(&self) -> bool {
        (self.places.len() - self.kept) * 4 >= (self.limit - self.kept) * 3
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

    /// Lines that so many cells need, to be counted again.
    fn lines_needed(&self) -> usize {
        (self.places.len() / 2).next_power_of_two().max(SMALLEST)
    }

    /// Whether there was room for far more cells than came.
    fn has_room_to_give(&self) -> bool {
        self.lines.len() > self.lines_needed() * 4
    }

    /// Forgets everything, but keeps its room where that was needed.
    pub fn clear(&mut self) {
        if self.has_room_to_give() {
            self.lines = empty(self.lines_needed());
            self.places = Vec::new();
            self.keys = Vec::new();
        } else if !self.places.is_empty() {
            self.lines.fill(Line::default());
            self.places.clear();
            self.keys.clear();
        }
        for texts in &mut self.texts {
            texts.clear();
        }
        self.carried.clear();
        self.kept = 0;
        self.uncounted = 0;
    }

    /// Counts anew: the cells stay, with their numbers, if they leave a quarter of the
    /// room to new ones, and if not too many of them have gone out of use. If not, all are
    /// forgotten, and likewise if they crowd the table, as what does so in a flood
    /// never comes again, or if a flood has left the table far too large. Whether they
    /// stay.
    pub(super) fn begin_anew(&mut self) -> bool {
        let mut used = 0;
        for place in self.lines.iter_mut().flat_map(|line| &mut line.0) {
            used += usize::from(place.count != 0);
            place.count = 0;
        }
        let stay = self.uncounted == 0
            && !self.is_crowded()
            && self.places.len() * 4 <= self.limit * 3
            && self.places.len() <= used.max(SOME) * USED_OF
            && !self.has_room_to_give();
        if stay {
            self.carried.clear();
            self.kept = self.places.len();
        } else {
            self.clear();
        }
        stay
    }

    /// Octets of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of_val(&*self.lines)
            + self.places.capacity() * size_of::<u32>()
            + self.keys.capacity() * size_of::<[Key; 2]>()
            + self.texts.iter().map(Texts::memory).sum::<usize>()
    }
}

impl Line {
    /// The place of a hash. All are looked at: which of them it is cannot be
    /// predicted, and a jump that goes wrong costs more than the others.
    #[inline(always)]
    fn find(&mut self, hash: u64) -> Option<&mut Place> {
        let ways = (0..).zip(&self.0);
        let way = ways.fold(0, |found, (way, place)| {
            found + way * usize::from(place.hash == hash)
        });
        self.0.get_mut(way).filter(|place| place.hash == hash)
    }

    /// The first one without a cell.
    fn free(&self) -> Option<usize> {
        self.0.iter().position(|place| place.hash == FREE)
    }
}

impl Place {
    /// Counts `weight` messages of the cell that has this number.
    #[inline(always)]
    fn add(&mut self, weight: u64, number: u32, carried: &mut BTreeMap<u32, u64>) {
        match u32::try_from(weight).map(|weight| self.count.checked_add(weight)) {
            Ok(Some(sum)) => self.count = sum,
            _ => self.carry(weight, number, carried),
        }
    }

    #[cold]
    fn carry(&mut self, weight: u64, number: u32, carried: &mut BTreeMap<u32, u64>) {
        // One of them stays, which marks the cell as used.
        let sum = u64::from(self.count) + weight;
        *carried.entry(number).or_insert(0) += sum - 1;
        self.count = 1;
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
    let hash = fold(
        first ^ seed ^ 0xa076_1d64_78bd_642f,
        second ^ 0x9e37_79b9_7f4a_7c15,
    );
    if hash == FREE { !FREE } else { hash }
}

#[inline(always)]
pub(super) const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}

/// The texts of one dimension, by the numbers of cells.
#[derive(Clone, Debug, Default)]
struct Texts {
    /// Where each ends in `octets`.
    ends: Vec<usize>,
    octets: Vec<u8>,
}

impl Texts {
    /// Keeps the text of a cell that came after all others that have one here.
    fn keep(&mut self, number: u32, text: &[u8]) {
        let cells = number as usize;
        debug_assert!(self.ends.len() <= cells, "texts in the order of cells");
        self.ends.resize(cells, self.octets.len());
        self.octets.extend_from_slice(text);
        self.ends.push(self.octets.len());
    }

    fn get(&self, number: u32) -> &[u8] {
        let at = number as usize;
        let end = self.ends.get(at);
        let start = at
            .checked_sub(1)
            .map_or(Some(&0), |before| self.ends.get(before));
        let range = start.zip(end).map_or(0..0, |(start, end)| *start..*end);
        self.octets.get(range).unwrap_or(&[])
    }

    /// Forgets all texts, but keeps their room where that was needed.
    fn clear(&mut self) {
        self.ends.shrink_to(self.ends.len() * 2);
        self.ends.clear();
        self.octets.shrink_to(self.octets.len() * 2);
        self.octets.clear();
    }

    /// Octets of memory.
    const fn memory(&self) -> usize {
        self.octets.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn counts(cells: &Cells) -> HashMap<(Key, Key), u64> {
        let cells = cells.iter();
        cells.map(|cell| (cell.keys.into(), cell.count)).collect()
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
    fn cells_of_two_dimensions_are_told_apart() {
        for seed in [0, 1, u64::MAX, 0x2545_f491_4f6c_dd1d] {
            let mut cells = Cells::new(usize::MAX, seed);
            for first in 0..1_000 {
                for second in 0..300 {
                    cells.add(first, second, 1);
                    cells.add(first << 48, second << 40, 1);
                    cells.add(u64::MAX - first, second, 1);
                }
            }
            // The first of all is there twice.
            assert_eq!(cells.len(), 3 * 300_000 - 1, "{seed}");
        }
    }

    #[test]
    fn counts_may_be_more_than_places_hold() {
        let mut cells = Cells::new(usize::MAX, 7);
        let most = u64::from(u32::MAX);
        for (key, weights) in [
            (0, &[most, 1, 1][..]),
            (1, &[5, most + 1]),
            (2, &[most + 1]),
            (3, &[most]),
        ] {
            for weight in weights {
                cells.add(key, 0, *weight);
            }
        }
        cells.add_to(3, 3 * most);
        let counted = [(0, most + 2), (1, most + 6), (2, most + 1), (3, 4 * most)];
        let counted = counted.map(|(key, count)| ((key, 0), count));
        assert_eq!(counts(&cells), HashMap::from(counted));
        assert!(cells.begin_anew());
        assert!(counts(&cells).is_empty());
        cells.add(2, 0, 1);
        assert_eq!(counts(&cells), HashMap::from([((2, 0), 1)]));
    }

    #[test]
    fn texts_are_those_of_their_cells() {
        let mut cells = Cells::new(usize::MAX, 7);
        let texts: [[&[u8]; 2]; 4] = [[b"", b"com"], [b"", b""], [b"a", b"b"], [b"", b"net"]];
        for (number, texts) in (0..).zip(texts) {
            cells.add(u64::from(number), 0, 1);
            for (dimension, text) in texts.into_iter().enumerate() {
                if !text.is_empty() {
                    cells.keep_text(number, dimension, text);
                }
            }
        }
        for (number, texts) in (0..).zip(texts) {
            assert_eq!(cells.texts(number), texts);
        }
        assert_eq!(cells.texts(4), [b""; 2]);
        assert!(cells.begin_anew());
        assert_eq!(cells.texts(3), texts[3]);
        cells.clear();
        assert_eq!(cells.texts(0), [b""; 2]);
    }
}
