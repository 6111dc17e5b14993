//! What one drain thread, or the reading of a file, counts by itself: no lock,
//! no sharing.

use dns_wire::{
    counters::{Counters, Hook},
    locate::Transport,
    message::Message,
    record::Record,
};
use foldhash::quality::RandomState;

use super::pairing::Event;
use crate::source::{
    stream::{Limits, StreamStats, Streams},
    whole::Assembler,
};

/// The counters and the streams of one consumer of records.
#[derive(Debug)]
pub struct Shard {
    streams: Streams,
    wholes: Assembler,
    reassembled: Box<[Counters; 2]>,
    events: Vec<Event>,
    hasher: RandomState,
}

impl Shard {
    /// Shards that feed one table of transactions share its `hasher`.
    #[must_use]
    pub fn new(limits: Limits, hasher: RandomState) -> Self {
        Self {
            streams: Streams::new(limits),
            wholes: Assembler::default(),
            reassembled: Box::default(),
            events: Vec::new(),
            hasher,
        }
    }

    /// Takes a record in.
    pub fn record(&mut self, record: &Record<'_>) {
        if record.is_segment() {
            self.stream(record);
        } else if record.is_whole() {
            self.whole(record);
        } else {
            self.message(record);
        }
    }

    /// A message that was handed on raw is like any other, once it is complete.
    fn whole(&mut self, record: &Record<'_>) {
        let mut wholes = std::mem::take(&mut self.wholes);
        if let Some(whole) = wholes.take(record) {
            self.message(&whole.record);
        }
        self.wholes = wholes;
    }

    fn message(&mut self, record: &Record<'_>) {
        if record.flow().transport == Transport::Tcp {
            self.stream(record);
        }
        let message = record.message();
        let event = Event::new(record, &message, record.payload(), &self.hasher);
        self.events.extend(event);
    }

    /// The messages of chosen transactions since the last call, to be paired.
    pub fn take_events(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    /// Forgets what is too old at `now_ns`.
    pub fn advance(&mut self, now_ns: u64) {
        self.streams.advance(now_ns);
    }

    /// There will be no more records.
    pub fn finish(&mut self) {
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
        self.streams.stats()
    }

    /// Shows a record to its stream, and counts the messages that come of it.
    fn stream(&mut self, record: &Record<'_>) {
        let flow = record.flow();
        let [ingress, egress] = &mut *self.reassembled;
        let counters = match record.hook() {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        };
        let (events, hasher) = (&mut self.events, &self.hasher);
        let sink = |message: &Message, bytes: &[u8], time_ns: u64| {
            let weight = 1 << record.level();
            counters.messages_like(record.role(), flow.family, flow.transport, message, weight);
            let question = &message.question;
            let name = bytes.get(question.name_at..question.name_at + question.name_len);
            let event = Event::new(record, message, name.unwrap_or(&[]), hasher);
            events.extend(event.map(|event| event.at(time_ns)));
        };
        if record.is_segment() {
            self.streams.segment(record, sink);
        } else {
            self.streams.skip(record, sink);
        }
    }
}
