//! A table of joints: messages that agree in the atoms that some datasets read,
//! and so are in the same cells of these.
//!
//! The first message of a joint is counted in each dataset, and the numbers of its
//! cells are kept. All that follow are counted in the joint, which is one addition
//! instead of one per dataset; later the joint's sums are spilled into its cells.
//!
//! The table has a bound, and two places for a hash, which share a cache line. A
//! joint that finds both taken drives the smaller one out, whose sums are spilled.
//! So what comes often stays, whatever else there is, and nothing is ever lost.

use super::prefetch::prefetch;

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
    /// Of each place what more is known of it.
    known: Vec<E>,
    datasets: usize,
    /// Most sets.
    limit: usize,
    used: usize,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([Joint; WAYS]);

#[derive(Clone, Copy, Debug, Default)]
struct Joint {
    /// 0 where there is none.
    hash: u64,
    sums: Sums,
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

impl<E: Copy + Default> Joints<E> {
    /// So many joints at most, or a few more, each of messages that are in up to
    /// so many `datasets`.
    pub(super) fn new(limit: usize, datasets: usize) -> Self {
        let limit = (limit / WAYS).next_power_of_two().max(1);
        let mut joints = Self {
            sets: Vec::new(),
            cells: Vec::new(),
            known: Vec::new(),
            datasets,
            limit,
            used: 0,
        };
        joints.make_room(SMALLEST.min(limit));
        joints
    }

    fn make_room(&mut self, sets: usize) {
        self.sets = vec![Set::default(); sets];
        self.cells = vec![NOT_COUNTED; sets * WAYS * self.datasets];
        self.known = vec![E::default(); sets * WAYS];
        self.used = 0;
    }

    #[inline(always)]
    fn set_of(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }

    /// A hint to the processor that a joint will be asked for.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        let at = self.set_of(hash);
        if let Some(set) = self.sets.get(at) {
            prefetch(set);
        }
        if let Some(known) = self.known.get(at * WAYS) {
            prefetch(known);
        }
    }

    /// Counts a message of a joint, if that is there; what more is known of it.
    #[inline(always)]
    pub(super) fn count(&mut self, hash: u64, weight: u64, octets: u64) -> Option<&E> {
        let at = self.set_of(hash);
        let Set([first, second]) = self.sets.get_mut(at)?;
        let hash = hash.max(1);
        let (joint, way) = if first.hash == hash {
            (first, 0)
        } else if second.hash == hash {
            (second, 1)
        } else {
            return None;
        };
        joint.sums.messages += weight;
        joint.sums.records += 1;
        joint.sums.octets += weight * octets;
        self.known.get(at * WAYS + way)
    }

    /// A place for a joint that is not there; what its cells and what more is
    /// known of it is for the caller to fill in. Whoever has to make room for it
    /// is spilled.
    pub(super) fn claim(
        &mut self,
        hash: u64,
        spill: impl FnMut(&[u32], &Sums),
    ) -> Option<(&mut [u32], &mut E)> {
        if self.used > self.sets.len() && self.sets.len() < self.limit {
            self.grow();
        }
        let at = self.set_of(hash);
        let Set([first, second]) = self.sets.get_mut(at)?;
        let (joint, way) = if second.hash == 0 || second.sums.records <= first.sums.records {
            (second, 1)
        } else {
            (first, 0)
        };
        let place = at * WAYS + way;
        let cells = self.cells.get_mut(place * self.datasets..)?;
        let cells = cells.get_mut(..self.datasets)?;
        if joint.hash == 0 {
            self.used += 1;
        }
        spill_joint(joint, cells, spill);
        joint.hash = hash.max(1);
        Some((cells, self.known.get_mut(place)?))
    }

    /// Each set becomes two, so no place of them is taken twice.
    fn grow(&mut self) {
        let mut grown = Self {
            limit: self.limit,
            ..Self::new(0, self.datasets)
        };
        grown.make_room(self.sets.len() * 2);
        let joints = self.sets.iter().flat_map(|set| &set.0).enumerate();
        for (place, joint) in joints.filter(|(_, joint)| joint.hash != 0) {
            let Some((cells, known)) = grown.claim(joint.hash, |_, _| {}) else {
                continue;
            };
            let from = place * self.datasets;
            if let Some(from) = self.cells.get(from..from + self.datasets) {
                cells.copy_from_slice(from);
            }
            if let Some(from) = self.known.get(place) {
                *known = *from;
            }
            grown.restore(joint);
        }
        *self = grown;
    }

    fn restore(&mut self, joint: &Joint) {
        let at = self.set_of(joint.hash);
        if let Some(Set(places)) = self.sets.get_mut(at) {
            for place in places.iter_mut().filter(|place| place.hash == joint.hash) {
                place.sums = joint.sums;
            }
        }
    }

    /// Spills all sums. The joints stay.
    pub(super) fn settle(&mut self, mut spill: impl FnMut(&[u32], &Sums)) {
        let datasets = self.datasets.max(1);
        let joints = self.sets.iter_mut().flat_map(|set| &mut set.0);
        if self.datasets == 0 {
            return;
        }
        for (joint, cells) in joints.zip(self.cells.chunks_exact(datasets)) {
            spill_joint(joint, cells, &mut spill);
        }
    }

    /// Forgets all joints, which must be settled, and keeps its room where that was
    /// needed.
    pub(super) fn forget(&mut self) {
        let needed = self.used.next_power_of_two().max(SMALLEST);
        if self.sets.len() > needed * 4 {
            self.make_room(needed);
        } else {
            self.sets.fill(Set::default());
            self.used = 0;
        }
    }

    /// Octets of memory.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.sets) + size_of_val(&*self.cells) + size_of_val(&*self.known)
    }
}

#[inline(always)]
fn spill_joint(joint: &mut Joint, cells: &[u32], mut spill: impl FnMut(&[u32], &Sums)) {
    if joint.sums.records != 0 {
        spill(cells, &joint.sums);
        joint.sums = Sums::default();
    }
}
