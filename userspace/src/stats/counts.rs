//! What datasets have counted, cell by cell: what a shard hands over, and what is
//! added up of several.

use std::sync::Arc;

use super::{
    cells::{Cells, Counted, Key, Spot},
    dataset::Measure,
    joints::{Joints, NOT_COUNTED, Shape, Sums, Trial, UNCOUNTED},
    label::{Style, label},
    observed::Observed,
    plan::{Compat, Plan, Step},
    route::{Route, TOLD},
    sketches::Sketches,
    table::{Table, limit, rows},
    values::PlaceKeys,
};

/// What datasets have counted, cell by cell.
#[derive(Clone, Debug)]
pub struct Counts {
    /// By dataset, in the order of the plan.
    pub datasets: Vec<DatasetCounts>,
    /// Different clients, and names of zones, where the plan wants them.
    pub sketches: Sketches,
    /// Of queries and of responses; what was handed over has none in them.
    pub(super) joints: [WayJoints; 2],
    /// The tables that joints know places of, by the number of their replacement.
    pub(super) tables: u32,
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

/// The joints of a way, by group.
#[derive(Clone, Debug)]
pub(super) struct WayJoints {
    /// Noted are the datasets that may pass of those that are counted directly.
    pub(super) header: Joints<()>,
    /// Noted is what may pass; known what the route has a question tell.
    pub(super) question: Joints<[Key; TOLD]>,
    /// Noted is the network of the client.
    pub(super) client: Joints<PlaceKeys>,
    /// The steps of each.
    steps: [Box<[Step]>; 3],
}

impl Counts {
    /// Nothing counted; see [`Engine::new`](super::engine::Engine::new).
    #[must_use]
    pub fn new(plan: &Plan, cells: usize, seed: u64) -> Self {
        let empty = |_: &_| DatasetCounts {
            total: 0,
            records: 0,
            cells: Cells::new(cells, seed),
        };
        Self {
            datasets: plan.datasets.iter().map(empty).collect(),
            sketches: Sketches::new(plan.counts_distinct.then_some(plan.client_key)),
            joints: [&plan.queries, &plan.responses]
                .map(|way| WayJoints::new(&way.route, plan.joints)),
            tables: 0,
        }
    }

    /// Brings what was counted in joints to its cells. Counts that were handed over
    /// tell nothing right before.
    pub fn settle(&mut self) {
        for joints in &mut self.joints {
            joints.settle(&mut self.datasets);
        }
    }

    /// Forgets what is known of joints, which were settled, if it is not of these
    /// tables.
    pub(super) fn go_by(&mut self, tables: u32) {
        if self.tables != tables {
            self.tables = tables;
            self.forget_joints();
        }
    }

    fn forget_joints(&mut self) {
        for joints in &mut self.joints {
            joints.forget();
        }
    }

    /// Adds what was counted by the same datasets.
    pub fn add(&mut self, other: &Self) {
        for (ours, theirs) in self.datasets.iter_mut().zip(&other.datasets) {
            ours.total += theirs.total;
            ours.cells.add_uncounted(theirs.cells.uncounted());
            for cell in theirs.cells.iter() {
                let [first, second] = cell.keys;
                if let Counted::New(number) = ours.cells.add(first, second, cell.count) {
                    for (dimension, text) in theirs.cells.texts(cell.number).iter().enumerate() {
                        ours.cells.keep_text(number, dimension, text);
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
        let printed = |indexer, key, text: &_| Some(label(indexer, key, text, &plan.rules, style));
        let tables = datasets.map(|(dataset, counts)| Table {
            dataset: Arc::clone(dataset),
            total: counts.total,
            uncounted: counts.cells.uncounted(),
            rows: rows(
                dataset,
                &counts.cells,
                limit(dataset, style, Compat::None),
                printed,
            ),
        });
        tables.collect()
    }

    /// Counts anew, once what was handed over is taken; what it was counted in stays
    /// where it is of use, so that it need not be found out again.
    /// Once only for each exchange: what was not used is given back.
    pub fn begin_anew(&mut self) {
        let mut stay = Vec::with_capacity(self.datasets.len());
        for dataset in &mut self.datasets {
            dataset.total = 0;
            dataset.records = 0;
            stay.push(dataset.cells.begin_anew());
        }
        self.sketches.clear();
        for joints in &mut self.joints {
            joints.begin_anew(|step| stay.get(step.dataset as usize) == Some(&true));
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
        self.sketches.clear();
        self.forget_joints();
    }
}

impl DatasetCounts {
    /// Counts a message in a cell.
    #[inline(always)]
    pub(super) fn count(&mut self, spot: &Spot, amount: u64) -> Counted {
        self.total += amount;
        self.records += 1;
        self.cells.count(spot, amount)
    }

    /// Adds the sums of a joint to its cell.
    #[inline]
    pub(super) fn spill(&mut self, measure: Measure, cell: u32, sums: &Sums) {
        let amount = match measure {
            Measure::Messages => sums.messages,
            Measure::Bytes => sums.octets,
        };
        match cell {
            NOT_COUNTED => return,
            UNCOUNTED => self.cells.add_uncounted(amount),
            known => self.cells.add_to(known, amount),
        }
        self.total += amount;
        self.records += sums.records;
    }
}

/// Brings the sums of a joint to the cells of the datasets of its group.
pub(super) fn spill(steps: &[Step], cells: &[u32], sums: &Sums, datasets: &mut [DatasetCounts]) {
    for (step, cell) in steps.iter().zip(cells) {
        if let Some(dataset) = datasets.get_mut(step.dataset as usize) {
            dataset.spill(step.measure, *cell, sums);
        }
    }
}

/// Most joints of each group, of queries and of responses each, and when they are
/// of use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) headers: usize,
    pub(super) questions: usize,
    pub(super) clients: usize,
    pub(super) trial: Trial,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            headers: 4096,
            questions: 32_768,
            clients: 16_384,
            trial: Trial::default(),
        }
    }
}

/// The joints of messages like this one.
#[inline(always)]
pub(super) const fn joints_of<'j>(
    joints: &'j mut [WayJoints; 2],
    observed: &Observed<'_>,
) -> &'j mut WayJoints {
    let [queries, responses] = joints;
    if observed.message.header.is_response() {
        responses
    } else {
        queries
    }
}

impl WayJoints {
    fn new(route: &Route, sizes: Sizes) -> Self {
        let question = route.question.as_ref().map(|question| &question.group);
        let tells = route.question.as_ref();
        let tells = tells.is_some_and(|question| !question.told.is_empty());
        let groups = [
            (route.header.as_ref(), sizes.headers, false),
            (question, sizes.questions, tells),
            (route.client.as_ref(), sizes.clients, route.reads_place),
        ];
        let steps = groups.map(|(group, ..)| {
            let steps = group.map_or(&[][..], |group| &group.steps);
            Box::<[Step]>::from(steps)
        });
        let [header, question, client] = groups.map(|(group, limit, knows_more)| {
            let steps = group.map_or(&[][..], |group| &group.steps);
            let mut measures = steps.iter().map(|step| step.measure);
            Shape {
                limit: if group.is_some() { limit } else { 0 },
                datasets: steps.len(),
                knows_more,
                measures_octets: measures.any(|measure| measure == Measure::Bytes),
                trial: sizes.trial,
            }
        });
        Self {
            header: Joints::new(header),
            question: Joints::new(question),
            client: Joints::new(client),
            steps,
        }
    }

    fn settle(&mut self, datasets: &mut [DatasetCounts]) {
        let [header, question, client] = &self.steps;
        self.header
            .settle(|cells, sums| spill(header, cells, sums, datasets));
        self.question
            .settle(|cells, sums| spill(question, cells, sums, datasets));
        self.client
            .settle(|cells, sums| spill(client, cells, sums, datasets));
    }

    /// Joints stay where all datasets of their group have kept their cells.
    fn begin_anew(&mut self, stays: impl Fn(&Step) -> bool) {
        fn group<E: Copy + Default>(joints: &mut Joints<E>, stay: bool) {
            if stay {
                joints.begin_anew();
            } else {
                joints.forget();
            }
        }
        let [header, question, client] = &self.steps;
        let all = |steps: &[Step]| steps.iter().all(&stays);
        group(&mut self.header, all(header));
        group(&mut self.question, all(question));
        group(&mut self.client, all(client));
    }

    /// Which of them pass lookups over.
    #[cfg(test)]
    pub(super) const fn resting(&self) -> [bool; 3] {
        [
            self.header.rests(),
            self.question.rests(),
            self.client.rests(),
        ]
    }

    /// Whether some are there in each.
    #[cfg(test)]
    pub(super) const fn are_some(&self) -> bool {
        !self.header.is_empty() && !self.question.is_empty() && !self.client.is_empty()
    }

    /// Which of them are larger than empty ones.
    #[cfg(test)]
    pub(super) const fn grown(&self) -> [bool; 3] {
        [
            self.header.has_grown(),
            self.question.has_grown(),
            self.client.has_grown(),
        ]
    }

    fn forget(&mut self) {
        self.header.forget();
        self.question.forget();
        self.client.forget();
    }
}
