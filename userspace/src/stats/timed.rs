//! The dataset of response times, of messages that come in the order of their
//! time: from captures. Live, `pairing` measures them.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use super::{
    cells::Key,
    observed::Observed,
    plan::{Plan, Step},
    response_time::{ResponseTime, ResponseTimes},
    table::{Cell, Row, Skipped, in_order},
    values::{At, SKIP, Values},
};

/// The dataset of response times.
pub(super) struct Timed {
    step: Step,
    times: ResponseTimes<Key>,
    counts: BTreeMap<(Key, ResponseTime), u64>,
    /// The texts of rows: a query may end in another interval than it began.
    texts: HashMap<Key, Box<[u8]>>,
    /// So many cells at most.
    limit: usize,
    uncounted: u64,
}

impl Timed {
    /// That of the plan, if it has one, with at most so many cells.
    pub(super) fn of(plan: &Plan, cells: usize) -> Option<Self> {
        Some(Self {
            step: plan.timed?,
            times: ResponseTimes::new(plan.times),
            counts: BTreeMap::new(),
            texts: HashMap::new(),
            limit: cells,
            uncounted: 0,
        })
    }

    /// Which dataset it is.
    pub(super) const fn step(&self) -> &Step {
        &self.step
    }

    /// Looks at a message.
    pub(super) fn see(&mut self, plan: &Plan, values: &mut Values, observed: &Observed<'_>) {
        let rules = &plan.rules;
        let at = At { observed, rules };
        values.begin();
        if values.pass(self.step.required, plan.way(observed), at) {
            self.message(values, at);
        }
    }

    fn message(&mut self, values: &mut Values, at: At<'_>) {
        let row = values.key(self.step.first, at);
        if row == SKIP {
            return;
        }
        let texts = &mut self.texts;
        values.show_text(self.step.first, at, |text| {
            texts.entry(row).or_insert_with(|| text.into());
        });
        if let Some(value) = self.times.observe(at.observed, row) {
            self.count(row, value, at.observed.weight);
        }
    }

    fn count(&mut self, row: Key, value: ResponseTime, weight: u64) {
        let has_room = self.counts.len() < self.limit;
        match self.counts.entry((row, value)) {
            Entry::Occupied(mut count) => *count.get_mut() += weight,
            Entry::Vacant(place) if has_room => drop(place.insert(weight)),
            Entry::Vacant(_) => self.uncounted += weight,
        }
    }

    /// Queries without a response have timed out at this time, in ns.
    pub(super) fn end_interval(&mut self, now_ns: u64) {
        let mut rows = Vec::new();
        self.times.end_interval(now_ns, |row| rows.push(row));
        for row in rows {
            self.count(row, ResponseTime::Timeout, 1);
        }
    }

    /// Forgets what was counted; queries that wait keep their rows.
    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.uncounted = 0;
        let waiting: HashSet<_> = self.times.rows().collect();
        self.texts.retain(|row, _| waiting.contains(row));
    }

    /// What was counted, with rows as they are `printed`, and what of it found no
    /// room.
    pub(super) fn rows(&self, printed: impl Fn(Key, &[u8]) -> Option<Vec<u8>>) -> Vec<Row> {
        let rows = self.counts.iter().filter_map(|((row, value), count)| {
            let cell = Cell {
                value: value.label().into_bytes(),
                count: *count,
            };
            let text = self.texts.get(row).map_or(&[][..], |text| &**text);
            Some(Row {
                value: printed(*row, text)?,
                cells: vec![cell],
                skipped: Skipped::default(),
            })
        });
        in_order(rows.collect())
    }

    /// Messages counted, those included that found no room.
    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.uncounted
    }

    /// Those that found no room.
    pub(super) const fn uncounted(&self) -> u64 {
        self.uncounted
    }
}

impl std::fmt::Debug for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timed").finish_non_exhaustive()
    }
}
