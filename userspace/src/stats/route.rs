//! How a message is counted in many datasets at once: which of them are counted
//! by joints, of which atoms, and which one by one.
//!
//! Datasets are grouped by what decides on their cells. Those of the header alone
//! make the first group, whose joints are few. Names are many, so the group of
//! names holds what is told of the name itself and the shape of it: all that the
//! many datasets by its length, its top-level domain or its class go by. These
//! make a group of their own, by shape and question, whose joints are few again.
//! The last group is that of clients.
//!
//! What reads atoms of two groups, as a class of names and a network, or is by
//! itself in its kind, is counted directly. The groups before it help: they tell
//! whether its filters can pass at all, and hand values on that are theirs.

use super::{
    atoms::{Atoms, Words, big},
    dataset::{Filter, Indexer, Predicate},
    plan::{Compat, Rules, Step, filter_bit},
};

/// Values of the question that a joint tells to datasets that are counted
/// directly.
pub(super) const TOLD: usize = 3;

/// The groups, and what is in none.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    /// Small atoms that cost more than a look.
    pub(super) wanted: Words,
    pub(super) header: Option<Group>,
    pub(super) name: Option<Group>,
    /// By the shape of names; only where names are a group.
    pub(super) question: Option<Question>,
    pub(super) client: Option<Group>,
    pub(super) direct: Vec<Direct>,
    /// Whether datasets that are counted directly read the client's place.
    pub(super) reads_place: bool,
    /// Whether they read the client's network.
    pub(super) reads_subnet: bool,
}

/// Datasets that have their joints in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) mask: Words,
    pub(super) steps: Vec<Step>,
    /// The filters that it decides on, also for those counted directly.
    pub(super) decided: u64,
}

/// Those that go by the shape of a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    pub(super) group: Group,
    pub(super) shape: Shape,
    /// What a joint tells.
    pub(super) told: Vec<Indexer>,
}

/// What the shape of a name is.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Values that are told of the name alone.
    pub(super) indexers: Vec<Indexer>,
    /// Filters, as bits.
    pub(super) filters: u64,
    /// Whether the class of the question is asked for.
    pub(super) classes: bool,
}

/// A dataset that is counted by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) step: Step,
    /// Of its filters those that no group decides on.
    pub(super) undecided: u64,
}

/// The group that a dataset belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Name,
    Question,
    Client,
    Direct,
}

impl Route {
    /// The route of a way.
    pub(super) fn new(steps: &[Step], rules: &Rules) -> Self {
        if rules.compat == Compat::Dsc || steps.is_empty() {
            // Values of one message depend on others, there.
            return Self::direct(steps);
        }
        let mut kinds: Vec<Kind> = steps.iter().map(|step| kind(step, rules)).collect();
        let count = |kinds: &[Kind], kind| kinds.iter().filter(|one| **one == kind).count();
        // A lookup of names is no gain over another one; one of clients comes from
        // memory in time, as one of cells does not.
        let names = count(&kinds, Kind::Name) + count(&kinds, Kind::Question);
        let clients = count(&kinds, Kind::Client);
        for kind in &mut kinds {
            let is_alone = match kind {
                Kind::Name | Kind::Question => names < 2,
                Kind::Header | Kind::Client | Kind::Direct => false,
            };
            if is_alone {
                *kind = Kind::Direct;
            }
        }
        let group = |kind| {
            let of_kind = steps.iter().zip(&kinds).filter(|(_, one)| **one == kind);
            Group::new(of_kind.map(|(step, _)| *step).collect(), rules)
        };
        let mut route = Self {
            header: Some(group(Kind::Header)),
            ..Self::default()
        };
        if names > 1 {
            route.name = Some(Group::of_names(group(Kind::Name)));
            route.question = Some(Question {
                group: group(Kind::Question),
                ..Question::default()
            });
        }
        if clients > 0 {
            route.client = Some(Group::of_clients(group(Kind::Client)));
        }
        let direct = group(Kind::Direct).steps;
        route.add_direct(direct, rules);
        route.complete(steps, rules);
        route
    }

    /// A route without groups.
    pub(super) fn direct(steps: &[Step]) -> Self {
        let direct = steps.iter().map(|step| Direct {
            step: *step,
            undecided: step.required,
        });
        Self {
            direct: direct.collect(),
            ..Self::default()
        }
    }

    /// Lets groups decide on the filters of what is counted directly, and tell of
    /// its values what they can.
    fn add_direct(&mut self, steps: Vec<Step>, rules: &Rules) {
        for step in steps {
            let mut undecided = 0;
            for filter in filters(step.required) {
                let atoms = Atoms::of_filter(filter);
                let bit = filter_bit(filter);
                if let (0, Some(header)) = (atoms.big, &mut self.header) {
                    header.decide(bit, atoms);
                } else if let (big::SHAPE, Some(question)) = (atoms.big, &mut self.question) {
                    question.group.decide(bit, atoms);
                    question.shape.filters |= bit;
                } else {
                    undecided |= bit;
                }
            }
            for indexer in [step.first, step.second] {
                self.reads_subnet |= indexer == Indexer::ClientSubnet;
                self.reads_place |= indexer.reads_place();
                if let Some(question) = &mut self.question {
                    question.tell(indexer, rules);
                }
            }
            self.direct.push(Direct { step, undecided });
        }
    }

    /// What follows from its groups.
    fn complete(&mut self, steps: &[Step], rules: &Rules) {
        if let Some(question) = &mut self.question {
            let indexers = question.group.steps.iter();
            let indexers = indexers.flat_map(|step| [step.first, step.second]);
            let indexers: Vec<_> = indexers.chain(question.told.iter().copied()).collect();
            for indexer in indexers {
                question.shape.add(indexer, rules);
            }
            for step in &question.group.steps {
                question.shape.filters |= filters(step.required)
                    .filter(|filter| Atoms::of_filter(*filter).big == big::SHAPE)
                    .fold(0, |bits, filter| bits | filter_bit(filter));
            }
        }
        if self.reads_place && self.client.is_none() {
            self.tells_clients();
        }
        let atoms = steps.iter().map(|step| atoms(step, rules));
        self.wanted = atoms.fold(Atoms::default(), Atoms::and).words;
    }

    /// Each client is looked up, whatever datasets there are.
    pub(super) fn tells_clients(&mut self) {
        if self.header.is_some() {
            let clients = self.client.take().unwrap_or_default();
            self.client = Some(clients.of_clients());
        }
    }

    /// Likewise each name.
    pub(super) fn tells_names(&mut self) {
        if self.header.is_some() && self.name.is_none() {
            self.name = Some(Group::of_names(Group::default()));
        }
    }
}

impl Group {
    fn new(steps: Vec<Step>, rules: &Rules) -> Self {
        let atoms = steps.iter().map(|step| atoms(step, rules));
        let mask = atoms.fold(Atoms::default(), Atoms::and).words;
        Self {
            mask,
            steps,
            decided: 0,
        }
    }

    /// The role tells how much of a name is.
    fn of_names(self) -> Self {
        Self {
            mask: self.mask.and(Words::ROLE),
            ..self
        }
    }

    /// The family tells addresses of the same octets apart, and the role what is a
    /// client of the server.
    fn of_clients(self) -> Self {
        Self {
            mask: self.mask.and(Words::FAMILY).and(Words::ROLE),
            ..self
        }
    }

    fn decide(&mut self, filter: u64, atoms: Atoms) {
        self.decided |= filter;
        self.mask = self.mask.and(atoms.words);
    }
}

impl Question {
    fn tell(&mut self, indexer: Indexer, rules: &Rules) {
        let atoms = Atoms::of_indexer(indexer, rules);
        let is_new = !self.told.contains(&indexer) && self.told.len() < TOLD;
        if is_new && atoms.big == big::SHAPE && atoms.words.is_within(Words::OF_QUESTION) {
            self.told.push(indexer);
            self.group.mask = self.group.mask.and(atoms.words);
        }
    }
}

impl Shape {
    fn add(&mut self, indexer: Indexer, rules: &Rules) {
        if Atoms::of_indexer(indexer, rules).big != big::SHAPE {
            return;
        }
        if indexer == Indexer::QueryClassification {
            self.classes = true;
        } else if !self.indexers.contains(&indexer) {
            self.indexers.push(indexer);
        }
    }
}

/// All that the cell of a dataset comes of.
fn atoms(step: &Step, rules: &Rules) -> Atoms {
    let values = Atoms::of_indexer(step.first, rules).and(Atoms::of_indexer(step.second, rules));
    let filters = filters(step.required).map(Atoms::of_filter);
    filters.fold(values, Atoms::and)
}

fn kind(step: &Step, rules: &Rules) -> Kind {
    let Atoms { words, big } = atoms(step, rules);
    let of_one = words.is_within(Words::OF_ONE);
    match big {
        0 => Kind::Header,
        big::SHAPE if words.is_within(Words::OF_QUESTION) => Kind::Question,
        big::CLIENT if of_one => Kind::Client,
        _ if big & !(big::NAME | big::SHAPE) == 0 && of_one => Kind::Name,
        _ => Kind::Direct,
    }
}

/// The filters that bits stand for.
fn filters(bits: u64) -> impl Iterator<Item = Filter> {
    let set = (0..64_usize).filter(move |bit| bits >> bit & 1 != 0);
    set.filter_map(|bit| match bit.checked_sub(Predicate::COUNT) {
        Some(expression) => Some(Filter::QnameMatches(expression)),
        None => Predicate::from_index(bit).map(Filter::Is),
    })
}
