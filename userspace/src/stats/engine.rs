//! The statistics engine: counts messages in the cells of all datasets.
//!
//! One per drain thread, or per file that is read; no lock, no clock. What it
//! has counted is taken out by [`Engine::tables`] with values as text, or handed
//! over cell by cell. Messages are never lost to a dataset: those whose cell
//! finds no room are counted as such.
//!
//! A message is not counted dataset by dataset: `route` has cut them into groups,
//! and a message that is like an earlier one is counted once per group, in a joint
//! (`joints`). What is new, or in no group, goes the direct way, which is the whole
//! meaning of a dataset: filters, values, cell.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an arm names the indexers that it is about, among more than sixty"
)]

use std::sync::Arc;

use dns_wire::locate::IpPacket;

use crate::enrich::locator::Caches;

pub use super::counts::{Counts, DatasetCounts};
use super::{
    cells::{Counted, Key},
    counts::joints_of,
    dataset::{Dataset, Indexer},
    known_names::KnownNames,
    label::{Style, label},
    observed::Observed,
    passage::Passage,
    plan::{Compat, Plan},
    route::Direct,
    table::{Table, limit, rows},
    timed::Timed,
    values::{At, Values, packet_key},
    waiting::{Hashes, Stage, Waiting},
};

/// So many messages later it has come from memory what was asked for.
const DELAY: usize = 8;

/// The engine.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    counts: Counts,
    values: Values,
    names: KnownNames,
    /// The last messages. Of the later half joints and names are on their way from
    /// memory, of the earlier half cells are.
    waiting: [Waiting; 2 * DELAY],
    /// Where the next message waits.
    next: usize,
    /// Response times of files, where messages come in their order.
    timed: Option<Timed>,
}

impl Engine {
    /// Each dataset has at most `cells` cells. Engines whose counts are to be
    /// added up have the same `seed`.
    #[must_use]
    pub fn new(plan: Arc<Plan>, cells: usize, seed: u64) -> Self {
        let values = Values::new(&plan, seed);
        let mut counts = Counts::new(&plan, cells, seed);
        counts.go_by(values.tables());
        Self {
            counts,
            values,
            names: KnownNames::new(),
            waiting: Default::default(),
            next: 0,
            timed: None,
            plan,
        }
    }

    /// Likewise for messages that come in the order of their time, so that
    /// queries and responses can be told apart by it: for captures.
    #[must_use]
    pub fn in_order(plan: Arc<Plan>, cells: usize, seed: u64) -> Self {
        Self {
            timed: Timed::of(&plan, cells),
            ..Self::new(plan, cells, seed)
        }
    }

    /// What it runs.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Counts a message.
    #[inline]
    pub fn message(&mut self, observed: &Observed<'_>) {
        if let Some(timed) = &mut self.timed {
            timed.see(&self.plan, &mut self.values, observed);
        }
        let now = self.next;
        self.count_waiting(now);
        if let Some(place) = self.waiting.get_mut(now) {
            let way = self.plan.way(observed);
            place.hashes = Hashes::of(observed, &self.plan.rules, &way.route, &self.values);
            let joints = joints_of(&mut self.counts.joints, observed);
            place.hashes.prefetch(&way.route, joints, &self.names);
            place.hold(observed);
        }
        self.look_up((now + DELAY) % (2 * DELAY));
        self.next = (now + 1) % (2 * DELAY);
    }

    /// Counts what waits at a place in its joints, and asks for its other cells.
    #[inline(always)]
    fn look_up(&mut self, place: usize) {
        let Self {
            plan,
            counts,
            values,
            names,
            waiting,
            ..
        } = self;
        let Some(waiting) = waiting.get_mut(place) else {
            return;
        };
        if waiting.stage != Stage::Held {
            return;
        }
        waiting.stage = Stage::LookedUp;
        let observed = Observed {
            name: &waiting.name,
            options: &waiting.options,
            ..waiting.message
        };
        let joints = joints_of(&mut counts.joints, &observed);
        values.begin();
        let mut passage = Passage {
            plan,
            way: plan.way(&observed),
            at: At {
                observed: &observed,
                rules: &plan.rules,
            },
            hashes: &waiting.hashes,
            datasets: &mut counts.datasets,
            sketches: &mut counts.sketches,
            values,
        };
        passage.count(joints, names, &mut waiting.spots);
    }

    /// Counts what waits at a place in the cells that were asked for.
    #[inline(always)]
    fn count_waiting(&mut self, place: usize) {
        let Self {
            plan,
            counts,
            values,
            waiting,
            ..
        } = self;
        let Some(waiting) = waiting.get_mut(place) else {
            return;
        };
        if waiting.stage != Stage::LookedUp {
            return;
        }
        waiting.stage = Stage::Counted;
        for asked in &waiting.spots {
            let Some(dataset) = counts.datasets.get_mut(asked.dataset as usize) else {
                continue;
            };
            if let Counted::New(cell) = dataset.count(&asked.spot, asked.amount) {
                let observed = &waiting.observed();
                let at = At {
                    observed,
                    rules: &plan.rules,
                };
                let direct = &plan.way(observed).route.direct;
                if let Some(Direct { step, .. }) = direct.get(asked.direct as usize) {
                    values.begin();
                    values.keep_texts(step, at, cell, &mut dataset.cells);
                }
            }
        }
        waiting.spots.clear();
    }

    fn count_all_waiting(&mut self) {
        for later in 0..2 * DELAY {
            let place = (self.next + later) % (2 * DELAY);
            self.look_up(place);
            self.count_waiting(place);
        }
    }

    /// Counts what waits, and brings all that was counted to its cells.
    fn settle(&mut self) {
        self.count_all_waiting();
        self.counts.settle();
    }

    /// Counts a packet, DNS or not, in the datasets of layer `ip`.
    pub fn packet(&mut self, packet: &IpPacket) {
        let rules = &self.plan.rules;
        for step in &self.plan.ip {
            let keys =
                packet_key(step.first, packet, rules).zip(packet_key(step.second, packet, rules));
            let dataset = self.counts.datasets.get_mut(step.dataset as usize);
            if let (Some((first, second)), Some(dataset)) = (keys, dataset) {
                dataset.total += 1;
                dataset.records += 1;
                dataset.cells.add(first, second, 1);
            }
        }
    }

    /// What was counted so far, with values as text.
    #[must_use]
    pub fn tables(&mut self, style: Style) -> Vec<Table> {
        self.settle();
        let datasets = self.plan.datasets.iter().zip(&self.counts.datasets);
        let tables = datasets.enumerate().map(|(index, (dataset, counts))| {
            let is_timed = |timed: &&Timed| timed.step().dataset as usize == index;
            match self.timed.as_ref().filter(is_timed) {
                Some(timed) => self.timed_table(dataset, timed, style),
                None => Table {
                    dataset: Arc::clone(dataset),
                    total: counts.total,
                    uncounted: counts.cells.uncounted(),
                    rows: rows(
                        dataset,
                        &counts.cells,
                        limit(dataset, style, self.plan.rules.compat),
                        |indexer, key, text| self.printed(indexer, key, text, style),
                    ),
                },
            }
        });
        tables.collect()
    }

    fn timed_table(&self, dataset: &Arc<Dataset>, timed: &Timed, style: Style) -> Table {
        let indexer = timed.step().first;
        Table {
            dataset: Arc::clone(dataset),
            total: timed.total(),
            uncounted: timed.uncounted(),
            rows: timed.rows(|row, text| self.printed(indexer, row, text, style)),
        }
    }

    /// A value as it is printed; none for what DSC never prints.
    fn printed(&self, indexer: Indexer, key: Key, text: &[u8], style: Style) -> Option<Vec<u8>> {
        if self.plan.rules.compat == Compat::Dsc {
            match indexer {
                Indexer::DnsSportRange if key == 0 => return None,
                // Each port is printed as the one that appeared before it.
                Indexer::DnsSourcePort => {
                    let before = (key as usize)
                        .checked_sub(1)
                        .and_then(|n| self.values.ports().get(n));
                    return Some(before.copied().unwrap_or(0).to_string().into_bytes());
                }
                _ => {}
            }
        }
        Some(label(indexer, key, text, &self.plan.rules, style))
    }

    /// Ends an interval at this time, in ns: queries without a response have
    /// timed out.
    pub fn end_interval(&mut self, now_ns: u64) {
        if let Some(timed) = &mut self.timed {
            timed.end_interval(now_ns);
        }
    }

    /// Forgets what was counted: another interval begins.
    pub fn clear(&mut self) {
        self.settle();
        self.counts.clear();
        self.values.end_interval();
        if let Some(timed) = &mut self.timed {
            timed.clear();
        }
    }

    /// Goes over to the tables of now, where they were replaced: to be called
    /// between two batches.
    pub fn refresh(&mut self) {
        if self.values.is_behind() {
            self.settle();
            self.values.refresh();
            self.counts.go_by(self.values.tables());
            self.names.forget();
        }
    }

    /// How the caches of what is known of addresses did, where it is asked for.
    #[must_use]
    pub fn caches(&self) -> Option<Caches> {
        self.plan.reads_places().then(|| self.values.caches())
    }

    /// Whether a dataset has half of the cells that it may have.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let mut datasets = self.counts.datasets.iter();
        datasets.any(|dataset| dataset.cells.is_crowded())
    }

    /// Hands over what was counted since the last time, and goes on with
    /// `emptied`, which was handed over before and begun anew since.
    pub fn exchange(&mut self, emptied: &mut Counts) {
        self.hand_over(emptied);
        emptied.settle();
    }

    /// Likewise, but at once: the part of the work that grows with the counts is
    /// left to the one who takes them, by [`Counts::settle`].
    pub fn hand_over(&mut self, emptied: &mut Counts) {
        self.count_all_waiting();
        std::mem::swap(&mut self.counts, emptied);
        self.counts.go_by(self.values.tables());
        self.values.end_interval();
    }
}

#[cfg(test)]
mod tests;
