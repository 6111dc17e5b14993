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

use dns_wire::{counters::Role, locate::IpPacket};

use crate::enrich::locator::Caches;

pub use super::counts::{Counts, DatasetCounts};
use super::{
    atoms::Words,
    cells::{Counted, Key, Texts},
    counts::{WayJoints, spill},
    dataset::{Dataset, Indexer, Measure},
    joints::{NOT_COUNTED, UNCOUNTED},
    label::{Style, label},
    observed::Observed,
    plan::{Compat, Plan, Rules, Step, Way},
    route::{Group, Question, Route},
    sketches::Sketches,
    table::{Table, limit, rows},
    timed::Timed,
    values::{At, NONE, SKIP, Values, client, client_address, packet_key},
};

/// So many messages are under way at a time.
const WAITING: usize = 8;

/// The engine.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    counts: Counts,
    values: Values,
    /// The last messages, not counted yet: by the time that they are, their joints
    /// have come from memory.
    waiting: [Waiting; WAITING],
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
        let next = self.next;
        self.next = (next + 1) % WAITING;
        self.count_waiting(next);
        if let Some(place) = self.waiting.get_mut(next) {
            let way = self.plan.way(observed);
            place.hashes = Hashes::of(observed, &self.plan.rules, &way.route, &self.values);
            place
                .hashes
                .prefetch(&way.route, self.counts.joints_of(observed));
            place.hold(observed);
        }
    }

    /// Counts what waits at a place.
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
        let Some(message) = waiting.message.take() else {
            return;
        };
        let observed = Observed {
            name: &waiting.name,
            options: &waiting.options,
            ..message
        };
        let way = plan.way(&observed);
        let [queries, responses] = &mut counts.joints;
        let joints = match observed.message.header.is_response() {
            true => responses,
            false => queries,
        };
        values.begin();
        let mut message = Message {
            plan,
            way,
            at: At {
                observed: &observed,
                rules: &plan.rules,
            },
            hashes: waiting.hashes,
            datasets: &mut counts.datasets,
            texts: &mut counts.texts,
            sketches: &mut counts.sketches,
            values,
        };
        message.count(joints);
    }

    fn count_all_waiting(&mut self) {
        for place in 0..WAITING {
            self.count_waiting((self.next + place) % WAITING);
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
                        |indexer, key| self.printed(indexer, key, &self.counts.texts, style),
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
            rows: timed.rows(|row, texts| self.printed(indexer, row, texts, style)),
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
            self.counts.forget_joints();
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
        self.hand_over(emptied);
        emptied.settle();
    }

    /// Likewise, but at once: the part of the work that grows with the counts is
    /// left to the one who takes them, by [`Counts::settle`].
    pub fn hand_over(&mut self, emptied: &mut Counts) {
        self.count_all_waiting();
        std::mem::swap(&mut self.counts, emptied);
        self.values.end_interval();
    }
}

/// A message that is not counted yet.
#[derive(Clone, Debug, Default)]
struct Waiting {
    message: Option<Observed<'static>>,
    name: Vec<u8>,
    options: Vec<u8>,
    hashes: Hashes,
}

impl Waiting {
    #[inline(always)]
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
}

/// What the joints of a message are found by.
#[derive(Clone, Copy, Debug, Default)]
struct Hashes {
    words: Words,
    header: u64,
    client: u64,
    /// The key of the name as it came.
    qname: Key,
    name: u64,
}

impl Hashes {
    #[inline(always)]
    fn of(observed: &Observed<'_>, rules: &Rules, route: &Route, values: &Values) -> Self {
        let words = Words::of(observed, rules, route.wanted);
        let mut hashes = Self {
            words,
            ..Self::default()
        };
        if let Some(group) = &route.header {
            hashes.header = values.joint(words, group.mask, 0);
        }
        if let Some(group) = &route.client {
            let address = values.key_of_words(client(observed));
            hashes.client = values.joint(words, group.mask, address);
        }
        if let Some(group) = &route.name {
            hashes.qname = values.key_of_name(observed.name);
            hashes.name = values.joint(words, group.mask, hashes.qname);
        }
        hashes
    }

    #[inline(always)]
    fn prefetch(&self, route: &Route, joints: &WayJoints) {
        if route.client.is_some() {
            joints.client.prefetch(self.client);
        }
        if route.name.is_some() {
            joints.name.prefetch(self.name);
        }
    }
}

/// A message on its way through the groups.
struct Message<'m> {
    plan: &'m Plan,
    way: &'m Way,
    at: At<'m>,
    hashes: Hashes,
    datasets: &'m mut [DatasetCounts],
    texts: &'m mut Texts,
    sketches: &'m mut Sketches,
    values: &'m mut Values,
}

impl Message<'_> {
    #[inline(always)]
    fn count(&mut self, joints: &mut WayJoints) {
        let route = &self.way.route;
        let mut passing = u64::MAX;
        if let Some(group) = &route.header {
            passing = self.header(group, joints);
        }
        if let Some(group) = &route.client {
            self.client(group, joints);
        } else if self.plan.counts_distinct {
            self.distinct_client();
        }
        if let Some(group) = &route.name {
            let shape = self.name(group, joints);
            if let Some(question) = &route.question {
                passing &= self.question(question, shape, joints);
            }
        } else if self.plan.counts_distinct {
            self.distinct_name();
        }
        self.direct(passing);
    }

    const fn weight(&self) -> u64 {
        self.at.observed.weight
    }

    const fn octets(&self) -> u64 {
        self.at.observed.message.len as u64
    }

    /// By the header alone: which of the datasets that are counted directly may
    /// pass.
    #[inline(always)]
    fn header(&mut self, group: &Group, joints: &mut WayJoints) -> u64 {
        let hash = self.hashes.header;
        match joints.header.count(hash, self.weight(), self.octets()) {
            Some((passing, _)) => passing,
            None => self.new_header(group, hash, joints),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_header(&mut self, group: &Group, hash: u64, joints: &mut WayJoints) -> u64 {
        let passing = self.passing(group);
        let datasets = &mut *self.datasets;
        let claimed = joints.header.claim(hash, passing, |cells, sums| {
            spill(&group.steps, cells, sums, datasets);
        });
        self.count_each(group, claimed.map(|claimed| claimed.cells));
        passing
    }

    /// By the client, whatever else is in the mask.
    #[inline(always)]
    fn client(&mut self, group: &Group, joints: &mut WayJoints) {
        let hash = self.hashes.client;
        let Some((subnet, place)) = joints.client.count(hash, self.weight(), self.octets()) else {
            return self.new_client(group, hash, joints);
        };
        let route = &self.way.route;
        if route.reads_place {
            self.values.set_place(joints.client.known(place));
        }
        if route.reads_subnet {
            self.values.set(Indexer::ClientSubnet, subnet);
        }
    }

    #[cold]
    #[inline(never)]
    fn new_client(&mut self, group: &Group, hash: u64, joints: &mut WayJoints) {
        let mut subnet = 0;
        if self.way.route.reads_subnet {
            subnet = self.values.key(Indexer::ClientSubnet, self.at);
        }
        let datasets = &mut *self.datasets;
        let claimed = joints.client.claim(hash, subnet, |cells, sums| {
            spill(&group.steps, cells, sums, datasets);
        });
        let cells = claimed.map(|claimed| {
            if self.way.route.reads_place {
                *claimed.known = self.values.place(self.at);
            }
            claimed.cells
        });
        self.count_each(group, cells);
        if self.plan.counts_distinct {
            self.distinct_client();
        }
    }

    /// By the name: its shape.
    #[inline(always)]
    fn name(&mut self, group: &Group, joints: &mut WayJoints) -> u64 {
        if self.at.observed.role == Role::Server {
            self.values.set(Indexer::Qname, self.hashes.qname);
        }
        let hash = self.hashes.name;
        match joints.name.count(hash, self.weight(), self.octets()) {
            Some((shape, _)) => shape,
            None => self.new_name(group, hash, joints),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_name(&mut self, group: &Group, hash: u64, joints: &mut WayJoints) -> u64 {
        let question = self.way.route.question.as_ref();
        let shape = question.map_or(0, |question| {
            self.values.shape(&question.shape, self.way, self.at)
        });
        let datasets = &mut *self.datasets;
        let claimed = joints.name.claim(hash, shape, |cells, sums| {
            spill(&group.steps, cells, sums, datasets);
        });
        self.count_each(group, claimed.map(|claimed| claimed.cells));
        if self.plan.counts_distinct {
            self.distinct_name();
        }
        shape
    }

    /// By the shape of the name and the question: which of the datasets that are
    /// counted directly may pass.
    #[inline(always)]
    fn question(&mut self, question: &Question, shape: u64, joints: &mut WayJoints) -> u64 {
        let mask = question.group.mask;
        let hash = self.values.joint(self.hashes.words, mask, shape);
        let joint = joints.question.count(hash, self.weight(), self.octets());
        let Some((passing, place)) = joint else {
            return self.new_question(question, hash, joints);
        };
        if !question.told.is_empty() {
            let told = joints.question.known(place);
            for (indexer, key) in question.told.iter().zip(told) {
                self.values.set(*indexer, key);
            }
        }
        passing
    }

    #[cold]
    #[inline(never)]
    fn new_question(&mut self, question: &Question, hash: u64, joints: &mut WayJoints) -> u64 {
        let group = &question.group;
        let passing = self.passing(group);
        let datasets = &mut *self.datasets;
        let claimed = joints.question.claim(hash, passing, |cells, sums| {
            spill(&group.steps, cells, sums, datasets);
        });
        let cells = claimed.map(|claimed| {
            for (told, indexer) in claimed.known.iter_mut().zip(&question.told) {
                *told = self.values.key(*indexer, self.at);
            }
            claimed.cells
        });
        self.count_each(group, cells);
        passing
    }

    /// Of the datasets that are counted directly, those that pass as far as a
    /// group can tell; the first 64 only have a bit.
    fn passing(&mut self, group: &Group) -> u64 {
        let holding = self.values.conditions(self.way, self.at);
        let direct = (0..64).zip(&self.way.route.direct);
        direct.fold(0, |passing, (bit, direct)| {
            let passes = direct.step.required & group.decided & !holding == 0;
            passing | u64::from(passes) << bit
        })
    }

    /// Counts it in each dataset of a group, and keeps the numbers of its cells
    /// where there is a place for them.
    fn count_each(&mut self, group: &Group, cells: Option<&mut [u32]>) {
        let mut cells = cells.into_iter().flatten();
        for step in &group.steps {
            let counted = if self.values.pass(step.required, self.way, self.at) {
                self.count_in(step)
            } else {
                NOT_COUNTED
            };
            if let Some(cell) = cells.next() {
                *cell = counted;
            }
        }
    }

    /// Counts it where no group does.
    #[inline(always)]
    fn direct(&mut self, mut passing: u64) {
        let direct = &self.way.route.direct;
        while passing != 0 {
            let Some(one) = direct.get(passing.trailing_zeros() as usize) else {
                break;
            };
            passing &= passing - 1;
            if self.values.pass(one.undecided, self.way, self.at) {
                self.count_in(&one.step);
            }
        }
        for one in direct.iter().skip(64) {
            if self.values.pass(one.step.required, self.way, self.at) {
                self.count_in(&one.step);
            }
        }
    }

    /// Counts it in a dataset whose filters it passes: the number of its cell.
    fn count_in(&mut self, step: &Step) -> u32 {
        let first = self.values.key(step.first, self.at);
        let second = self.values.key(step.second, self.at);
        let Some(dataset) = self.datasets.get_mut(step.dataset as usize) else {
            return NOT_COUNTED;
        };
        if first == SKIP || second == SKIP {
            return NOT_COUNTED;
        }
        let amount = match step.measure {
            Measure::Messages => self.at.observed.weight,
            Measure::Bytes => self.at.observed.weight * self.at.observed.message.len as u64,
        };
        dataset.total += amount;
        dataset.records += 1;
        match dataset.cells.add(first, second, amount) {
            Counted::Known(cell) => cell,
            Counted::New(cell) => {
                self.keep_texts(step);
                cell
            }
            Counted::Full => UNCOUNTED,
        }
    }

    #[cold]
    fn keep_texts(&mut self, step: &Step) {
        self.values.keep_text(step.first, self.at, self.texts);
        self.values.keep_text(step.second, self.at, self.texts);
    }

    fn distinct_client(&mut self) {
        if is_query_to_server(self.at.observed) {
            self.sketches.client(client_address(self.at.observed));
        }
    }

    fn distinct_name(&mut self) {
        if !self.plan.rules.zones.is_empty() && is_query_to_server(self.at.observed) {
            let zone = self.values.key(Indexer::Zone, self.at);
            if zone != NONE {
                let name = self.values.key(Indexer::Qname, self.at);
                self.sketches.name(zone, name);
            }
        }
    }
}

/// What clients ask of the observed host.
fn is_query_to_server(observed: &Observed<'_>) -> bool {
    observed.role == Role::Server && !observed.message.header.is_response()
}

#[cfg(test)]
mod tests;
