//! A message on its way through the engine: what is held of it until what is asked
//! for has come from memory.

use dns_wire::{
    counters::{Hook, Role},
    locate::{Family, Flow, Transport},
    message::{EdnsState, Header, Message, Opt, Question},
};

use super::{
    atoms::Words,
    cells::{Key, Spot},
    counts::WayJoints,
    dataset::Measure,
    known_names::KnownNames,
    observed::Observed,
    plan::Rules,
    route::Route,
    values::{Values, client},
};

/// A message and what was found out of it so far.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) stage: Stage,
    /// Without what stands elsewhere.
    pub(super) message: Observed<'static>,
    pub(super) name: Vec<u8>,
    pub(super) options: Vec<u8>,
    pub(super) hashes: Hashes,
    /// The cells that it is counted in directly.
    pub(super) spots: Vec<Asked>,
}

/// A cell that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Of the datasets of its way that are counted directly, this one.
    pub(super) direct: u32,
    /// The same among all.
    pub(super) dataset: u32,
    /// What is to be added.
    pub(super) amount: u64,
    pub(super) spot: Spot,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its joints and its name were asked for.
    Held,
    /// It is counted in its joints, and other cells were asked for.
    LookedUp,
    /// It is counted.
    Counted,
}

impl Waiting {
    /// Takes the place of one that is counted.
    #[inline(always)]
    pub(super) fn hold(&mut self, observed: &Observed<'_>) {
        self.name.clear();
        self.name.extend_from_slice(observed.name);
        if !self.options.is_empty() || !observed.options.is_empty() {
            self.options.clear();
            self.options.extend_from_slice(observed.options);
        }
        self.message = Observed {
            name: &[],
            options: &[],
            ..*observed
        };
        self.stage = Stage::Held;
    }

    /// The message as it came.
    pub(super) fn observed(&self) -> Observed<'_> {
        Observed {
            name: &self.name,
            options: &self.options,
            ..self.message
        }
    }
}

/// Counted: no message yet.
impl Default for Waiting {
    fn default() -> Self {
        Self {
            stage: Stage::Counted,
            message: Observed {
                time_ns: 0,
                hook: Hook::Ingress,
                role: Role::Server,
                flow: Flow {
                    family: Family::Other,
                    transport: Transport::Udp,
                    hop_limit: 0,
                    source: [0; 2],
                    destination: [0; 2],
                    source_port: 0,
                    destination_port: 0,
                },
                message: Message {
                    header: Header::new([0; 12]),
                    question: Question::default(),
                    edns: EdnsState::Absent,
                    opt: Opt::default(),
                    len: 0,
                },
                name: &[],
                options: &[],
                weight: 0,
            },
            name: Vec::new(),
            options: Vec::new(),
            hashes: Hashes::default(),
            spots: Vec::new(),
        }
    }
}

impl Observed<'_> {
    /// What it adds to a dataset.
    #[inline(always)]
    pub(super) const fn amount(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Messages => self.weight,
            Measure::Bytes => self.weight * self.message.len as u64,
        }
    }
}

/// What joints and names are found by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hashes {
    pub(super) words: Words,
    pub(super) header: u64,
    pub(super) client: u64,
    /// The key of the name as it came.
    pub(super) qname: Key,
    pub(super) name: u64,
}

impl Hashes {
    #[inline(always)]
    pub(super) fn of(
        observed: &Observed<'_>,
        rules: &Rules,
        route: &Route,
        values: &Values,
    ) -> Self {
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
        if route.looks_names_up() {
            hashes.qname = values.key_of_name(observed.name);
            // The role tells how much of a name is told.
            hashes.name = values.joint(words, Words::ROLE, hashes.qname);
        }
        hashes
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, route: &Route, joints: &WayJoints, names: &KnownNames) {
        joints.header.prefetch(self.header);
        if route.client.is_some() {
            joints.client.prefetch(self.client);
        }
        if route.looks_names_up() {
            names.prefetch(self.name);
        }
    }
}
