//! The family of one dataset: which of its values have a cell.
//!
//! A value that has a cell keeps it as a counter that only grows, until it is
//! idle for long or makes room for one that is clearly bigger. What has none is
//! counted as something more general: a random name as its zone, a pair of
//! values as the first one with `other`, and in the end as `other` altogether.
//! The counts of a cell that goes are moved to `retired`, so that the sum of the
//! family is all that was ever counted, and nothing in it ever falls.

use std::{collections::VecDeque, sync::Arc};

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use super::{
    Budget, CellReport, Limits, MINUTE_NS, Table,
    value::{OTHER_VALUE, folded, value},
};
use crate::stats::{
    cells::{Cell as Counted, Key},
    dataset::{Dataset, Indexer, Measure},
    engine::DatasetCounts,
    flood::{Folded, Guard, is_name},
    frequent::Frequent,
    plan::Rules,
    values::OTHER,
};

/// A value replaces another only if it has so many times its messages.
const CLEARLY_BIGGER: f64 = 2.0;

/// Which value, by the keys of both dimensions.
type Pair = (Key, Key);

/// The cells of one dataset.
#[derive(Debug)]
pub(super) struct Family {
    dataset: Arc<Dataset>,
    cap: usize,
    index: HashMap<Pair, usize, RandomState>,
    cells: Vec<Option<Cell>>,
    free: Vec<usize>,
    by_labels: HashMap<[Arc<str>; 2], usize, RandomState>,
    candidates: Frequent,
    /// Messages of late, as those of cells and candidates are.
    recent: f64,
    recent_uncounted: f64,
    /// No cell has fewer messages of late.
    least: f64,
    /// What one message adds: of octets, the mean of the last batch.
    one: f64,
    /// When cells were replaced within the last minute.
    replaced: VecDeque<u64>,
    pub(super) counts: FamilyCounts,
    /// Where a batch is sorted.
    batch: Vec<Counted>,
}

/// What is counted of a family beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FamilyCounts {
    pub(super) total: u64,
    pub(super) other: u64,
    pub(super) retired: u64,
    pub(super) uncounted: u64,
    pub(super) churn: u64,
    pub(super) expired: u64,
    pub(super) overflow: u64,
}

#[derive(Debug)]
struct Cell {
    labels: [Arc<str>; 2],
    count: u64,
    recent: f64,
    used_ns: u64,
}

/// What a batch is counted with.
pub(super) struct At<'a> {
    pub(super) rules: &'a Rules,
    pub(super) budget: &'a mut Budget,
    pub(super) guard: &'a mut Guard,
    pub(super) now_ns: u64,
}

/// One value on its way into a cell.
#[derive(Clone, Debug)]
struct Place<'a> {
    pair: Pair,
    texts: [&'a [u8]; 2],
    /// The zone that the random names of a dimension are folded into.
    folded: [Option<Vec<u8>>; 2],
}

impl Family {
    pub(super) fn new(dataset: Arc<Dataset>, limits: &Limits) -> Self {
        let cap = dataset
            .max_cells
            .map_or(limits.max_cells, |max| max.get() as usize);
        Self {
            dataset,
            cap,
            index: HashMap::default(),
            cells: Vec::new(),
            free: Vec::new(),
            by_labels: HashMap::default(),
            candidates: Frequent::new(limits.candidates),
            recent: 0.0,
            recent_uncounted: 0.0,
            least: 0.0,
            one: 1.0,
            replaced: VecDeque::new(),
            counts: FamilyCounts::default(),
            batch: Vec::new(),
        }
    }

    /// Shows the names that have no cell to the guard.
    pub(super) fn watch(&self, counts: &DatasetCounts, guard: &mut Guard) {
        let weight = weight(counts);
        for cell in counts.cells.iter() {
            if self.index.contains_key(&Pair::from(cell.keys)) {
                continue;
            }
            let names = cell.keys.into_iter().zip(counts.cells.texts(cell.number));
            for (dimension, (key, name)) in names.enumerate() {
                if is_name(self.indexer(dimension)) {
                    guard.watch(name, key, (cell.count / weight).max(1));
                }
            }
        }
    }

    /// Records of values that found no room.
    pub(super) fn unseen(counts: &DatasetCounts) -> u64 {
        counts.cells.uncounted() / weight(counts)
    }

    /// Counts what a shard has handed over.
    pub(super) fn merge(&mut self, counts: &DatasetCounts, at: &mut At<'_>) {
        let uncounted = counts.cells.uncounted();
        self.counts.total += counts.total;
        self.counts.uncounted += uncounted;
        self.counts.other += uncounted;
        self.recent += counts.total as f64;
        self.one = match self.dataset.measure {
            Measure::Messages => 1.0,
            Measure::Bytes => counts.total as f64 / counts.records.max(1) as f64,
        };
        self.recent_uncounted += uncounted as f64;
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        batch.extend(counts.cells.iter());
        // The biggest ones choose first.
        if batch.len() > self.cap {
            batch.select_nth_unstable_by(self.cap, |a, b| b.count.cmp(&a.count));
        }
        let is_crowded = batch.len() > self.cap / 2;
        for cell in &batch {
            let place = Place {
                pair: cell.keys.into(),
                texts: counts.cells.texts(cell.number),
                folded: [None, None],
            };
            self.count(&place, cell.count, is_crowded, at);
        }
        if batch.capacity() > 4 * batch.len() {
            batch.shrink_to(2 * batch.len());
        }
        self.batch = batch;
    }

    /// Lets what was counted fade.
    pub(super) fn decay(&mut self, factor: f64) {
        self.recent *= factor;
        self.recent_uncounted *= factor;
        self.least *= factor;
        self.candidates.decay(factor);
        for cell in self.cells.iter_mut().flatten() {
            cell.recent *= factor;
        }
    }

    /// Ends the cells that were not used since `since_ns`.
    pub(super) fn expire(&mut self, since_ns: u64, budget: &mut Budget) {
        for place in 0..self.cells.len() {
            let cell = self.cells.get(place).and_then(Option::as_ref);
            if cell.is_some_and(|cell| cell.used_ns < since_ns) {
                self.retire(place, budget);
                self.counts.expired += 1;
            }
        }
    }

    /// The most messages of late that a value without a cell can have.
    pub(super) fn error_bound(&self) -> f64 {
        self.candidates.bound() + self.recent_uncounted
    }

    /// Values that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.index.len()
    }

    /// Octets of memory, with a guess at those of texts.
    pub(super) fn memory(&self) -> usize {
        const TEXT: usize = 64;
        self.candidates.memory()
            + self.index.allocation_size()
            + self.by_labels.allocation_size()
            + self.cells.capacity() * size_of::<Option<Cell>>()
            + self.cells.len() * 2 * TEXT
            + self.batch.capacity() * size_of::<Counted>()
    }

    pub(super) fn table(&self) -> Table {
        let mut cells: Vec<_> = self
            .cells
            .iter()
            .flatten()
            .map(|cell| CellReport {
                values: cell.labels.clone(),
                count: cell.count,
            })
            .collect();
        cells.sort_by(|a, b| a.values.cmp(&b.values));
        Table {
            dataset: Arc::clone(&self.dataset),
            cells,
            total: self.counts.total,
            other: self.counts.other,
            retired: self.counts.retired,
            uncounted: self.counts.uncounted,
            replaced: self.counts.churn,
            expired: self.counts.expired,
            overflow: self.counts.overflow,
            error_bound: self.error_bound(),
        }
    }

    fn count(&mut self, place: &Place<'_>, count: u64, is_crowded: bool, at: &mut At<'_>) {
        if self.take(place, count, is_crowded, at) {
            return;
        }
        if let Some(place) = self.folded(place, at)
            && self.take(&place, count, is_crowded, at)
        {
            return;
        }
        if let Some(place) = self.first_with_other(place)
            && self.take(&place, count, is_crowded, at)
        {
            return;
        }
        self.counts.other += count;
    }

    /// Counts in the value's cell, or makes one if it is worth it.
    fn take(&mut self, place: &Place<'_>, count: u64, is_crowded: bool, at: &mut At<'_>) -> bool {
        if let Some(cell) = self.index.get(&place.pair) {
            self.add(*cell, count, count as f64, at.now_ns);
            return true;
        }
        let recent = self.candidates.add(place.pair, count as f64);
        if !self.is_worth_a_cell(recent, is_crowded) {
            return false;
        }
        if let Some(cell) = self.cell_of(place, recent, at) {
            self.candidates.remove(place.pair);
            self.add(cell, count, recent, at.now_ns);
            return true;
        }
        self.counts.overflow += 1;
        false
    }

    fn add(&mut self, cell: usize, count: u64, recent: f64, now_ns: u64) {
        if let Some(Some(cell)) = self.cells.get_mut(cell) {
            cell.count += count;
            cell.recent += recent;
            cell.used_ns = now_ns;
        }
    }

    /// Everything, as long as there are few values; then what is frequent.
    fn is_worth_a_cell(&self, recent: f64, is_crowded: bool) -> bool {
        let (cells, half) = (self.used(), self.cap / 2);
        if !is_crowded && cells + self.candidates.len() <= half {
            return true;
        }
        let share = self.recent / (2 * self.cap) as f64;
        // The second half is not for what was seen once.
        recent >= share && (cells < half || recent >= 2.0 * self.one)
    }

    /// A cell for a value: that of its labels, a free one, or a smaller one's.
    ///
    /// Only the value that a cell was made for is remembered: of those that are
    /// printed alike there may be any number.
    fn cell_of(&mut self, place: &Place<'_>, recent: f64, at: &mut At<'_>) -> Option<usize> {
        let is_full = self.used() >= self.cap || !at.budget.has_room();
        if is_full && !self.could_replace(recent, at.now_ns) {
            return None;
        }
        let labels = self.labels(place, at);
        if let Some(cell) = self.by_labels.get(&labels) {
            return Some(*cell);
        }
        if is_full {
            self.replace(recent, at)?;
        }
        at.budget.used += 1;
        let cell = self.free.pop().unwrap_or_else(|| {
            self.cells.push(None);
            self.cells.len() - 1
        });
        if let Some(free) = self.cells.get_mut(cell) {
            *free = Some(Cell {
                labels: labels.clone(),
                count: 0,
                recent: 0.0,
                used_ns: at.now_ns,
            });
        }
        self.by_labels.insert(labels, cell);
        self.index.insert(place.pair, cell);
        self.least = self.least.min(recent);
        Some(cell)
    }

    /// Whether a look at all cells is worth it.
    fn could_replace(&mut self, recent: f64, now_ns: u64) -> bool {
        let a_minute_ago = now_ns.saturating_sub(MINUTE_NS);
        while self
            .replaced
            .front()
            .is_some_and(|then| *then <= a_minute_ago)
        {
            self.replaced.pop_front();
        }
        self.used() > 0
            && self.replaced.len() < (self.cap / 10).max(1)
            && recent > CLEARLY_BIGGER * self.least
    }

    /// Ends the smallest cell, if it is small enough.
    fn replace(&mut self, recent: f64, at: &mut At<'_>) -> Option<()> {
        let cells = self.cells.iter().enumerate();
        let cells = cells.filter_map(|(place, cell)| Some((place, cell.as_ref()?.recent)));
        let (smallest, least) = cells.min_by(|a, b| a.1.total_cmp(&b.1))?;
        self.least = least;
        if recent <= CLEARLY_BIGGER * least {
            return None;
        }
        self.retire(smallest, at.budget);
        self.counts.churn += 1;
        self.replaced.push_back(at.now_ns);
        Some(())
    }

    fn retire(&mut self, place: usize, budget: &mut Budget) {
        let Some(cell) = self.cells.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.counts.retired += cell.count;
        self.by_labels.remove(&cell.labels);
        self.index.retain(|_, of| *of != place);
        self.free.push(place);
        budget.used -= 1;
    }

    fn used(&self) -> usize {
        self.by_labels.len()
    }

    /// The same with a random name's zone instead of the name.
    fn folded<'a>(&self, place: &Place<'a>, at: &mut At<'_>) -> Option<Place<'a>> {
        let mut general = place.clone();
        for (dimension, name) in place.texts.into_iter().enumerate() {
            if !is_name(self.indexer(dimension)) {
                continue;
            }
            let Some(Folded { key, zone }) = at.guard.fold(name) else {
                continue;
            };
            match dimension {
                0 => general.pair.0 = key,
                _ => general.pair.1 = key,
            }
            if let Some(folded) = general.folded.get_mut(dimension) {
                *folded = Some(zone);
            }
        }
        (general.pair != place.pair).then_some(general)
    }

    /// The first value, where there are few of them, with all others.
    fn first_with_other<'a>(&self, place: &Place<'a>) -> Option<Place<'a>> {
        let suits = !self.dataset.is_flat() && has_few_values(self.indexer(0));
        suits.then_some(Place {
            pair: (place.pair.0, OTHER),
            texts: [place.texts[0], &[]],
            folded: [None, None],
        })
    }

    fn labels(&self, place: &Place<'_>, at: &At<'_>) -> [Arc<str>; 2] {
        let print = |dimension, key, text, zone: &Option<Vec<u8>>| match zone {
            Some(zone) => folded(zone, at.rules),
            None => value(self.indexer(dimension), key, text, at.rules),
        };
        let Place {
            pair,
            texts,
            folded: [first, second],
        } = place;
        let first: Arc<str> = print(0, pair.0, texts[0], first).into();
        let second: Arc<str> = print(1, pair.1, texts[1], second).into();
        [first, second]
    }

    fn indexer(&self, dimension: usize) -> Indexer {
        let dimension = self.dataset.dimensions.get(dimension);
        dimension.map_or(Indexer::Null, |dimension| dimension.indexer)
    }
}

impl Table {
    /// What the cell of values without one is called: by both dimensions.
    pub(super) const OTHER: [&'static str; 2] = [OTHER_VALUE; 2];
}

/// The messages that each record stands for. Where records of several sampling
/// levels came together, a low one, so that names look as if they were asked for
/// more often: no flood is better than a wrong one.
fn weight(counts: &DatasetCounts) -> u64 {
    let mean = counts.total.checked_div(counts.records).unwrap_or(1);
    1 << mean.max(1).ilog2()
}

/// Whether messages alone cannot make many values of an indexer, or those that
/// they can make do not matter.
const fn has_few_values(indexer: Indexer) -> bool {
    !matches!(
        indexer,
        Indexer::Client
            | Indexer::Server
            | Indexer::ClientSubnet
            | Indexer::Asn
            | Indexer::AsOrg
            | Indexer::Network
            | Indexer::Customer
            | Indexer::Qname
            | Indexer::SecondLd
            | Indexer::ThirdLd
            | Indexer::Tld
            | Indexer::Msglen
            | Indexer::EdnsCookieClient
            | Indexer::EdnsCookieServer
            | Indexer::EdnsNsidData
            | Indexer::EdnsNsidText
            | Indexer::EdnsEcsAddress
            | Indexer::EdnsEcsSubnet
            | Indexer::EdnsEdeText
            | Indexer::EdnsOptions
            | Indexer::DnsSourcePort
            | Indexer::Zone
    )
}
