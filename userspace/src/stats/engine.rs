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
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use dns_wire::{counters::Role, locate::IpPacket};

use crate::enrich::locator::Caches;

use super::{
    cells::{Cells, Counted, Key, Spot, Texts},
    dataset::{Dataset, Indexer, Measure},
    label::{Style, label},
    observed::Observed,
    plan::{Compat, Plan, Rules, Step},
    response_time::{ResponseTime, ResponseTimes},
    sketches::Sketches,
    table::{Cell, Row, Skipped, Table},
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
    /// Response times of files, where messages come in their order.
    timed: Option<Timed>,
}

/// The dataset of response times.
struct Timed {
    step: Step,
    times: ResponseTimes<Key>,
    counts: BTreeMap<(Key, ResponseTime), u64>,
    /// The texts of rows: a query may end in another interval than it began.
    texts: Texts,
    /// So many cells at most.
    limit: usize,
    uncounted: u64,
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
    /// Messages that passed its filters and have a value, or octets of them.
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
            values: Values::new(&plan, seed),
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
        let timed = plan.timed.map(|step| Timed {
            step,
            times: ResponseTimes::new(plan.times),
            counts: BTreeMap::new(),
            texts: Texts::default(),
            limit: cells,
            uncounted: 0,
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
        let Some(place) = waiting.get_mut(*next) else {
            return;
        };
        *next = (*next + 1) % WAITING;
        place.count(counts, values, &plan.rules);
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
            timed.message(values, at);
        }
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
            place.count(&mut self.counts, &mut self.values, &self.plan.rules);
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
                    rows: rows(
                        dataset,
                        counts,
                        limit(dataset, style, self.plan.rules.compat),
                        |indexer, key| self.printed(indexer, key, &self.counts.texts, style),
                    ),
                },
            }
        });
        tables.collect()
    }

    fn timed_table(&self, dataset: &Arc<Dataset>, timed: &Timed, style: Style) -> Table {
        let rows = timed.counts.iter().filter_map(|((row, value), count)| {
            let cell = Cell {
                value: value.label().into_bytes(),
                count: *count,
            };
            Some(Row {
                value: self.printed(timed.step.first, *row, &timed.texts, style)?,
                cells: vec![cell],
                skipped: Skipped::default(),
            })
        });
        let rows = rows.collect();
        Table {
            dataset: Arc::clone(dataset),
            total: timed.counts.values().sum::<u64>() + timed.uncounted,
            uncounted: timed.uncounted,
            rows: in_order(rows),
        }
    }

    /// A value as it is printed; none for what DSC never prints.
    fn printed(&self, indexer: Indexer, key: Key, texts: &Texts, style: Style) -> Option<Vec<u8>> {
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
        let text = texts.get(key).unwrap_or(&[]);
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
        self.flush();
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
            // The texts of what waits are those of the tables of before.
            self.flush();
            self.values.refresh();
        }
    }

    /// How the caches of what is known of addresses did, where it is asked for.
    #[must_use]
    pub fn caches(&self) -> Option<Caches> {
        self.plan.reads_places().then(|| self.values.caches())
    }

    /// Hands over what was counted since the last time, and goes on with
    /// `emptied`, which was handed over before and cleared since.
    pub fn exchange(&mut self, emptied: &mut Counts) {
        self.flush();
        std::mem::swap(&mut self.counts, emptied);
        self.values.end_interval();
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

    /// Adds what was counted by the same datasets.
    pub fn add(&mut self, other: &Self) {
        let Self {
            datasets, texts, ..
        } = self;
        for (ours, theirs) in datasets.iter_mut().zip(&other.datasets) {
            ours.total += theirs.total;
            ours.cells.add_uncounted(theirs.cells.uncounted());
            for (first, second, count) in theirs.cells.iter() {
                if ours.cells.add(first, second, count) == Counted::New {
                    for key in [first, second] {
                        if let Some(text) = other.texts.get(key) {
                            texts.keep(key, text);
                        }
                    }
                }
            }
        }
    }

    /// What was counted by the datasets of the plan, with values as text: the
    /// right answers.
    #[must_use]
    pub fn tables(&self, plan: &Plan, style: Style) -> Vec<Table> {
        let datasets = plan.datasets.iter().zip(&self.datasets);
        let printed = |indexer, key| {
            let text = self.texts.get(key).unwrap_or(&[]);
            Some(label(indexer, key, text, &plan.rules, style))
        };
        let tables = datasets.map(|(dataset, counts)| Table {
            dataset: Arc::clone(dataset),
            total: counts.total,
            uncounted: counts.cells.uncounted(),
            rows: rows(
                dataset,
                counts,
                limit(dataset, style, Compat::None),
                printed,
            ),
        });
        tables.collect()
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
        for (step, spot) in &self.spots {
            let amount = match step.measure {
                Measure::Messages => message.weight,
                Measure::Bytes => message.weight * message.message.len as u64,
            };
            let Some(dataset) = counts.datasets.get_mut(step.dataset as usize) else {
                continue;
            };
            dataset.total += amount;
            dataset.records += 1;
            if dataset.cells.count(spot, amount) == Counted::New {
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
    fn message(&mut self, values: &mut Values, at: At<'_>) {
        let row = values.key(self.step.first, at);
        if row == SKIP {
            return;
        }
        keep_text(&mut self.texts, values, self.step.first, at);
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

    fn end_interval(&mut self, now_ns: u64) {
        let mut rows = Vec::new();
        self.times.end_interval(now_ns, |row| rows.push(row));
        for row in rows {
            self.count(row, ResponseTime::Timeout, 1);
        }
    }

    /// Forgets what was counted; queries that wait keep their rows.
    fn clear(&mut self) {
        self.counts.clear();
        self.uncounted = 0;
        let mut texts = Texts::default();
        for row in self.times.rows() {
            if let Some(text) = self.texts.get(*row) {
                texts.keep(*row, text);
            }
        }
        self.texts = texts;
    }
}

impl std::fmt::Debug for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timed").finish_non_exhaustive()
    }
}

/// DSC's files tell so many cells of each row. Where DSC is followed, names that
/// it prints alike are to be added up first.
fn limit(dataset: &Dataset, style: Style, compat: Compat) -> usize {
    match (style, compat) {
        (Style::Dsc, Compat::None) => dataset
            .max_cells
            .map_or(usize::MAX, |cells| cells.get() as usize),
        (Style::Dsc, Compat::Dsc) | (Style::Named, _) => usize::MAX,
    }
}

/// The cells of a dataset, with values as they are `printed`; without those that
/// never are. At most `limit` cells of each row are told one by one.
fn rows(
    dataset: &Dataset,
    counts: &DatasetCounts,
    limit: usize,
    printed: impl Fn(Indexer, Key) -> Option<Vec<u8>>,
) -> Vec<Row> {
    let [first, second] = &dataset.dimensions;
    let mut cells: Vec<_> = counts.cells.iter().collect();
    cells.sort_unstable_by_key(|(row, ..)| *row);
    let rows = cells.chunk_by_mut(|(one, ..), (other, ..)| one == other);
    let rows = rows.filter_map(|cells| {
        let (row, ..) = *cells.first()?;
        let value = printed(first.indexer, row)?;
        let skipped = leave_out(cells, limit);
        let shown = cells.len() - skipped.cells as usize;
        let shown = cells.get(..shown).unwrap_or(&[]).iter();
        let shown = shown.filter_map(|(_, key, count)| {
            let value = printed(second.indexer, *key)?;
            let count = *count;
            Some(Cell { value, count })
        });
        let cells = shown.collect();
        Some(Row {
            value,
            cells,
            skipped,
        })
    });
    in_order(rows.collect())
}

/// Brings the biggest cells to the front; what is behind the limit.
fn leave_out(cells: &mut [(Key, Key, u64)], limit: usize) -> Skipped {
    if cells.len() <= limit {
        return Skipped::default();
    }
    cells.select_nth_unstable_by_key(limit, |(_, key, count)| (Reverse(*count), *key));
    let rest = cells.get(limit..).unwrap_or(&[]);
    Skipped {
        cells: rest.len() as u64,
        messages: rest.iter().map(|(_, _, count)| count).sum(),
    }
}

/// Rows in the order of their values, their most frequent cells first; among
/// equals, those in the order of their values, too. What is printed alike, as
/// different names are by DSC, becomes one.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.value.cmp(&b.value));
    rows.dedup_by(|later, row| {
        let same = later.value == row.value;
        if same {
            row.cells.append(&mut later.cells);
            row.skipped.cells += later.skipped.cells;
            row.skipped.messages += later.skipped.messages;
        }
        same
    });
    for row in &mut rows {
        row.cells.sort_by(|a, b| a.value.cmp(&b.value));
        row.cells.dedup_by(|later, cell| {
            let same = later.value == cell.value;
            if same {
                cell.count += later.count;
            }
            same
        });
        // Equals stay in their order.
        row.cells.sort_by_key(|cell| Reverse(cell.count));
    }
    rows
}

#[cold]
fn keep_texts(texts: &mut Texts, values: &mut Values, step: &Step, at: At<'_>) {
    keep_text(texts, values, step.first, at);
    keep_text(texts, values, step.second, at);
}

fn keep_text(texts: &mut Texts, values: &mut Values, indexer: Indexer, at: At<'_>) {
    let key = values.key(indexer, at);
    if let Some(octets) = Values::address_text(indexer, at) {
        debug_assert!(key & IPV6 != 0);
        texts.keep(key, &octets);
    } else if let Some(text) = values.text(indexer, at) {
        texts.keep(key, text);
    }
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
    use crate::stats::{
        builtin,
        dataset::{Dimension, Layer},
    };

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

    #[test]
    fn a_query_that_times_out_in_a_later_interval_keeps_its_row() {
        let dimension = |label: &str, indexer| Dimension {
            label: label.to_owned(),
            indexer,
        };
        let dataset = Dataset {
            name: "times".to_owned(),
            layer: Layer::Dns,
            dimensions: [
                dimension("Q", Indexer::Qname),
                dimension("Time", Indexer::ResponseTime),
            ],
            filters: Vec::new(),
            measure: Measure::Messages,
            min_count: None,
            max_cells: None,
        };
        let plan = Plan::new(vec![dataset], Rules::default());
        let mut engine = Engine::in_order(Arc::new(plan), 100, 7);
        query(1, &mut engine);
        engine.end_interval(1_000);
        engine.clear();
        engine.end_interval(10_000_000_000);
        let rows = &engine.tables(Style::Named)[0].rows;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].value, b"a");
        assert_eq!(rows[0].cells[0].value, b"timeouts");
    }

    #[test]
    fn files_tell_the_biggest_cells_and_add_up_the_rest() {
        let mut cells: Vec<_> = (0..100).map(|key| (0, key, 1 + key % 10)).collect();
        let skipped = leave_out(&mut cells, 10);
        assert!(cells[..10].iter().all(|(_, _, count)| *count == 10));
        // A hundred cells count 550, the ten biggest of them 100.
        assert_eq!((skipped.cells, skipped.messages), (90, 450));
        assert_eq!(leave_out(&mut cells, 100), Skipped::default());
    }
}
