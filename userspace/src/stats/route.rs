//! How a message is counted in many datasets at once: which of them are counted
//! by joints, of which atoms, and which one by one.
//!
//! Datasets are grouped by what decides on their cells. Those of the header alone
//! make the first group, whose joints are few. Names are many, but what their
//! length, their top-level domain, their class come to, their *shape*, is one of
//! few things: the datasets that go by these make a group by shape and question.
//! The last group is that of clients.
//!
//! What reads atoms of two groups, as a class of names and a network, or whole
//! names, is counted directly. The groups before it help: they tell whether its
//! filters can pass at all, and hand values on that are theirs.
//!
//! The group of a dataset is told by the dataset alone, and so the same for queries
//! and for responses: the order of its cells is that of the messages.

use super::{
    atoms::{Atoms, Words, big},
    dataset::{Filter, Indexer, Predicate},
    known_names::Wanted,
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
    /// None where every dataset is counted directly.
    pub(super) header: Option<Group>,
    /// By the shape of names.
    pub(super) question: Option<Question>,
    pub(super) client: Option<Group>,
    pub(super) direct: Vec<Direct>,
    /// Whether names are looked up.
    pub(super) reads_names: bool,
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
    /// What a joint tells.
    pub(super) told: Vec<Indexer>,
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
    Question,
    Client,
    Direct,
}

impl Route {
    /// The route of a way; what it wants to know of names is added to `names`.
    pub(super) fn new(steps: &[Step], rules: &Rules, names: &mut Wanted) -> Self {
        if rules.compat == Compat::Dsc || steps.is_empty() {
            // Values of one message depend on others, there.
            return Self::direct(steps);
        }
        let of_kind = |kind| {
            let steps = steps.iter().filter(|step| self::kind(step, rules) == kind);
            steps.copied().collect::<Vec<_>>()
        };
        let mut route = Self {
            header: Some(Group::new(of_kind(Kind::Header), rules)),
            ..Self::default()
        };
        let (questions, clients) = (of_kind(Kind::Question), of_kind(Kind::Client));
        if !questions.is_empty() {
            for step in &questions {
                add_to_shape(step, rules, names);
            }
            route.question = Some(Question::new(Group::new(questions, rules)));
        }
        if !clients.is_empty() {
            route.client = Some(Group::new(clients, rules).of_clients());
        }
        for step in of_kind(Kind::Direct) {
            route.add_direct(step, rules, names);
        }
        if route.reads_place {
            route.tells_clients();
        }
        let atoms = steps.iter().map(|step| atoms(step, rules));
        route.wanted = atoms.fold(Atoms::default(), Atoms::and).words;
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

    /// Lets groups decide on its filters, and tell of its values what they can.
    fn add_direct(&mut self, step: Step, rules: &Rules, names: &mut Wanted) {
        let mut undecided = 0;
        for filter in filters(step.required) {
            let atoms = Atoms::of_filter(filter);
            let bit = filter_bit(filter);
            if let (0, Some(header)) = (atoms.big, &mut self.header) {
                header.decide(bit, atoms);
            } else if atoms.big == big::SHAPE {
                let question = self.question.get_or_insert_with(Question::default);
                question.group.decide(bit, atoms);
                names.shape_by_filter(filter);
            } else {
                undecided |= bit;
            }
        }
        for indexer in [step.first, step.second] {
            self.reads_subnet |= indexer == Indexer::ClientSubnet;
            self.reads_place |= indexer.reads_place();
            self.tell(indexer, rules, names);
        }
        self.direct.push(Direct { step, undecided });
    }

    /// Has a value told that comes of the name.
    pub(super) fn tell(&mut self, indexer: Indexer, rules: &Rules, names: &mut Wanted) {
        let atoms = Atoms::of_indexer(indexer, rules);
        if self.header.is_none() {
            return;
        }
        if atoms.big == big::SHAPE && atoms.words.is_within(Words::OF_QUESTION) {
            let question = self.question.get_or_insert_with(Question::default);
            if !question.told.contains(&indexer) && question.told.len() < TOLD {
                question.told.push(indexer);
                question.group.mask = question.group.mask.and(atoms.words);
                names.shape_by(indexer);
            }
        } else if atoms.big == big::NAME && atoms.words.is_within(Words::ROLE) {
            // The whole name is known by its hash.
            self.reads_names = true;
            if indexer != Indexer::Qname {
                names.tell(indexer);
            }
        }
    }

    /// Each client is looked up, whatever datasets there are.
    pub(super) fn tells_clients(&mut self) {
        if self.header.is_some() {
            let clients = self.client.take().unwrap_or_default();
            self.client = Some(clients.of_clients());
        }
    }

    /// Whether names are looked up.
    pub(super) const fn looks_names_up(&self) -> bool {
        self.reads_names || self.question.is_some()
    }
}

impl Question {
    const fn new(group: Group) -> Self {
        Self {
            group,
            told: Vec::new(),
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

/// The shape of a name tells all of it that a dataset goes by.
fn add_to_shape(step: &Step, rules: &Rules, names: &mut Wanted) {
    for indexer in [step.first, step.second] {
        if Atoms::of_indexer(indexer, rules).big == big::SHAPE {
            names.shape_by(indexer);
        }
    }
    for filter in filters(step.required) {
        if Atoms::of_filter(filter).big == big::SHAPE {
            names.shape_by_filter(filter);
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
    match big {
        0 => Kind::Header,
        big::SHAPE if words.is_within(Words::OF_QUESTION) => Kind::Question,
        big::CLIENT if words.is_within(Words::OF_CLIENT) => Kind::Client,
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
