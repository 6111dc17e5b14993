//! The statistics engine: counts messages in the cells of all datasets.
//!
//! One per drain thread, or per file that is read; no lock, no clock. What it
//! has counted is taken out by [`Engine::tables`] with values as text, or handed
//! over cell by cell. Messages are never lost to a dataset: those whose cell
//! finds no room are counted as such.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an arm names the indexers that it is about, among more than sixty"
)]

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dns_wire::{counters::Role, locate::IpPacket};

use super::{
    cells::{Cells, Counted, Key, Spot, Texts},
    dataset::{Dataset, Indexer},
    label::{Style, label},
    observed::Observed,
    plan::{Compat, Plan, Rules, Step},
    response_time::{ResponseTime, ResponseTimes},
    sketches::Sketches,
    table::{Cell, Row, Table},
    values::{At, IPV6, NONE, SKIP, Values, client_address, packet_key},
};

/// So many messages are under way at a time.
const WAITING: usize = 8;

/// The engine.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    counts: Counts,
    values: Values,
    /// The last messages, not counted yet: by the time that they are, their
    /// places have come from memory.
    waiting: [Waiting; WAITING],
    /// Where the next message waits.
    next: usize,
    /// The values of what waits, where they are needed once more.
    late: Values,
    /// Response times of files, where messages come in their order.
    timed: Option<Timed>,
}

/// The dataset of response times.
struct Timed {
    step: Step,
    times: ResponseTimes<Key>,
    counts: BTreeMap<(Key, ResponseTime), u64>,
}

/// What datasets have counted, cell by cell.
#[derive(Clone, Debug)]
pub struct Counts {
    /// By dataset, in the order of the plan.
    pub datasets: Vec<DatasetCounts>,
    /// The texts of keys.
    pub texts: Texts,
    /// Different clients, and names of zones, where the plan wants them.
    pub sketches: Sketches,
}

/// What one dataset has counted.
#[derive(Clone, Debug)]
pub struct DatasetCounts {
    /// Messages that passed its filters and have a value.
    pub total: u64,
    /// Records of them: fewer, where messages were sampled.
    pub records: u64,
    /// By values.
    pub cells: Cells,
}

impl Engine {
    /// Each dataset has at most `cells` cells. Engines whose counts are to be
    /// added up have the same `seed`.
    #[must_use]
    pub fn new(plan: Arc<Plan>, cells: usize, seed: u64) -> Self {
        Self {
            counts: Counts::new(&plan, cells, seed),
            values: Values::new(seed),
            waiting: Default::default(),
            next: 0,
            late: Values::new(seed),
            timed: None,
            plan,
        }
    }

    /// Likewise for messages that come in the order of their time, so that
    /// queries and responses can be told apart by it: for captures.
    #[must_use]
    pub fn in_order(plan: Arc<Plan>, cells: usize, seed: u64) -> Self {
        let timed = plan.timed.map(|step| Timed {
            step,
            times: ResponseTimes::new(plan.times),
            counts: BTreeMap::new(),
        });
        Self {
            timed,
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
        let Self {
            plan,
            counts,
            values,
            waiting,
            next,
            timed,
            ..
        } = self;
        values.begin();
        let at = At {
            observed,
            rules: &plan.rules,
        };
        if plan.counts_distinct && is_query_to_server(observed) {
            counts.sketches.client(client_address(observed));
            let zone = values.key(Indexer::Zone, at);
            if zone != NONE {
                let name = values.key(Indexer::Qname, at);
                counts.sketches.name(zone, name);
            }
        }
        let way = if observed.message.header.is_response() {
            &plan.responses
        } else {
            &plan.queries
        };
        let holding = values.conditions(way, at);
        if let Some(timed) = timed
            && holding & timed.step.required == timed.step.required
        {
            timed.message(counts, values, at);
        }
        let Some(place) = waiting.get_mut(*next) else {
            return;
        };
        *next = (*next + 1) % WAITING;
        place.count(counts, &mut self.late, &plan.rules);
        place.hold(observed);
        for step in &way.steps {
            if holding & step.required != step.required {
                continue;
            }
            let (first, second) = (values.key(step.first, at), values.key(step.second, at));
            let Some(dataset) = counts.datasets.get(step.dataset as usize) else {
                continue;
            };
            if first != SKIP && second != SKIP {
                let spot = dataset.cells.spot(first, second);
                place.spots.push((*step, spot));
            }
        }
    }

    /// Counts what waits.
    fn flush(&mut self) {
        for place in &mut self.waiting {
            place.count(&mut self.counts, &mut self.late, &self.plan.rules);
        }
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
        self.flush();
        let datasets = self.plan.datasets.iter().zip(&self.counts.datasets);
        let tables = datasets.enumerate().map(|(index, (dataset, counts))| {
            let timed = self
                .timed
                .as_ref()
                .filter(|timed| timed.step.dataset as usize == index);
            match timed {
                Some(timed) => self.timed_table(dataset, timed, style),
                None => Table {
                    dataset: Arc::clone(dataset),
                    total: counts.total,
                    uncounted: counts.cells.uncounted(),
                    rows: self.rows(dataset, counts, style),
                },
            }
        });
        tables.collect()
    }

    fn timed_table(&self, dataset: &Arc<Dataset>, timed: &Timed, style: Style) -> Table {
        let mut rows: HashMap<Vec<u8>, HashMap<Vec<u8>, u64>> = HashMap::new();
        for ((row, value), count) in &timed.counts {
            if let Some(row) = self.printed(timed.step.first, *row, style) {
                let cells = rows.entry(row).or_default();
                *cells.entry(value.label().into_bytes()).or_default() += count;
            }
        }
        Table {
            dataset: Arc::clone(dataset),
            total: timed.counts.values().sum(),
            uncounted: 0,
            rows: in_order(rows),
        }
    }

    fn rows(&self, dataset: &Dataset, counts: &DatasetCounts, style: Style) -> Vec<Row> {
        let [first, second] = [0, 1].map(|n| {
            dataset
                .dimensions
                .get(n)
                .map_or(Indexer::Null, |d| d.indexer)
        });
        let mut rows: HashMap<Vec<u8>, HashMap<Vec<u8>, u64>> = HashMap::new();
        for (one, other, count) in counts.cells.iter() {
            let (Some(one), Some(other)) = (
                self.printed(first, one, style),
                self.printed(second, other, style),
            ) else {
                continue;
            };
            // Different names may be printed alike, as DSC does it.
            *rows.entry(one).or_default().entry(other).or_default() += count;
        }
        in_order(rows)
    }

    /// A value as it is printed; none for what DSC never prints.
    fn printed(&self, indexer: Indexer, key: Key, style: Style) -> Option<Vec<u8>> {
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
        let text = self.counts.texts.get(key).unwrap_or(&[]);
        Some(label(indexer, key, text, &self.plan.rules, style))
    }

    /// Ends an interval at this time, in ns: queries without a response have
    /// timed out.
    pub fn end_interval(&mut self, now_ns: u64) {
        if let Some(timed) = &mut self.timed {
            let counts = &mut timed.counts;
            timed.times.end_interval(now_ns, |row| {
                *counts.entry((row, ResponseTime::Timeout)).or_default() += 1;
            });
        }
    }

    /// Forgets what was counted: another interval begins.
    pub fn clear(&mut self) {
        self.flush();
        self.counts.clear();
        self.values.end_interval();
        if let Some(timed) = &mut self.timed {
            timed.counts.clear();
        }
    }

    /// Hands over what was counted since the last time, and goes on with
    /// `emptied`, which was handed over before and cleared since.
    pub fn exchange(&mut self, emptied: &mut Counts) {
        self.flush();
        std::mem::swap(&mut self.counts, emptied);
        self.values.end_interval();
    }

    /// Octets of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        let cells: usize = self
            .counts
            .datasets
            .iter()
            .map(|one| one.cells.memory())
            .sum();
        cells + self.counts.texts.memory()
    }
}

impl Counts {
    /// Nothing counted; see [`Engine::new`].
    #[must_use]
    pub fn new(plan: &Plan, cells: usize, seed: u64) -> Self {
        let empty = |_: &_| DatasetCounts {
            total: 0,
            records: 0,
            cells: Cells::new(cells, seed),
        };
        Self {
            datasets: plan.datasets.iter().map(empty).collect(),
            texts: Texts::default(),
            sketches: Sketches::new(plan.counts_distinct.then_some(plan.client_key)),
        }
    }

    /// Forgets what was counted, but keeps its room where that was needed.
    /// Once only for each exchange: room that was not needed is given back.
    pub fn clear(&mut self) {
        for dataset in &mut self.datasets {
            dataset.total = 0;
            dataset.records = 0;
            dataset.cells.clear();
        }
        self.texts.clear();
        self.sketches.clear();
    }
}

/// What clients ask of the observed host.
fn is_query_to_server(observed: &Observed<'_>) -> bool {
    observed.role == Role::Server && !observed.message.header.is_response()
}

/// A message whose cells are known and not counted yet.
#[derive(Clone, Debug, Default)]
struct Waiting {
    message: Option<Observed<'static>>,
    name: Vec<u8>,
    options: Vec<u8>,
    spots: Vec<(Step, Spot)>,
}

impl Waiting {
    fn hold(&mut self, observed: &Observed<'_>) {
        self.name.clear();
        self.name.extend_from_slice(observed.name);
        self.options.clear();
        self.options.extend_from_slice(observed.options);
        self.message = Some(Observed {
            name: &[],
            options: &[],
            ..*observed
        });
    }

    #[inline]
    fn count(&mut self, counts: &mut Counts, values: &mut Values, rules: &Rules) {
        let Some(message) = self.message.take() else {
            return;
        };
        let weight = message.weight;
        for (step, spot) in &self.spots {
            let Some(dataset) = counts.datasets.get_mut(step.dataset as usize) else {
                continue;
            };
            dataset.total += weight;
            dataset.records += 1;
            if dataset.cells.count(spot, weight) == Counted::New {
                let observed = Observed {
                    name: &self.name,
                    options: &self.options,
                    ..message
                };
                let at = At {
                    observed: &observed,
                    rules,
                };
                values.begin();
                keep_texts(&mut counts.texts, values, step, at);
            }
        }
        self.spots.clear();
    }
}

impl Timed {
    fn message(&mut self, counts: &mut Counts, values: &mut Values, at: At<'_>) {
        let row = values.key(self.step.first, at);
        if row == SKIP {
            return;
        }
        keep_texts(&mut counts.texts, values, &self.step, at);
        if let Some(value) = self.times.observe(at.observed, row) {
            *self.counts.entry((row, value)).or_default() += at.observed.weight;
        }
    }
}

impl std::fmt::Debug for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timed").finish_non_exhaustive()
    }
}

/// Rows in the order of their values.
fn in_order(rows: HashMap<Vec<u8>, HashMap<Vec<u8>, u64>>) -> Vec<Row> {
    let rows = rows.into_iter().map(|(value, cells)| Row {
        value,
        cells: sorted(cells),
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| a.value.cmp(&b.value));
    rows
}

#[cold]
fn keep_texts(texts: &mut Texts, values: &mut Values, step: &Step, at: At<'_>) {
    for indexer in [step.first, step.second] {
        let key = values.key(indexer, at);
        if let Some(octets) = Values::address_text(indexer, at) {
            debug_assert!(key & IPV6 != 0);
            texts.keep(key, &octets);
        } else if let Some(text) = values.text(indexer, at) {
            texts.keep(key, text);
        }
    }
}

/// The most frequent first; among equals, in the order of the values.
fn sorted(cells: HashMap<Vec<u8>, u64>) -> Vec<Cell> {
    let mut cells: Vec<_> = cells
        .into_iter()
        .map(|(value, count)| Cell { value, count })
        .collect();
    cells.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    cells
}

#[cfg(test)]
mod tests {
    use dns_wire::{
        Slice,
        counters::Hook,
        locate::{Family, Flow, Transport},
        message,
    };

    use super::*;
    use crate::stats::builtin;

    /// A query for `a.`, from port `n` of 192.0.2.1.
    fn query(n: u16, engine: &mut Engine) {
        let octets = [
            0, n as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1,
        ];
        let message = message::parse(&Slice::new(&octets), 0, octets.len()).expect("a query");
        engine.message(&Observed {
            time_ns: u64::from(n),
            hook: Hook::Ingress,
            role: Role::Server,
            flow: Flow {
                family: Family::Ipv4,
                transport: Transport::Udp,
                hop_limit: 60,
                source: [u64::from_ne_bytes([192, 0, 2, 1, 0, 0, 0, 0]), 0],
                destination: [u64::from_ne_bytes([192, 0, 2, 53, 0, 0, 0, 0]), 0],
                source_port: n,
                destination_port: 53,
            },
            message,
            name: &[1, b'a', 0],
            options: &[],
            weight: 4,
        });
    }

    fn engine() -> Engine {
        let datasets = ["qtype", "tld", "rcode"].map(|name| builtin::named(name).expect(name));
        let plan = Plan::new(datasets.into(), Rules::default());
        Engine::new(Arc::new(plan), 100, 7)
    }

    #[test]
    fn nothing_waits_when_counts_are_told_or_handed_over() {
        for messages in [1, 3, 8, 9, 100] {
            let mut engine = engine();
            for n in 0..messages {
                query(n, &mut engine);
            }
            let expected = u64::from(messages) * 4;
            let tables = engine.tables(Style::Named);
            let totals: Vec<_> = tables.iter().map(|table| table.total).collect();
            assert_eq!(totals, [expected, expected, 0], "{messages}");
            assert_eq!(tables[1].rows[0].cells[0].value, b"a");

            query(0, &mut engine);
            let mut counts = Counts::new(engine.plan(), 100, 7);
            engine.exchange(&mut counts);
            assert_eq!(counts.datasets[1].total, expected + 4);
            assert_eq!(counts.datasets[1].records, u64::from(messages) + 1);
            let (_, key, count) = counts.datasets[1].cells.iter().next().expect("a cell");
            assert_eq!(
                (counts.texts.get(key), count),
                (Some(&[1, b'a', 0][..]), expected + 4)
            );
            assert_eq!(engine.tables(Style::Named)[1].total, 0);
        }
    }
}
