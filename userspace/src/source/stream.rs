//! Puts DNS messages together from TCP segments (RFC 7766).
//!
//! Only what is not exactly one message in one segment gets here; the rest was
//! parsed on the way. Those are told by [`Streams::skip`], so that a stream in
//! which both kinds alternate stays in step. A stream is one direction of a
//! connection. Its beginning is seldom seen: a segment that looks like the start
//! of a message is taken for one, and what precedes it, or fills a gap that never
//! closes, is counted as out of step. Everything is bounded: streams, segments
//! that wait, octets in all, time.

use std::num::NonZeroUsize;

use dns_wire::{
    locate::{Flow, tcp_flag},
    message::{HEADER_LEN, Message},
    packet::Slice,
    record::Record,
    reject::Reject,
};
use foldhash::quality::RandomState;
use lru::LruCache;

/// Segments of one stream that wait for one before them.
const MAX_WAITING: usize = 64;
/// How far ahead of its turn a segment may come, in octets; beyond that the
/// ports were taken by another connection.
const WINDOW: u32 = 1 << 20;
/// Octets of the length before a message.
const PREFIX: usize = 2;

/// Bounds of the reassembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams at the same time.
    pub streams: usize,
    /// Octets kept in all.
    pub memory: usize,
    /// After so long without a segment a stream is forgotten, in ns.
    pub idle_ns: u64,
}

/// What became of segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Streams at the moment.
    pub streams: u64,
    /// Octets kept at the moment.
    pub memory: u64,
    /// Messages put together.
    pub messages: u64,
    /// Messages put together that are none, by [`Reject`].
    pub rejected: [u64; Reject::COUNT],
    /// Segments that could not be brought into step with their stream.
    pub out_of_step: u64,
    /// Streams forgotten with octets of an unfinished message.
    pub unfinished: u64,
    /// Streams forgotten early, since a bound was reached.
    pub evicted: u64,
}

impl StreamStats {
    /// Adds those of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.streams += other.streams;
        self.memory += other.memory;
        self.messages += other.messages;
        for (count, more) in self.rejected.iter_mut().zip(other.rejected) {
            *count += more;
        }
        self.out_of_step += other.out_of_step;
        self.unfinished += other.unfinished;
        self.evicted += other.evicted;
    }
}

/// All streams.
#[derive(Debug)]
pub struct Streams {
    streams: LruCache<Flow, Stream, RandomState>,
    limits: Limits,
    stats: StreamStats,
}

#[derive(Debug, Default)]
struct Stream {
    /// Sequence number behind what is in `buffer`; none before the first start.
    next: Option<u32>,
    /// What has come of a message.
    buffer: Vec<u8>,
    waiting: Vec<Waiting>,
    last_ns: u64,
}

#[derive(Debug)]
struct Waiting {
    sequence: u32,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Octets(Vec<u8>),
    /// A whole message of so many octets, prefix included, parsed elsewhere.
    Skipped(u32),
}

impl Part {
    const fn memory(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Skipped(_) => 0,
        }
    }
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let streams = NonZeroUsize::new(limits.streams).unwrap_or(NonZeroUsize::MIN);
        Self {
            streams: LruCache::with_hasher(streams, RandomState::default()),
            limits,
            stats: StreamStats::default(),
        }
    }

    /// Takes a segment's record in; calls `sink` with each message that it
    /// completes, and the bytes of that message.
    pub fn segment(&mut self, record: &Record<'_>, mut sink: impl FnMut(&Message, &[u8])) {
        let flow = stream_key(record);
        if self.streams.len() >= self.limits.streams && !self.streams.contains(&flow) {
            self.evict();
        }
        let stream = self.streams.get_or_insert_mut(flow, Stream::default);
        stream.last_ns = record.time_ns();
        let before = stream.memory();
        let octets = record.payload().to_vec();
        stream.take(record.sequence(), Part::Octets(octets), &mut self.stats);
        let stats = &mut self.stats;
        stream.messages(stats, &mut |stats, bytes| match dns_wire::message::parse(
            &Slice::new(bytes),
            0,
            bytes.len(),
        ) {
            Ok(message) => {
                stats.messages += 1;
                sink(&message, bytes);
            }
            Err(reason) => count(&mut stats.rejected, reason),
        });
        let after = stream.memory();
        let ended = record.tcp_flags() & (tcp_flag::FIN | tcp_flag::RST) != 0;
        let done = ended && stream.waiting.is_empty() && stream.buffer.is_empty();
        self.account(before, after);
        if done {
            self.streams.pop(&flow);
        }
        self.bound_memory();
    }

    /// Takes note of a message that was one whole segment.
    pub fn skip(&mut self, record: &Record<'_>) {
        if self.streams.is_empty() {
            return;
        }
        let Some(stream) = self.streams.get_mut(&stream_key(record)) else {
            return;
        };
        stream.last_ns = record.time_ns();
        let before = stream.memory();
        let len = u32::from(record.len()) + PREFIX as u32;
        stream.take(record.sequence(), Part::Skipped(len), &mut self.stats);
        // What waited behind it may have become due; its messages come with the
        // next segment of the stream.
        let after = stream.memory();
        self.account(before, after);
    }

    /// Forgets streams without a segment for too long at `now_ns`.
    pub fn advance(&mut self, now_ns: u64) {
        while let Some((_, stream)) = self.streams.peek_lru() {
            if stream.last_ns.saturating_add(self.limits.idle_ns) > now_ns {
                return;
            }
            self.forget();
        }
    }

    /// Forgets all streams: there will be no more segments.
    pub fn finish(&mut self) {
        while !self.streams.is_empty() {
            self.forget();
        }
    }

    /// What became of segments so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        StreamStats {
            streams: self.streams.len() as u64,
            ..self.stats.clone()
        }
    }

    fn account(&mut self, before: usize, after: usize) {
        self.stats.memory = self.stats.memory + after as u64 - before as u64;
    }

    fn bound_memory(&mut self) {
        while self.stats.memory > self.limits.memory as u64 && !self.streams.is_empty() {
            self.evict();
        }
    }

    fn evict(&mut self) {
        self.stats.evicted += 1;
        self.forget();
    }

    fn forget(&mut self) {
        if let Some((_, stream)) = self.streams.pop_lru() {
            self.stats.memory -= stream.memory() as u64;
            self.stats.out_of_step += stream.waiting_segments();
            self.stats.unfinished += u64::from(!stream.buffer.is_empty());
        }
    }
}

impl Stream {
    fn memory(&self) -> usize {
        let waiting: usize = self
            .waiting
            .iter()
            .map(|waiting| waiting.part.memory())
            .sum();
        self.buffer.len() + waiting
    }

    fn waiting_segments(&self) -> u64 {
        let octets = |waiting: &&Waiting| matches!(waiting.part, Part::Octets(_));
        self.waiting.iter().filter(octets).count() as u64
    }

    /// Puts a part where it belongs.
    fn take(&mut self, sequence: u32, part: Part, stats: &mut StreamStats) {
        self.place(sequence, part, stats);
        while let Some(waiting) = self.due() {
            self.place(waiting.sequence, waiting.part, stats);
        }
    }

    fn place(&mut self, sequence: u32, part: Part, stats: &mut StreamStats) {
        let next = match self.next {
            Some(next) if sequence.wrapping_sub(next).wrapping_add(WINDOW) <= 2 * WINDOW => next,
            Some(_) => {
                // Another connection on the same ports.
                stats.unfinished += u64::from(!self.buffer.is_empty());
                stats.out_of_step += self.waiting_segments();
                *self = Self {
                    last_ns: self.last_ns,
                    ..Self::default()
                };
                return self.place(sequence, part, stats);
            }
            None if begins_message(&part) => sequence,
            None => return self.wait(sequence, part, stats),
        };
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            self.next = Some(next);
            return self.wait(sequence, part, stats);
        }
        self.next = Some(self.append(next, ahead.unsigned_abs() as usize, part));
    }

    /// Appends what of the part is new; the new end.
    fn append(&mut self, next: u32, overlap: usize, part: Part) -> u32 {
        match part {
            Part::Octets(octets) => {
                let new = octets.get(overlap..).unwrap_or(&[]);
                self.buffer.extend_from_slice(new);
                next.wrapping_add(new.len() as u32)
            }
            Part::Skipped(len) => {
                let new = len.saturating_sub(overlap as u32);
                if new > 0 {
                    // It was a message by itself, so no other was under way.
                    self.buffer.clear();
                }
                next.wrapping_add(new)
            }
        }
    }

    fn wait(&mut self, sequence: u32, part: Part, stats: &mut StreamStats) {
        self.waiting.push(Waiting { sequence, part });
        if self.waiting.len() > MAX_WAITING {
            self.start_over(stats);
        }
    }

    /// The part that has its turn, if there is one.
    fn due(&mut self) -> Option<Waiting> {
        let next = self.next?;
        let due = |waiting: &Waiting| waiting.sequence.wrapping_sub(next) as i32 <= 0;
        let place = self.waiting.iter().position(due)?;
        Some(self.waiting.swap_remove(place))
    }

    /// The gap will not close: goes on with the earliest part that looks like the
    /// start of a message.
    fn start_over(&mut self, stats: &mut StreamStats) {
        stats.unfinished += u64::from(!self.buffer.is_empty());
        self.buffer.clear();
        self.next = None;
        let origin = self.waiting.first().map_or(0, |first| first.sequence);
        self.waiting
            .sort_by_key(|waiting| waiting.sequence.wrapping_sub(origin) as i32);
        let start = self
            .waiting
            .iter()
            .position(|waiting| begins_message(&waiting.part))
            .unwrap_or(self.waiting.len());
        stats.out_of_step += start as u64;
        self.waiting.drain(..start);
        if let Some(first) = self.waiting.first() {
            self.next = Some(first.sequence);
        }
    }

    /// Hands on each message that is complete.
    fn messages(
        &mut self,
        stats: &mut StreamStats,
        sink: &mut impl FnMut(&mut StreamStats, &[u8]),
    ) {
        let mut done = 0;
        while let Some((prefix, rest)) = self
            .buffer
            .get(done..)
            .and_then(|buffer| buffer.split_first_chunk::<PREFIX>())
        {
            let len = usize::from(u16::from_be_bytes(*prefix));
            if len < HEADER_LEN {
                // No message is so short: the stream is no DNS, or out of step.
                stats.out_of_step += 1;
                self.buffer.clear();
                self.next = None;
                return;
            }
            let Some(message) = rest.get(..len) else {
                break;
            };
            sink(stats, message);
            done += PREFIX + len;
        }
        self.buffer.drain(..done);
    }
}

/// Whether a part looks like the start of a message, as far as it goes.
fn begins_message(part: &Part) -> bool {
    let Part::Octets(octets) = part else {
        return true;
    };
    let Some((prefix, message)) = octets.split_first_chunk::<PREFIX>() else {
        return true;
    };
    if usize::from(u16::from_be_bytes(*prefix)) < HEADER_LEN {
        return false;
    }
    // Opcodes up to DSO (6); the reserved bit Z clear; at most one question.
    let flags_fit = match message.get(2..4) {
        Some([high, low]) => high >> 3 & 0x0f <= 6 && low & 0x40 == 0,
        _ => true,
    };
    let questions_fit = match message.get(4..6) {
        Some([high, low]) => *high == 0 && *low <= 1,
        _ => true,
    };
    flags_fit && questions_fit
}

/// One direction of a connection; the hop limit may change on the way.
fn stream_key(record: &Record<'_>) -> Flow {
    Flow {
        hop_limit: 0,
        ..record.flow()
    }
}

fn count(rejected: &mut [u64; Reject::COUNT], reason: Reject) {
    if let Some(count) = rejected.get_mut(reason.index()) {
        *count += 1;
    }
}
