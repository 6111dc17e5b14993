//! The passage of a message through the groups of its route: what is counted by
//! joints, and which cells it is to be counted in directly.

use dns_wire::counters::Role;

use super::{
    cells::{Counted, Spot},
    counts::{DatasetCounts, WayJoints, spill},
    dataset::Indexer,
    joints::{NOT_COUNTED, UNCOUNTED},
    known_names::{Known, KnownNames},
    observed::Observed,
    plan::{Plan, Step, Way},
    route::{Group, Question},
    sketches::Sketches,
    values::{At, NONE, SKIP, Values, client_address},
    waiting::{Asked, Hashes},
};

/// So many cells of a new joint are asked for at a time.
const AT_ONCE: usize = 8;

/// A message and all that it passes.
pub(super) struct Passage<'m> {
    pub(super) plan: &'m Plan,
    pub(super) way: &'m Way,
    pub(super) at: At<'m>,
    pub(super) hashes: &'m Hashes,
    pub(super) datasets: &'m mut [DatasetCounts],
    pub(super) sketches: &'m mut Sketches,
    pub(super) values: &'m mut Values,
}

impl Passage<'_> {
    /// Counts it in its joints; the cells that it is counted in directly are added
    /// to `spots`, and asked for.
    #[inline(always)]
    pub(super) fn count(
        &mut self,
        joints: &mut WayJoints,
        names: &mut KnownNames,
        spots: &mut Vec<Asked>,
    ) {
        let route = &self.way.route;
        let mut passing = u64::MAX;
        // First, as the joint of the question is to come from memory meanwhile.
        let question = if route.looks_names_up() {
            let shape = self.name(names);
            let question = route.question.as_ref();
            question.map(|question| (question, self.ask_for_question(question, shape, joints)))
        } else {
            None
        };
        if let Some(group) = &route.header {
            passing = self.header(group, joints);
        }
        if let Some(group) = &route.client {
            self.client(group, joints);
        } else if self.plan.counts_distinct {
            self.distinct_client();
        }
        if let Some((question, hash)) = question {
            passing &= self.question(question, hash, joints);
        }
        if self.plan.counts_distinct && !self.plan.rules.zones.is_empty() {
            self.distinct_name();
        }
        self.direct(passing, spots);
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
            Some(found) => found.note,
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
        let Some(found) = joints.client.count(hash, self.weight(), self.octets()) else {
            return self.new_client(group, hash, joints);
        };
        let route = &self.way.route;
        if route.reads_place {
            self.values.set_place(joints.client.known(found.place));
        }
        if route.reads_subnet {
            self.values.set(Indexer::ClientSubnet, found.note);
        }
        if found.is_first && self.plan.counts_distinct {
            self.distinct_client();
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
            if let Some(known) = claimed.known {
                *known = self.values.place(self.at);
            }
            claimed.cells
        });
        self.count_each(group, cells);
        if self.plan.counts_distinct {
            self.distinct_client();
        }
    }

    /// The shape of its name; other values of the name are known from here on, too.
    #[inline(always)]
    fn name(&mut self, names: &mut KnownNames) -> u64 {
        if self.at.observed.role == Role::Server {
            self.values.set(Indexer::Qname, self.hashes.qname);
        }
        let known = match names.find(self.hashes.name) {
            Some(known) => known,
            None => &self.new_name(names),
        };
        for (indexer, key) in self.plan.names.told.iter().zip(known.told) {
            self.values.set(*indexer, key);
        }
        known.shape
    }

    #[cold]
    #[inline(never)]
    fn new_name(&mut self, names: &mut KnownNames) -> Known {
        let hash = self.hashes.name;
        let known = self.values.known_name(hash, &self.plan.names, self.at);
        names.keep(known);
        known
    }

    /// The hash of the joint of its question, which is asked for.
    #[inline(always)]
    fn ask_for_question(&self, question: &Question, shape: u64, joints: &WayJoints) -> u64 {
        let mask = question.group.mask;
        let hash = self.values.joint(self.hashes.words, mask, shape);
        joints.question.prefetch(hash);
        hash
    }

    /// By the shape of the name and the question: which of the datasets that are
    /// counted directly may pass.
    #[inline(always)]
    fn question(&mut self, question: &Question, hash: u64, joints: &mut WayJoints) -> u64 {
        let joint = joints.question.count(hash, self.weight(), self.octets());
        let Some(found) = joint else {
            return self.new_question(question, hash, joints);
        };
        if !question.told.is_empty() {
            let told = joints.question.known(found.place);
            for (indexer, key) in question.told.iter().zip(told) {
                self.values.set(*indexer, key);
            }
        }
        found.note
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
            let told = claimed.known.into_iter().flatten();
            for (told, indexer) in told.zip(&question.told) {
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
        for steps in group.steps.chunks(AT_ONCE) {
            let mut spots = [None; AT_ONCE];
            for (spot, step) in spots.iter_mut().zip(steps) {
                if self.values.pass(step.required, self.way, self.at) {
                    *spot = self.spot(step);
                }
            }
            for (spot, step) in spots.iter().zip(steps) {
                let counted = self.count_in(step, spot.as_ref());
                if let Some(cell) = cells.next() {
                    *cell = counted;
                }
            }
        }
    }

    /// Asks for the cells of what no group counts.
    #[inline(always)]
    fn direct(&mut self, mut passing: u64, spots: &mut Vec<Asked>) {
        let direct = &self.way.route.direct;
        while passing != 0 {
            let at = passing.trailing_zeros();
            let Some(one) = direct.get(at as usize) else {
                break;
            };
            passing &= passing - 1;
            self.ask_for(at, &one.step, one.undecided, spots);
        }
        for (at, one) in (64..).zip(direct.get(64..).unwrap_or(&[])) {
            self.ask_for(at, &one.step, one.step.required, spots);
        }
    }

    /// Asks for its cell in a dataset that is counted directly, if it passes the
    /// filters that no group decides on.
    #[inline(always)]
    fn ask_for(&mut self, direct: u32, step: &Step, undecided: u64, spots: &mut Vec<Asked>) {
        if !self.values.pass(undecided, self.way, self.at) {
            return;
        }
        if let Some(spot) = self.spot(step) {
            spots.push(Asked {
                direct,
                dataset: step.dataset,
                amount: self.at.observed.amount(step.measure),
                spot,
            });
        }
    }

    /// Its cell in a dataset whose filters it passes, if it has values there.
    #[inline(always)]
    fn spot(&mut self, step: &Step) -> Option<Spot> {
        let first = self.values.key(step.first, self.at);
        let second = self.values.key(step.second, self.at);
        if first == SKIP || second == SKIP {
            return None;
        }
        let dataset = self.datasets.get(step.dataset as usize)?;
        Some(dataset.cells.spot(first, second))
    }

    /// The number of its cell in a dataset.
    fn count_in(&mut self, step: &Step, spot: Option<&Spot>) -> u32 {
        let dataset = self.datasets.get_mut(step.dataset as usize);
        let Some((dataset, spot)) = dataset.zip(spot) else {
            return NOT_COUNTED;
        };
        match dataset.count(spot, self.at.observed.amount(step.measure)) {
            Counted::Known(cell) => cell,
            Counted::New(cell) => {
                let cells = &mut dataset.cells;
                self.values.keep_texts(step, self.at, cell, cells);
                cell
            }
            Counted::Full => UNCOUNTED,
        }
    }

    fn distinct_client(&mut self) {
        if is_query_to_server(self.at.observed) {
            self.sketches.client(client_address(self.at.observed));
        }
    }

    fn distinct_name(&mut self) {
        if is_query_to_server(self.at.observed) {
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
