//! The most frequent of many values, in bounded memory: candidates for a cell
//! of their own.
//!
//! The algorithm is that of Misra and Gries: a table of counts, and when it is
//! full, the median of them is taken off all, and whoever falls to zero makes
//! room. A count is therefore too low by at most what was taken off, which is
//! at most twice the sum of all counts by the capacity. All counts decay, so
//! that they are of late.

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use super::cells::Key;

/// What has decayed to less is forgotten.
const FAINT: f64 = 0.25;

/// The table.
#[derive(Debug)]
pub struct Frequent {
    counts: HashMap<(Key, Key), f64, RandomState>,
    capacity: usize,
    taken_off: f64,
    /// Where the median is looked for.
    scratch: Vec<f64>,
}

impl Frequent {
    /// At most `capacity` values, and no fewer than two.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            counts: HashMap::default(),
            capacity: capacity.max(2),
            taken_off: 0.0,
            scratch: Vec::new(),
        }
    }

    /// Counts `weight` messages of a value; its count now.
    pub fn add(&mut self, value: (Key, Key), weight: f64) -> f64 {
        if let Some(count) = self.counts.get_mut(&value) {
            *count += weight;
            return *count;
        }
        if self.counts.len() >= self.capacity {
            self.make_room();
        }
        self.counts.insert(value, weight);
        weight
    }

    /// Forgets a value.
    pub fn remove(&mut self, value: (Key, Key)) {
        self.counts.remove(&value);
    }

    /// Multiplies all counts.
    pub fn decay(&mut self, factor: f64) {
        self.taken_off *= factor;
        self.counts.retain(|_, count| {
            *count *= factor;
            *count >= FAINT
        });
        // What a flood has needed is given back after it.
        if self.counts.capacity() > 4 * self.counts.len() {
            self.counts.shrink_to(2 * self.counts.len());
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The most that a value can have, whether it is in the table or not.
    #[must_use]
    pub fn bound(&self) -> f64 {
        self.counts.values().copied().fold(0.0, f64::max) + self.taken_off
    }

    /// Octets of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.counts.allocation_size() + self.scratch.capacity() * size_of::<f64>()
    }

    fn make_room(&mut self) {
        self.scratch.clear();
        self.scratch.extend(self.counts.values());
        let middle = self.scratch.len() / 2;
        let (_, median, _) = self.scratch.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        self.taken_off += median;
        self.counts.retain(|_, count| {
            *count -= median;
            *count > 0.0
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// By exact counts: nothing is forgotten that has more than the bound.
        #[test]
        fn counts_are_too_low_by_the_bound_at_most(
            capacity in 2_usize..40,
            values in prop::collection::vec(0_u64..100, 0..2000),
        ) {
            let mut frequent = Frequent::new(capacity);
            let mut exact = std::collections::HashMap::new();
            for value in &values {
                let count = frequent.add((*value, 0), 1.0);
                let exactly = exact.entry(*value).or_insert(0.0);
                *exactly += 1.0;
                prop_assert!(count <= *exactly);
                prop_assert!(count + frequent.taken_off >= *exactly);
                prop_assert!(frequent.len() <= capacity);
            }
            prop_assert!(exact.values().all(|count| *count <= frequent.bound()));
            let promised = 2.0 * values.len() as f64 / capacity as f64;
            prop_assert!(frequent.taken_off <= promised);
        }
    }

    #[test]
    fn what_was_long_ago_fades() {
        let mut frequent = Frequent::new(10);
        frequent.add((1, 0), 8.0);
        frequent.add((2, 0), 1.0);
        frequent.decay(0.5);
        assert_eq!(frequent.add((1, 0), 1.0), 5.0);
        frequent.decay(0.25);
        assert_eq!(frequent.len(), 1, "0.125 messages are none");
        assert_eq!(frequent.bound(), 1.25);
    }
}
