//! A table of joints: messages that agree in the atoms that some datasets read,
//! and so are in the same cells of these.
//!
//! The first message of a joint is counted in each dataset, and the numbers of its
//! cells are kept. All that follow are counted in the joint, which is one addition
//! instead of one per dataset; later the joint's sums are spilled into its cells.
//!
//! Joints outlive a hand-over, where the cells of their datasets do: what comes in
//! one interval mostly comes in the next one, too.
//!
//! The table has a bound, and two places for a hash, which share a cache line. A
//! joint that finds both taken drives the smaller one out, whose sums are spilled.
//! So what comes often stays, whatever else there is, and nothing is ever lost.
//! Where a table has grown as far as it may, and still hardly a lookup finds its
//! joint, as in a flood of random clients, joints are no gain: the table rests, and
//! tries again from time to time. One that is being filled is not judged: it would
//! rest where most messages are alike.

use crate::prefetch::prefetch;

/// Sets of an empty table.
const SMALLEST: usize = 32;
/// Places of a set.
const WAYS: usize = 2;
/// The message passes no filter of the dataset, or has no value in it.
pub(super) const NOT_COUNTED: u32 = u32::MAX;
/// The cell has found no room.
pub(super) const UNCOUNTED: u32 = u32::MAX - 1;

/// The table, with something more that is known of each joint.
#[derive(Clone, Debug)]
pub(super) struct Joints<E> {
    /// A power of two.
    sets: Vec<Set>,
    /// Of each place the numbers of its cells, one per dataset.
    cells: Vec<u32>,
    /// Of each place what more is known of it, where that is asked for.
    known: Vec<E>,
    /// Of each place the octets of messages, where they are asked for.
    octets: Vec<u64>,
    shape: Shape,
    used: usize,
    tried: Tried,
}

/// What it is made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Joints at most, but never fewer than a set of them; they fill a power of two.
    pub(super) limit: usize,
    /// Datasets.
    pub(super) datasets: usize,
    /// Whether more is known of joints than their notes.
    pub(super) knows_more: bool,
    /// Whether any of them adds octets up.
    pub(super) measures_octets: bool,
    pub(super) trial: Trial,
}

/// When a table is of use that may not grow any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    /// After so many joints that had to drive out others it is judged.
    pub(super) misses: u32,
    /// It is of use if so many lookups have found their joints since.
    pub(super) hits: u64,
    /// If not, so many lookups are passed over.
    pub(super) rest: u32,
}

/// Of use if one lookup in nine finds its joint.
impl Default for Trial {
    fn default() -> Self {
        Self {
            misses: 1024,
            hits: 128,
            rest: 32 * 1024,
        }
    }
}

/// Whether lookups find what they look for, since the table was judged.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    hits: u64,
    misses: u32,
    /// So many lookups are still to be passed over.
    resting: u32,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([Joint; WAYS]);

#[derive(Clone, Copy, Debug, Default)]
struct Joint {
    /// 0 where there is none.
    hash: u64,
    messages: u64,
    records: u64,
    note: u64,
}

/// What was counted in a joint and not spilled yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) messages: u64,
    /// Fewer, where messages were sampled.
    pub(super) records: u64,
    /// Octets of the messages.
    pub(super) octets: u64,
}

/// A joint that was there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) note: u64,
    pub(super) place: usize,
    /// Nothing was counted in it since it was settled.
    pub(super) is_first: bool,
}

/// A place for a joint, to be filled in.
#[derive(Debug)]
pub(super) struct Claimed<'j, E> {
    /// The numbers of its cells.
    pub(super) cells: &'j mut [u32],
    /// What more is known of it, where that is asked for.
    pub(super) known: Option<&'j mut E>,
}

impl<E: Copy + Default> Joints<E> {
    /// None yet.
    pub(super) fn new(shape: Shape) -> Self {
        let mut joints = Self {
            sets: Vec::new(),
            cells: Vec::new(),
            known: Vec::new(),
            octets: Vec::new(),
            shape,
            used: 0,
            tried: Tried::default(),
        };
        joints.make_room(SMALLEST.min(joints.most_sets()));
        joints
    }

    fn most_sets(&self) -> usize {
        1 << (self.shape.limit / WAYS).max(1).ilog2()
    }

    fn make_room(&mut self, sets: usize) {
        let places = sets * WAYS;
        self.sets = vec![Set::default(); sets];
        self.cells = vec![NOT_COUNTED; places * self.shape.datasets];
        if self.shape.knows_more {
            self.known = vec![E::default(); places];
        }
        if self.shape.measures_octets {
            self.octets = vec![0; places];
        }
        self.used = 0;
    }

    #[inline(always)]
    fn set_of(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }

    /// A hint to the processor that a joint will be asked for.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(set) = self.sets.get(self.set_of(hash)) {
            prefetch(set);
        }
    }

    /// Counts a message of a joint, if that is there.
    #[inline(always)]
    pub(super) fn count(&mut self, hash: u64, weight: u64, octets: u64) -> Option<Found> {
        if self.tried.resting != 0 {
            self.tried.resting -= 1;
            return None;
        }
        let hash = hash.max(1);
        let at = self.set_of(hash);
        let Set(set) = self.sets.get_mut(at)?;
        // Which of the two it is cannot be predicted: no jump goes by it.
        let way = usize::from(set[1].hash == hash);
        let joint = set.get_mut(way).filter(|joint| joint.hash == hash)?;
        self.tried.hits += 1;
        let found = Found {
            note: joint.note,
            place: at * WAYS + way,
            is_first: joint.records == 0,
        };
        joint.messages += weight;
        joint.records += 1;
        if let Some(sum) = self.octets.get_mut(found.place) {
            *sum += weight * octets;
        }
        Some(found)
    }

    /// What more is known of the joint at a place.
    #[inline(always)]
    pub(super) fn known(&self, place: usize) -> E {
        self.known.get(place).copied().unwrap_or_default()
    }

    /// A place for a joint that is not there, unless that is no gain. Whoever has to
    /// make room for it is spilled.
    pub(super) fn claim(
        &mut self,
        hash: u64,
        note: u64,
        spill: impl FnMut(&[u32], &Sums),
    ) -> Option<Claimed<'_, E>> {
        if self.tried.resting != 0 {
            return None;
        }
        if self.used > self.sets.len() && self.sets.len() < self.most_sets() {
            self.grow();
        }
        let joint = Joint {
            hash: hash.max(1),
            note,
            ..Joint::default()
        };
        self.put(joint, spill)
    }

    /// Puts a joint in the place of the smaller one of two.
    fn put(&mut self, new: Joint, spill: impl FnMut(&[u32], &Sums)) -> Option<Claimed<'_, E>> {
        let at = self.set_of(new.hash);
        let may_grow = self.sets.len() < self.most_sets();
        let Set([first, second]) = self.sets.get_mut(at)?;
        let (joint, way) = if first.hash == 0 || first.records < second.records {
            (first, 0)
        } else {
            (second, 1)
        };
        let place = at * WAYS + way;
        let cells = self.cells.get_mut(place * self.shape.datasets..)?;
        let cells = cells.get_mut(..self.shape.datasets)?;
        if joint.hash == 0 {
            self.used += 1;
        } else if !may_grow {
            self.tried.misses(self.shape.trial);
        }
        spill_joint(joint, self.octets.get_mut(place), cells, spill);
        *joint = new;
        let known = self.known.get_mut(place);
        Some(Claimed { cells, known })
    }

    /// Each set becomes two, so there is room for all joints of it.
    fn grow(&mut self) {
        let mut grown = Self::new(Shape {
            limit: 0,
            ..self.shape
        });
        grown.make_room(self.sets.len() * 2);
        let joints = self.sets.iter().flat_map(|set| &set.0).enumerate();
        for (place, joint) in joints.filter(|(_, joint)| joint.hash != 0) {
            let Some(claimed) = grown.put(*joint, |_, _| {}) else {
                continue;
            };
            let from = place * self.shape.datasets;
            if let Some(from) = self.cells.get(from..from + self.shape.datasets) {
                claimed.cells.copy_from_slice(from);
            }
            if let Some((to, from)) = claimed.known.zip(self.known.get(place)) {
                *to = *from;
            }
            grown.move_octets(joint.hash, self.octets.get(place).copied());
        }
        *self = Self {
            shape: self.shape,
            tried: self.tried,
            ..grown
        };
    }

    fn move_octets(&mut self, hash: u64, octets: Option<u64>) {
        let at = self.set_of(hash);
        let ways = self.sets.get(at).into_iter().flat_map(|set| &set.0);
        let way = ways.enumerate().find(|(_, joint)| joint.hash == hash);
        let place = way.and_then(|(way, _)| self.octets.get_mut(at * WAYS + way));
        if let Some((to, octets)) = place.zip(octets) {
            *to = octets;
        }
    }

    /// Whether it passes lookups over.
    #[cfg(test)]
    pub(super) const fn rests(&self) -> bool {
        self.tried.resting != 0
    }

    /// Whether there is no joint.
    #[cfg(test)]
    pub(super) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether it is larger than an empty one.
    #[cfg(test)]
    pub(super) const fn has_grown(&self) -> bool {
        self.sets.len() > SMALLEST
    }

    /// Spills all sums. The joints stay.
    pub(super) fn settle(&mut self, mut spill: impl FnMut(&[u32], &Sums)) {
        let datasets = self.shape.datasets;
        let joints = self.sets.iter_mut().flat_map(|set| &mut set.0).enumerate();
        for (place, joint) in joints {
            let from = place * datasets;
            if let Some(cells) = self.cells.get(from..from + datasets) {
                spill_joint(joint, self.octets.get_mut(place), cells, &mut spill);
            }
        }
    }

    /// The joints, which must be settled, are of another interval from here on.
    pub(super) fn begin_anew(&mut self) {
        self.tried = Tried {
            resting: self.tried.resting,
            ..Tried::default()
        };
    }

    /// Forgets all joints, which must be settled, and keeps its room where that was
    /// needed.
    pub(super) fn forget(&mut self) {
        let needed = self.used.next_power_of_two().max(SMALLEST);
        if self.sets.len() > needed * 4 {
            self.make_room(needed);
        } else if self.used != 0 {
            self.sets.fill(Set::default());
            self.used = 0;
        }
        self.tried = Tried::default();
    }
}

impl Tried {
    /// A joint that was not there drives out another one: whether the table is to
    /// rest.
    const fn misses(&mut self, trial: Trial) {
        self.misses += 1;
        if self.misses == trial.misses {
            *self = Self {
                hits: 0,
                misses: 0,
                resting: if self.hits < trial.hits {
                    trial.rest
                } else {
                    0
                },
            };
        }
    }
}

#[inline(always)]
fn spill_joint(
    joint: &mut Joint,
    octets: Option<&mut u64>,
    cells: &[u32],
    mut spill: impl FnMut(&[u32], &Sums),
) {
    if joint.records != 0 {
        let sums = Sums {
            messages: joint.messages,
            records: joint.records,
            octets: octets.map(std::mem::take).unwrap_or_default(),
        };
        spill(cells, &sums);
        (joint.messages, joint.records) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::stats::cells::fold;

    fn joints(limit: usize) -> Joints<u64> {
        Joints::new(Shape {
            limit,
            datasets: 1,
            knows_more: true,
            measures_octets: true,
            trial: Trial::default(),
        })
    }

    /// Counts a message of a joint that is in the cell of its own number: whether
    /// the joint was there.
    fn count(
        joints: &mut Joints<u64>,
        joint: u64,
        weight: u64,
        cells: &mut HashMap<u32, Sums>,
    ) -> bool {
        let hash = joint.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(found) = joints.count(hash, weight, 100) {
            let known = joints.known(found.place);
            assert_eq!((found.note, known), (joint + 1, joint + 2));
            return true;
        }
        if let Some(claimed) = joints.claim(hash, joint + 1, |row, sums| spill(cells, row, sums)) {
            claimed.cells.copy_from_slice(&[joint as u32]);
            *claimed.known.expect("more") = joint + 2;
        }
        let sums = Sums {
            messages: weight,
            records: 1,
            octets: weight * 100,
        };
        spill(cells, &[joint as u32], &sums);
        false
    }

    fn spill(cells: &mut HashMap<u32, Sums>, row: &[u32], sums: &Sums) {
        let cell = cells.entry(row[0]).or_default();
        cell.messages += sums.messages;
        cell.records += sums.records;
        cell.octets += sums.octets;
    }

    proptest! {
        #[test]
        fn nothing_is_lost_whatever_is_driven_out(
            limit in 0_usize..300,
            messages in prop::collection::vec((0_u64..500, 1_u64..5), 0..4000),
        ) {
            let mut joints = joints(limit);
            let (mut told, mut expected) = (HashMap::new(), HashMap::<u32, Sums>::new());
            for (joint, weight) in messages {
                count(&mut joints, joint, weight, &mut told);
                let expected = expected.entry(joint as u32).or_default();
                expected.messages += weight;
                expected.records += 1;
                expected.octets += weight * 100;
            }
            joints.settle(|row, sums| spill(&mut told, row, sums));
            prop_assert_eq!(&told, &expected);
            joints.settle(|row, sums| spill(&mut told, row, sums));
            prop_assert_eq!(&told, &expected);
        }
    }

    #[test]
    fn a_joint_is_there_from_its_second_message_on_until_all_are_forgotten() {
        let mut joints = joints(64);
        let mut cells = HashMap::new();
        for _ in 0..2 {
            for joint in [3, 0, 4] {
                assert!(!count(&mut joints, joint, 1, &mut cells));
                assert!(count(&mut joints, joint, 1, &mut cells));
            }
            joints.settle(|row, sums| spill(&mut cells, row, sums));
            joints.forget();
        }
    }

    #[test]
    fn who_comes_often_stays_in_a_flood() {
        let mut joints = joints(64);
        let mut cells = HashMap::new();
        for joint in 1_000..1_500 {
            count(&mut joints, 7, 1, &mut cells);
            assert!(count(&mut joints, 7, 1, &mut cells), "{joint}");
            count(&mut joints, joint, 1, &mut cells);
        }
    }

    #[test]
    fn it_rests_where_it_is_full_and_nothing_comes_twice_and_tries_again() {
        let limit = 1 << 10;
        let mut joints = joints(limit);
        let mut cells = HashMap::new();
        let mut flood = 0..;
        while joints.tried.resting == 0 {
            let joint = flood.next().expect("no end");
            count(&mut joints, joint, 1, &mut cells);
        }
        let filled = limit + Trial::default().misses as usize;
        assert!((1_024..=filled as u64).contains(&flood.start), "{flood:?}");
        let found = (0..100_000).filter(|_| count(&mut joints, 7, 1, &mut cells));
        assert!(found.count() > 60_000);
    }

    /// As with clients that come equally often, some of them between two
    /// hand-overs: five of six messages are of one that was there before.
    #[test]
    fn a_table_that_is_being_filled_does_not_rest() {
        let mut joints = joints(16_384);
        let mut cells = HashMap::new();
        for _ in 0..2 {
            let found = (0..50_000_u64).filter(|message| {
                let joint = fold(message ^ 0xa076_1d64_78bd_642f, 0x9e37_79b9_7f4a_7c15) % 8_000;
                count(&mut joints, joint, 1, &mut cells)
            });
            assert!(found.count() > 41_000);
            joints.settle(|row, sums| spill(&mut cells, row, sums));
            joints.forget();
        }
    }

    #[test]
    fn a_table_has_as_many_joints_as_it_may_have() {
        for (limit, most) in [(0, 2), (1, 2), (2, 2), (3, 2), (100, 64), (128, 128)] {
            let mut joints = joints(limit);
            let mut cells = HashMap::new();
            for joint in 0..1_000 {
                count(&mut joints, joint, 1, &mut cells);
            }
            assert_eq!(joints.sets.len() * WAYS, most, "{limit}");
        }
    }

    #[test]
    fn room_that_is_not_needed_any_more_is_given_back() {
        let mut joints = joints(1 << 16);
        let mut cells = HashMap::new();
        for joint in 0..40_000 {
            for _ in 0..2 {
                count(&mut joints, joint, 1, &mut cells);
            }
        }
        let most = joints.sets.len();
        for _ in 0..2 {
            joints.settle(|_, _| {});
            joints.forget();
            count(&mut joints, 1, 1, &mut cells);
        }
        assert!(joints.sets.len() * 8 < most);
    }
}
