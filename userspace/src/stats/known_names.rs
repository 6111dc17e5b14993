//! What is known of names that were asked for of late, so that the labels of a name
//! are looked at once and not for each message.
//!
//! It comes of the name, its role and the tables of what is known beside, and so
//! outlives what is counted, serves queries and responses alike, and is forgotten
//! when tables are replaced: a name may have another customer then. The table has a
//! bound, and two places for a hash, which share a cache line: a name that is met
//! again and again goes to the first of them, one that is new to the second if the
//! first is taken. So a flood of names leaves those that come often alone.

use super::{
    cells::Key,
    dataset::{Filter, Indexer, Predicate},
    plan::filter_bit,
};
use crate::prefetch::prefetch;

/// Names at most: 4 MiB.
const MOST: usize = 1 << 17;
/// Sets of an empty table.
const SMALLEST: usize = 64;
/// One lookup in so many brings its name to the front.
const REORDER: u32 = 8;
/// Values of a name that are kept.
pub(super) const TOLD: usize = 2;

/// What datasets want to know of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Values that make the shape of a name.
    pub(super) shape: Vec<Indexer>,
    /// Conditions that are a part of it.
    pub(super) predicates: Vec<Predicate>,
    /// Regular expressions that are a part of it, as bits.
    pub(super) expressions: u64,
    /// Whether the class of a question is asked for.
    pub(super) classes: bool,
    /// Values that are told.
    pub(super) told: Vec<Indexer>,
}

impl Wanted {
    /// The shape tells the values of an indexer.
    pub(super) fn shape_by(&mut self, indexer: Indexer) {
        if indexer == Indexer::QueryClassification {
            self.classes = true;
        } else if !self.shape.contains(&indexer) {
            self.shape.push(indexer);
        }
    }

    /// Likewise whether a filter passes.
    pub(super) fn shape_by_filter(&mut self, filter: Filter) {
        match filter {
            Filter::Is(predicate) if self.predicates.contains(&predicate) => {}
            Filter::Is(predicate) => self.predicates.push(predicate),
            Filter::QnameMatches(_) => self.expressions |= filter_bit(filter),
        }
    }

    /// The values of an indexer are kept, if there is room.
    pub(super) fn tell(&mut self, indexer: Indexer) {
        if !self.told.contains(&indexer) && self.told.len() < TOLD {
            self.told.push(indexer);
        }
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct KnownNames {
    sets: Vec<Set>,
    used: usize,
    lookups: u32,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([Known; 2]);

/// What is known of a name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// 0 where there is none.
    hash: u64,
    /// What its shape comes to.
    pub(super) shape: u64,
    /// In the order of what is wanted.
    pub(super) told: [Key; TOLD],
}

impl Known {
    pub(super) const fn new(hash: u64, shape: u64, told: [Key; TOLD]) -> Self {
        Self {
            hash: if hash == 0 { 1 } else { hash },
            shape,
            told,
        }
    }
}

impl KnownNames {
    pub(super) fn new() -> Self {
        Self {
            sets: vec![Set::default(); SMALLEST],
            used: 0,
            lookups: 0,
        }
    }

    #[inline(always)]
    fn set_of(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }

    /// A hint to the processor that a name will be asked for.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(set) = self.sets.get(self.set_of(hash)) {
            prefetch(set);
        }
    }

    /// What is known of the name with this hash.
    #[inline(always)]
    pub(super) fn find(&mut self, hash: u64) -> Option<&Known> {
        let hash = hash.max(1);
        let at = self.set_of(hash);
        let Set(set) = self.sets.get_mut(at)?;
        // Which of the two it is cannot be predicted: no jump goes by it. So the one
        // that comes more often is brought to the front with some lookups only.
        let mut way = usize::from(set[1].hash == hash);
        self.lookups = self.lookups.wrapping_add(1);
        if self.lookups.is_multiple_of(REORDER) {
            set.swap(0, way);
            way = 0;
        }
        set.get(way).filter(|known| known.hash == hash)
    }

    /// Keeps what is known of a name.
    pub(super) fn keep(&mut self, known: Known) {
        if self.used * 4 > self.sets.len() * 3 && self.sets.len() * 2 < MOST {
            self.grow();
        }
        let at = self.set_of(known.hash);
        if let Some(Set([first, second])) = self.sets.get_mut(at) {
            let place = if first.hash == 0 { first } else { second };
            self.used += usize::from(place.hash == 0);
            *place = known;
        }
    }

    /// Forgets all names, and keeps its room.
    pub(super) fn forget(&mut self) {
        if self.used != 0 {
            self.sets.fill(Set::default());
            self.used = 0;
        }
    }

    fn grow(&mut self) {
        let sets = vec![Set::default(); self.sets.len() * 2];
        let old = std::mem::replace(&mut self.sets, sets);
        self.used = 0;
        // The first of two stays the first.
        for known in old.iter().flat_map(|Set([first, second])| [second, first]) {
            let at = self.set_of(known.hash);
            if known.hash != 0
                && let Some(Set(set)) = self.sets.get_mut(at)
            {
                set.swap(0, 1);
                self.used += usize::from(set[0].hash == 0);
                set[0] = *known;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::cells::fold;

    const fn hash(name: u64) -> u64 {
        fold(name ^ 0xa076_1d64_78bd_642f, 0x9e37_79b9_7f4a_7c15)
    }

    fn meet(names: &mut KnownNames, name: u64) -> bool {
        let is_known = names
            .find(hash(name))
            .map(|known| assert_eq!((known.shape, known.told), (name, [name + 1, name + 2])))
            .is_some();
        if !is_known {
            names.keep(Known::new(hash(name), name, [name + 1, name + 2]));
        }
        is_known
    }

    #[test]
    fn a_name_is_known_from_its_second_time_on() {
        let mut names = KnownNames::new();
        assert!(!meet(&mut names, 0) && meet(&mut names, 0));
        let found = (0..200_000).filter(|name| meet(&mut names, name % 20_000));
        assert!(found.count() > 150_000);
    }

    /// Neither drives the other out, however seldom a lookup brings one to the front.
    #[test]
    fn two_names_have_room_in_one_set() {
        let mut names = KnownNames::new();
        let hashes = [1, 2].map(|n| n * SMALLEST as u64);
        for hash in hashes {
            names.keep(Known::new(hash, hash, [0; TOLD]));
        }
        for hash in hashes.into_iter().cycle().take(4 * REORDER as usize + 1) {
            assert_eq!(names.find(hash).map(|known| known.shape), Some(hash));
        }
    }

    #[test]
    fn names_are_forgotten_and_their_room_is_kept() {
        let mut names = KnownNames::new();
        let mut all_are_new = || (0..1_000).all(|name| !meet(&mut names, name));
        assert!(all_are_new() && !all_are_new());
        let room = names.sets.len();
        names.forget();
        assert_eq!((names.used, names.sets.len()), (0, room));
        assert!((0..1_000).all(|name| !meet(&mut names, name)));
    }

    #[test]
    fn the_table_is_bounded_and_a_flood_leaves_those_alone_that_come_often() {
        let mut names = KnownNames::new();
        for name in 0..200 {
            meet(&mut names, name);
            meet(&mut names, name);
        }
        let mut missed = 0;
        for name in 1_000..1_000_000 {
            meet(&mut names, name);
            missed += u32::from(!meet(&mut names, name % 200));
        }
        assert!(missed < 1_000, "{missed}");
        assert_eq!(names.sets.len() * 2, MOST);
    }
}
