//! All that was counted since the start, as the families of Prometheus show it.
//!
//! Shards hand their counts over every few seconds; here they are added up,
//! in bounded memory whatever the traffic is. `family` decides which values have
//! a cell, `value` how they are printed. The sum of a family is the exact number
//! of messages of its dataset at all times, or of their octets.

mod family;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use hashbrown::HashMap;

use self::{
    family::{At, Family},
    value::{RETIRED_VALUE, value},
};
use super::{
    builtin,
    dataset::{Dataset, Indexer, Measure},
    distinct::Distinct,
    engine::Counts,
    flood::Guard,
    plan::{Plan, Rules},
    sketches::{Clients, NAMES_PRECISION, Sketches, ZONES},
};

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
/// How often counts fade.
const DECAY_NS: u64 = 10 * SECOND_NS;
/// What is counted now is worth half after so long.
const HALF_LIFE_NS: u64 = 2 * MINUTE_NS;
/// Zones with flooded names, or distinct names, that are shown.
const SHOWN_ZONES: usize = 100;
/// Cells that each family has whatever the bounds are: `other` and `retired`.
pub const LEAST_CELLS: usize = 2;

/// The bounds of what is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series of all families together.
    pub max_series: usize,
    /// Cells of a family that states no bound of its own.
    pub max_cells: usize,
    /// A cell without messages for so long goes.
    pub idle_ns: u64,
    /// Values that are watched for each family until they are worth a cell.
    pub candidates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_series: 20_000,
            max_cells: 200,
            idle_ns: 60 * MINUTE_NS,
            candidates: 4096,
        }
    }
}

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// By a clock that only goes forward, in ns.
    pub now_ns: u64,
    /// Seconds since the Unix epoch.
    pub unix_s: u64,
}

/// All that was counted.
#[derive(Debug)]
pub struct Aggregate {
    plan: Arc<Plan>,
    limits: Limits,
    families: Vec<Family>,
    budget: Budget,
    guard: Guard,
    /// The dataset by whose names the guard goes.
    watched: Option<usize>,
    clients: ClientWindows,
    zones: ZoneWindows,
    decayed_ns: u64,
    minute: u64,
}

/// Series in use, of those that all families may have together.
#[derive(Debug)]
pub(super) struct Budget {
    used: usize,
    max: usize,
}

impl Budget {
    const fn has_room(&self) -> bool {
        self.used < self.max
    }
}

/// What is exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// One for each dataset.
    pub tables: Vec<Table>,
    /// Series of all tables.
    pub series: usize,
    /// The bound of them.
    pub max_series: usize,
    /// Octets of memory of the aggregate.
    pub memory: usize,
    /// Different clients, where they are counted.
    pub clients: Option<ClientCounts>,
    /// Zones and the different names that were asked for in each, the most
    /// first; none where no zones are known.
    pub zone_names: Option<Vec<(String, f64)>>,
    /// Zones flooded with random names: how many there are.
    pub flooded: usize,
    /// The worst of them, and names per minute.
    pub flooded_zones: Vec<(String, f64)>,
}

impl Report {
    /// A report in which every family has a sample.
    #[must_use]
    pub fn example() -> Self {
        let mut datasets = builtin::default();
        let of_tables = builtin::OF_TABLES.concat();
        datasets.extend(of_tables.into_iter().filter_map(builtin::named));
        let plan = Plan::new(datasets, Rules::default()).with_distinct_counts();
        let aggregate = Aggregate::new(Arc::new(plan), Limits::default(), 0);
        let zone = vec![("example.com".to_owned(), 1000.0)];
        Self {
            zone_names: Some(zone.clone()),
            flooded_zones: zone,
            ..aggregate.report()
        }
    }
}

/// A family. Where its dataset adds octets up, they stand for messages here.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its dataset.
    pub dataset: Arc<Dataset>,
    /// Values that have a cell, in the order of their texts.
    pub cells: Vec<CellReport>,
    /// Messages: the sum of all cells, `other` and `retired`.
    pub total: u64,
    /// Messages of values that had no cell then.
    pub other: u64,
    /// Messages of cells that went.
    pub retired: u64,
    /// Messages, of those in `other`, whose value found no room in memory.
    pub uncounted: u64,
    /// Cells that went for bigger ones.
    pub replaced: u64,
    /// Cells that went since they were idle.
    pub expired: u64,
    /// Times that a value was worth a cell and got none.
    pub overflow: u64,
    /// Messages, fading, that a value without a cell can have at most.
    pub error_bound: f64,
}

/// A cell: a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellReport {
    /// The values of both dimensions.
    pub values: [Arc<str>; 2],
    /// Messages since it is shown.
    pub count: u64,
}

impl Table {
    /// All cells, `other` and `retired` included: values and messages.
    pub fn series(&self) -> impl Iterator<Item = ([&str; 2], u64)> {
        let cells = self.cells.iter();
        let cells = cells.map(|cell| {
            let [first, second] = &cell.values;
            ([&**first, &**second], cell.count)
        });
        cells.chain([
            (Self::OTHER, self.other),
            ([RETIRED_VALUE; 2], self.retired),
        ])
    }
}

/// Different clients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientCounts {
    /// In the last minute that is over: IPv4, IPv6, IPv6 networks of 64 bits.
    pub minute: [f64; 3],
    /// In this day (UTC), likewise.
    pub day: [f64; 3],
    /// Standard deviation of all of them, as a share of each.
    pub relative_error: f64,
}

impl Aggregate {
    /// Nothing counted yet. `seed` chooses keys of our own.
    #[must_use]
    pub fn new(plan: Arc<Plan>, limits: Limits, seed: u64) -> Self {
        let families: Vec<_> = plan
            .datasets()
            .iter()
            .map(|dataset| Family::new(Arc::clone(dataset), &limits))
            .collect();
        Self {
            limits,
            budget: Budget {
                used: LEAST_CELLS * families.len(),
                max: limits.max_series,
            },
            families,
            guard: Guard::new(Arc::clone(&plan), seed),
            watched: watched(&plan),
            clients: ClientWindows::default(),
            zones: ZoneWindows::default(),
            decayed_ns: 0,
            minute: 0,
            plan,
        }
    }

    /// What it counts.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Adds what a shard has handed over. It leaves `counts` as they are.
    pub fn merge(&mut self, counts: &Counts, moment: Moment) {
        self.advance(moment);
        let Self {
            plan,
            families,
            budget,
            guard,
            watched,
            ..
        } = self;
        // First the guard, so that the beginning of a flood is folded, too.
        let watched = watched.and_then(|at| families.get(at).zip(counts.datasets.get(at)));
        if let Some((family, table)) = watched {
            family.watch(table, guard);
            guard.end_batch(Family::unseen(table));
        }
        for (family, table) in families.iter_mut().zip(&counts.datasets) {
            if table.total == 0 {
                continue;
            }
            let mut at = At {
                rules: plan.rules(),
                budget,
                guard,
                now_ns: moment.now_ns,
            };
            family.merge(table, &mut at);
        }
        self.clients.merge(&counts.sketches);
        self.zones.merge(&counts.sketches);
    }

    /// Time has passed: counts fade, idle cells go, minutes and days end.
    pub fn advance(&mut self, moment: Moment) {
        if self.decayed_ns == 0 {
            self.decayed_ns = moment.now_ns;
        }
        let elapsed = moment.now_ns.saturating_sub(self.decayed_ns);
        if elapsed >= DECAY_NS {
            self.decayed_ns = moment.now_ns;
            let factor = 0.5_f64.powf(elapsed as f64 / HALF_LIFE_NS as f64);
            let since = moment.now_ns.saturating_sub(self.limits.idle_ns);
            for family in &mut self.families {
                family.decay(factor);
                family.expire(since, &mut self.budget);
            }
        }
        let minute = moment.unix_s / 60;
        if self.minute == 0 {
            self.minute = minute;
        }
        if self.minute != minute {
            self.minute = minute;
            self.guard.end_minute();
            self.clients.end_minute();
            self.zones.end_minute();
        }
        self.clients.day_is(moment.unix_s / 86_400);
    }

    /// Everything as it is now.
    #[must_use]
    pub fn report(&self) -> Report {
        let rules = self.plan.rules();
        let flooded = self.guard.flooded();
        let distinct = self.plan.counts_distinct();
        let zone_names = distinct && !rules.zones.is_empty();
        Report {
            tables: self.families.iter().map(Family::table).collect(),
            series: self.budget.used,
            max_series: self.budget.max,
            memory: self.memory(),
            clients: distinct.then(|| self.clients.counts()),
            zone_names: zone_names.then(|| {
                let zones = self.zones.most().into_iter();
                zones
                    .map(|(zone, names)| (value(Indexer::Zone, zone, &[], rules), names))
                    .collect()
            }),
            flooded: flooded.len(),
            flooded_zones: flooded
                .iter()
                .take(SHOWN_ZONES)
                .map(|flood| (value(Indexer::Qname, 0, &flood.zone, rules), flood.names))
                .collect(),
        }
    }

    /// Octets of memory, sketches of clients not included: they never grow.
    fn memory(&self) -> usize {
        let families: usize = self.families.iter().map(Family::memory).sum();
        let names = self.zones.minute.len() << NAMES_PRECISION;
        families + names + self.guard.memory()
    }

    /// The clients of this day (UTC) so far.
    #[must_use]
    pub const fn clients_of_the_day(&self) -> &Clients {
        &self.clients.day
    }
}

/// The dataset that has the most of the names that messages are about.
fn watched(plan: &Plan) -> Option<usize> {
    let finest_first = [Indexer::Qname, Indexer::ThirdLd, Indexer::SecondLd];
    let names = |dataset: &Dataset| {
        let [first, second] = &dataset.dimensions;
        [first.indexer, second.indexer]
            .into_iter()
            .filter_map(|indexer| finest_first.iter().position(|one| *one == indexer))
            .min()
    };
    let datasets = plan.datasets().iter().enumerate();
    let of_messages = datasets.filter(|(_, dataset)| dataset.measure == Measure::Messages);
    let datasets = of_messages.filter_map(|(index, dataset)| {
        let names = names(dataset)?;
        Some(((names, dataset.filters.len()), index))
    });
    datasets.min().map(|(_, index)| index)
}

/// Different clients of a minute and of a day.
#[derive(Debug, Default)]
struct ClientWindows {
    minute: Clients,
    last_minute: Option<[f64; 3]>,
    day: Clients,
    date: u64,
}

impl ClientWindows {
    fn merge(&mut self, sketches: &Sketches) {
        if let Some(clients) = &sketches.clients {
            // All shards have the key of the plan.
            let merged = [&mut self.minute, &mut self.day].map(|sum| sum.merge(clients));
            debug_assert_eq!(merged, [Ok(()); 2]);
        }
    }

    fn end_minute(&mut self) {
        self.last_minute = Some(estimates(&self.minute));
        self.minute.clear();
    }

    fn day_is(&mut self, date: u64) {
        if date != self.date {
            self.date = date;
            self.day.clear();
        }
    }

    /// In the first minute, what there was of it.
    fn counts(&self) -> ClientCounts {
        let minute = self.last_minute;
        ClientCounts {
            minute: minute.unwrap_or_else(|| estimates(&self.minute)),
            day: estimates(&self.day),
            relative_error: self.day.ipv4.relative_standard_error(),
        }
    }
}

fn estimates(clients: &Clients) -> [f64; 3] {
    [&clients.ipv4, &clients.ipv6, &clients.ipv6_networks].map(Distinct::estimate)
}

/// Different names of each zone in a minute.
#[derive(Debug, Default)]
struct ZoneWindows {
    minute: HashMap<u64, Distinct>,
    last_minute: Option<Vec<(u64, f64)>>,
}

impl ZoneWindows {
    fn merge(&mut self, sketches: &Sketches) {
        for (zone, names) in &sketches.names {
            if let Some(sum) = self.minute.get_mut(zone) {
                sum.merge(names);
            } else if self.minute.len() < ZONES {
                self.minute.insert(*zone, names.clone());
            }
        }
    }

    fn end_minute(&mut self) {
        self.last_minute = Some(self.of_this_minute());
        self.minute.clear();
    }

    fn of_this_minute(&self) -> Vec<(u64, f64)> {
        let zones = self.minute.iter();
        let mut zones: Vec<_> = zones
            .map(|(zone, names)| (*zone, names.estimate()))
            .collect();
        zones.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        zones.truncate(SHOWN_ZONES);
        zones
    }

    fn most(&self) -> Vec<(u64, f64)> {
        let last = self.last_minute.clone();
        last.unwrap_or_else(|| self.of_this_minute())
    }
}

/// The error of the numbers of names in zones, as a share of each.
#[must_use]
pub fn zone_names_error() -> f64 {
    Distinct::with_precision(NAMES_PRECISION).relative_standard_error()
}
