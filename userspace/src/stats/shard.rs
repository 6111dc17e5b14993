//! What one drain thread, or the reading of a file, counts by itself: no lock,
//! no sharing.

use dns_wire::{
    counters::{Counters, Hook},
    locate::Transport,
    message::{EdnsState, Message, Opt},
    opt,
    record::Record,
};
use foldhash::quality::RandomState;

use super::{engine::Engine, observed::Observed, pairing::Event};
use crate::{
    enrich::{
        locator::Caches,
        stream::{Raw, tap::Tap},
    },
    source::{
        order::{Put, Sorter},
        stream::{Limits, StreamStats, Streams},
        whole::Assembler,
    },
};

/// The counters and the streams of one consumer of records.
#[derive(Debug)]
pub struct Shard {
    streams: Streams,
    /// Where TCP records wait for older ones; none where they come in order.
    order: Option<Sorter>,
    wholes: Assembler,
    reassembled: Box<[Counters; 2]>,
    events: Vec<Event>,
    hasher: RandomState,
    engines: Engines,
    /// Where messages leave for the enriched stream.
    tap: Tap,
}

/// What counts messages: one for the metrics, and one for files that have other
/// datasets and rules.
#[derive(Debug)]
struct Engines {
    first: Engine,
    files: Option<Engine>,
}

impl Engines {
    fn message(&mut self, observed: &Observed<'_>) {
        self.first.message(observed);
        if let Some(files) = &mut self.files {
            files.message(observed);
        }
    }

    fn refresh(&mut self) {
        self.first.refresh();
        if let Some(files) = &mut self.files {
            files.refresh();
        }
    }

    fn caches(&self) -> Option<Caches> {
        let files = self.files.as_ref().and_then(Engine::caches);
        Caches::sum(self.first.caches().into_iter().chain(files))
    }
}

impl Shard {
    /// Shards that feed one table of transactions share its `hasher`.
    #[must_use]
    pub fn new(limits: Limits, hasher: RandomState, engine: Engine) -> Self {
        Self {
            streams: Streams::new(limits),
            order: None,
            wholes: Assembler::default(),
            reassembled: Box::default(),
            events: Vec::new(),
            hasher,
            engines: Engines {
                first: engine,
                files: None,
            },
            tap: Tap::default(),
        }
    }

    /// With a tap for the enriched stream.
    #[must_use]
    pub fn with_tap(mut self, tap: Tap) -> Self {
        self.tap = tap;
        self
    }

    /// For records of several rings, which come in the order of each only.
    #[must_use]
    pub fn with_order(mut self, order: Sorter) -> Self {
        self.order = Some(order);
        self
    }

    /// With an engine for files.
    #[must_use]
    pub fn with_files(mut self, engine: Option<Engine>) -> Self {
        self.engines.files = engine;
        self
    }

    /// Takes a record in.
    pub fn record(&mut self, record: &Record<'_>) {
        if record.is_segment() {
            self.stream(record);
        } else if record.is_whole() {
            self.whole(record);
        } else {
            self.message(record, record.message(), &[]);
        }
    }

    /// A message that was handed on raw is like any other, once it is complete,
    /// but that all of it is known.
    fn whole(&mut self, record: &Record<'_>) {
        let mut wholes = std::mem::take(&mut self.wholes);
        if let Some(whole) = wholes.take(record) {
            let (message, options) = with_opt(&whole.message, whole.octets);
            self.message(&whole.record, message, options);
        }
        self.wholes = wholes;
    }

    fn message(&mut self, record: &Record<'_>, message: Message, options: &[u8]) {
        if record.flow().transport == Transport::Tcp {
            self.stream(record);
        }
        let event = Event::new(record, &message, record.payload(), &self.hasher);
        self.events.extend(event);
        let name = record.payload();
        self.tap.show(record, &message, name, record.time_ns());
        let observed = observed(record, message, name, options);
        self.engines.message(&observed);
    }

    /// There are no more records of a ring at the moment, between which a message
    /// would go on. It is also where new tables come into use.
    pub fn end_of_ring(&mut self) {
        self.wholes.finish();
        self.engines.refresh();
        self.tap.refresh();
    }

    /// All rings of this thread were read up to a time: hands TCP records on to
    /// their streams as far as those of all threads were, up to the time that is
    /// returned.
    pub fn end_of_look(&mut self, read_up_to_ns: u64) -> u64 {
        let Some(mut order) = self.order.take() else {
            return read_up_to_ns;
        };
        order.reach(read_up_to_ns);
        let until_ns = order.take(|record| self.in_order(record));
        self.order = Some(order);
        until_ns
    }

    /// The messages that the tap has kept since the last call.
    pub fn take_raws(&mut self) -> Vec<Raw> {
        self.tap.kept()
    }

    /// How the caches of what is known of addresses did, where it is asked for.
    #[must_use]
    pub fn caches(&self) -> Option<Caches> {
        self.engines.caches()
    }

    /// Messages handed on raw that could not be put together: 0 unless a ring was
    /// damaged.
    #[must_use]
    pub const fn broken_messages(&self) -> u64 {
        self.wholes.broken()
    }

    /// The datasets.
    pub const fn engine(&mut self) -> &mut Engine {
        &mut self.engines.first
    }

    /// The datasets of files, where there are any.
    pub const fn files(&mut self) -> Option<&mut Engine> {
        self.engines.files.as_mut()
    }

    /// Whether what was counted should be handed over before it has no room for more.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let files = self.engines.files.as_ref();
        self.engines.first.is_crowded() || files.is_some_and(Engine::is_crowded)
    }

    /// The messages of chosen transactions since the last call, to be paired.
    pub fn take_events(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    /// Forgets what is too old at `now_ns`.
    pub fn advance(&mut self, now_ns: u64) {
        self.streams.advance(now_ns);
        self.tap.advance(now_ns);
    }

    /// There will be no more records.
    pub fn finish(&mut self) {
        if let Some(mut order) = self.order.take() {
            order.finish(|record| self.in_order(record));
            self.order = Some(order);
        }
        self.streams.finish();
    }

    /// Messages put together from segments that `hook` saw: only the ranges of
    /// messages are in use.
    #[must_use]
    pub const fn reassembled(&self, hook: Hook) -> &Counters {
        let [ingress, egress] = &*self.reassembled;
        match hook {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        }
    }

    /// What became of segments.
    #[must_use]
    pub fn stream_stats(&self) -> StreamStats {
        StreamStats {
            unordered: self.order.as_ref().map_or(0, Sorter::unordered),
            lost: self.order.as_ref().map_or(0, Sorter::lost),
            ..self.streams.stats()
        }
    }

    /// Shows a record to its stream, once those before it have come.
    fn stream(&mut self, record: &Record<'_>) {
        match self.order.as_mut().map(|order| order.put(record)) {
            None | Some(Put::AtOnce) => self.in_order(record),
            Some(Put::Waits | Put::Lost) => {}
        }
    }

    /// Shows a record to its stream, and counts the messages that come of it.
    fn in_order(&mut self, record: &Record<'_>) {
        let flow = record.flow();
        let [ingress, egress] = &mut *self.reassembled;
        let counters = match record.hook() {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        };
        let (events, hasher, engines) = (&mut self.events, &self.hasher, &mut self.engines);
        let tap = &mut self.tap;
        let sink = |message: &Message, bytes: &[u8], time_ns: u64| {
            let weight = 1 << record.level();
            counters.messages_like(record.role(), flow.family, flow.transport, message, weight);
            let question = &message.question;
            let name = bytes.get(question.name_at..question.name_at + question.name_len);
            let name = name.unwrap_or(&[]);
            let event = Event::new(record, message, name, hasher);
            events.extend(event.map(|event| event.at(time_ns)));
            tap.show(record, message, name, time_ns);
            let (message, options) = with_opt(message, bytes);
            let seen = observed(record, message, name, options);
            engines.message(&Observed { time_ns, ..seen });
        };
        if record.is_segment() {
            self.streams.segment(record, sink);
        } else {
            self.streams.skip(record, sink);
        }
    }
}

/// A message as the datasets see it; `record` is its own, or that of its last
/// segment.
fn observed<'a>(
    record: &Record<'_>,
    message: Message,
    name: &'a [u8],
    options: &'a [u8],
) -> Observed<'a> {
    Observed {
        time_ns: record.time_ns(),
        hook: record.hook(),
        role: record.role(),
        flow: record.flow(),
        message,
        name,
        options,
        weight: 1 << record.level(),
    }
}

/// A message with its OPT record, wherever that stands, and the options in it.
fn with_opt<'a>(message: &Message, bytes: &'a [u8]) -> (Message, &'a [u8]) {
    let (edns, opt, options) = match opt::find(bytes) {
        Ok(Some(found)) => (EdnsState::Present, found.opt, found.options),
        Ok(None) => (EdnsState::Absent, Opt::default(), &[][..]),
        Err(_) => (EdnsState::Malformed, Opt::default(), &[][..]),
    };
    let message = Message {
        edns,
        opt,
        ..*message
    };
    (message, options)
}
