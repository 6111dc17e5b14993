//! Puts DNS messages together from TCP segments (RFC 7766).
//!
//! Only what is not exactly one message in one segment gets here; the rest was
//! parsed on the way. Those are told by [`Streams::skip`], so that a stream in
//! which both kinds alternate stays in step. A stream is one direction of a
//! connection. Its beginning is seldom seen: a segment that looks like the start
//! of a message is taken for one.
//!
//! Segments may come in any order, as networks and captures have them; those of
//! several rings come in the order of time (`order`). One that holds nothing but
//! whole messages, as almost all do, is taken at once, whatever is missing before
//! it; only a part of a message needs those beside it, and is counted as out of
//! step where they do not come. Everything is bounded: streams, segments that
//! wait, octets in all, time.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, num::NonZeroUsize};

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
const MAX_WAITING: usize = 256;
/// Beginnings of one stream that are followed at a time.
const MAX_BEGINNINGS: usize = 8;
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
    /// Segments that could not wait for older ones of other rings.
    pub unordered: u64,
    /// Segments that found no room on the way to the thread that has their stream.
    pub lost: u64,
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
        self.unordered += other.unordered;
        self.lost += other.lost;
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
    /// Sequence number that `next` has grown from without a gap.
    origin: u32,
    /// What has come of a message.
    buffer: Vec<u8>,
    /// When the last octet in order left or came.
    newest_ns: u64,
    waiting: Vec<Waiting>,
    /// What lies before `origin` and has come late: a stream by itself.
    earlier: Option<Box<Self>>,
    last_ns: u64,
}

#[derive(Debug)]
struct Waiting {
    sequence: u32,
    time_ns: u64,
    part: Part<'static>,
}

/// What comes of segments.
struct Sink<'a, S> {
    stats: &'a mut StreamStats,
    messages: S,
}

impl<S: FnMut(&Message, &[u8], u64)> Sink<'_, S> {
    fn message(&mut self, bytes: &[u8], time_ns: u64) {
        match dns_wire::message::parse(&Slice::new(bytes), 0, bytes.len()) {
            Ok(message) => {
                self.stats.messages += 1;
                (self.messages)(&message, bytes, time_ns);
            }
            Err(reason) => count(&mut self.stats.rejected, reason),
        }
    }
}

#[derive(Debug)]
enum Part<'a> {
    Octets(Cow<'a, [u8]>),
    /// A whole message of so many octets, prefix included, parsed elsewhere.
    Skipped(u32),
}

impl Part<'_> {
    const fn is_octets(&self) -> bool {
        matches!(self, Self::Octets(_))
    }

    fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Skipped(len) => *len as usize,
        }
    }

    fn memory(&self) -> usize {
        if self.is_octets() { self.len() } else { 0 }
    }

    /// The messages, if it consists of whole ones only.
    fn whole_messages(&self) -> Option<Vec<&[u8]>> {
        let Part::Octets(octets) = self else {
            return None;
        };
        let mut messages = Vec::new();
        let mut left = &**octets;
        while !left.is_empty() {
            if !begins_message(left) {
                return None;
            }
            let (prefix, rest) = left.split_first_chunk::<PREFIX>()?;
            let len = usize::from(u16::from_be_bytes(*prefix));
            let (message, behind) = rest.split_at_checked(len)?;
            messages.push(message);
            left = behind;
        }
        Some(messages)
    }

    /// Whether it looks like the start of a message, as far as it goes.
    fn begins_message(&self) -> bool {
        match self {
            Self::Octets(octets) => begins_message(octets),
            Self::Skipped(_) => true,
        }
    }

    fn into_owned(self) -> Part<'static> {
        match self {
            Self::Octets(octets) => Part::Octets(Cow::Owned(octets.into_owned())),
            Self::Skipped(len) => Part::Skipped(len),
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
    /// completes, the bytes of that message, and when its last octet was seen.
    pub fn segment(&mut self, record: &Record<'_>, sink: impl FnMut(&Message, &[u8], u64)) {
        let flow = stream_key(record);
        if self.streams.len() >= self.streams.cap().get() && !self.streams.contains(&flow) {
            self.evict();
        }
        self.streams.get_or_insert_mut(flow, Stream::default);
        let part = Part::Octets(Cow::Borrowed(record.payload()));
        self.part(&flow, record, part, sink);
        self.bound_memory();
    }

    /// Takes note of a message that was one whole segment; calls `sink` with
    /// each message that waited for it.
    pub fn skip(&mut self, record: &Record<'_>, sink: impl FnMut(&Message, &[u8], u64)) {
        if self.streams.is_empty() {
            return;
        }
        let len = u32::from(record.len()) + PREFIX as u32;
        self.part(&stream_key(record), record, Part::Skipped(len), sink);
    }

    fn part(
        &mut self,
        flow: &Flow,
        record: &Record<'_>,
        part: Part<'_>,
        messages: impl FnMut(&Message, &[u8], u64),
    ) {
        let Some(stream) = self.streams.get_mut(flow) else {
            return;
        };
        stream.last_ns = record.time_ns();
        let before = stream.memory();
        let mut sink = Sink {
            stats: &mut self.stats,
            messages,
        };
        let (sequence, time_ns) = (record.sequence(), record.time_ns());
        stream.take(sequence, time_ns, part, 0, &mut sink);
        let after = stream.memory();
        let ended = record.tcp_flags() & (tcp_flag::FIN | tcp_flag::RST) != 0;
        let done = ended && stream.is_complete();
        self.account(before, after);
        if done {
            self.streams.pop(flow);
        }
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
            stream.account_for_rest(&mut self.stats);
        }
    }
}

impl Stream {
    fn memory(&self) -> usize {
        let waiting = self.waiting.iter().map(|one| one.part.memory());
        let earlier = self.earlier.as_ref().map_or(0, |earlier| earlier.memory());
        self.buffer.len() + waiting.sum::<usize>() + earlier
    }

    fn is_complete(&self) -> bool {
        let earlier = self.earlier.as_ref();
        self.waiting.is_empty()
            && self.buffer.is_empty()
            && earlier.is_none_or(|earlier| earlier.is_complete())
    }

    fn waiting_segments(&self) -> u64 {
        let octets = self.waiting.iter().filter(|one| one.part.is_octets());
        octets.count() as u64
    }

    /// Counts what will never be complete.
    fn account_for_rest(&self, stats: &mut StreamStats) {
        stats.out_of_step += self.waiting_segments();
        stats.unfinished += u64::from(!self.buffer.is_empty());
        if let Some(earlier) = &self.earlier {
            earlier.account_for_rest(stats);
        }
    }

    /// Puts a part where it belongs, and behind it what waited for it; hands on
    /// each message that is complete. `depth` tells how many beginnings of the
    /// stream lie behind this one.
    fn take<S: FnMut(&Message, &[u8], u64)>(
        &mut self,
        sequence: u32,
        time_ns: u64,
        part: Part<'_>,
        depth: usize,
        sink: &mut Sink<'_, S>,
    ) {
        if self.next.is_some_and(|next| !is_near(sequence, next)) {
            self.take_over(sink.stats);
        }
        if self.next.is_none() && part.begins_message() {
            self.begin(sequence, sink.stats);
        }
        match self.next {
            Some(_) if self.is_late(sequence, &part) => {
                return self.late(sequence, time_ns, part, depth, sink);
            }
            Some(next) if sequence.wrapping_sub(next) as i32 <= 0 => {
                self.append(next, sequence, time_ns, &part, sink);
            }
            _ if self.waits(sequence, &part) => return,
            _ => {
                let part = hand_on_whole(part, time_ns, sink);
                self.wait(sequence, time_ns, part, sink.stats);
            }
        }
        while let Some((next, one)) = self.due() {
            self.append(next, one.sequence, one.time_ns, &one.part, sink);
        }
    }

    /// Another connection has taken the ports.
    fn take_over(&mut self, stats: &mut StreamStats) {
        self.account_for_rest(stats);
        *self = Self {
            last_ns: self.last_ns,
            ..Self::default()
        };
    }

    /// Begins at a sequence number: what waits before it has no place any more.
    fn begin(&mut self, sequence: u32, stats: &mut StreamStats) {
        let waiting = self.waiting_segments();
        self.waiting
            .retain(|one| one.sequence.wrapping_sub(sequence) <= WINDOW);
        stats.out_of_step += waiting - self.waiting_segments();
        self.next = Some(sequence);
        self.origin = sequence;
        if let Some(earlier) = self.earlier.take() {
            earlier.account_for_rest(stats);
        }
    }

    /// Whether the part lies before all that was read in order.
    fn is_late(&self, sequence: u32, part: &Part<'_>) -> bool {
        let end = sequence.wrapping_add(part.len() as u32);
        sequence != self.origin && end.wrapping_sub(self.origin) as i32 <= 0
    }

    /// Takes a part from before the beginning.
    fn late<S: FnMut(&Message, &[u8], u64)>(
        &mut self,
        sequence: u32,
        time_ns: u64,
        part: Part<'_>,
        depth: usize,
        sink: &mut Sink<'_, S>,
    ) {
        if depth == MAX_BEGINNINGS {
            let part = hand_on_whole(part, time_ns, sink);
            sink.stats.out_of_step += u64::from(part.is_octets());
            return;
        }
        let earlier = self.earlier.get_or_insert_default();
        earlier.take(sequence, time_ns, part, depth + 1, sink);
    }

    /// Appends what of the part, which is at or before its turn, is new, and
    /// hands on what is complete then.
    fn append<S: FnMut(&Message, &[u8], u64)>(
        &mut self,
        next: u32,
        sequence: u32,
        time_ns: u64,
        part: &Part<'_>,
        sink: &mut Sink<'_, S>,
    ) {
        let overlap = next.wrapping_sub(sequence);
        let new = match part {
            Part::Octets(octets) => {
                let new = octets.get(overlap as usize..).unwrap_or(&[]);
                self.buffer.extend_from_slice(new);
                new.len() as u32
            }
            Part::Skipped(len) => len.saturating_sub(overlap),
        };
        if !part.is_octets() && new > 0 && !self.buffer.is_empty() {
            // It was a message by itself, so no other was under way.
            sink.stats.unfinished += 1;
            self.buffer.clear();
        }
        self.next = Some(next.wrapping_add(new));
        self.newest_ns = self.newest_ns.max(time_ns);
        self.messages(sink);
    }

    /// Whether the part has come before and waits.
    fn waits(&self, sequence: u32, part: &Part<'_>) -> bool {
        let here = |one: &Waiting| one.sequence == sequence && one.part.len() >= part.len();
        self.waiting.iter().any(here)
    }

    fn wait(&mut self, sequence: u32, time_ns: u64, part: Part<'_>, stats: &mut StreamStats) {
        let part = part.into_owned();
        self.waiting.push(Waiting {
            sequence,
            time_ns,
            part,
        });
        if self.waiting.len() > MAX_WAITING {
            self.start_over(stats);
        }
    }

    /// The part that has its turn, if there is one, and where its turn begins.
    fn due(&mut self) -> Option<(u32, Waiting)> {
        let next = self.next?;
        let due = |waiting: &Waiting| waiting.sequence.wrapping_sub(next) as i32 <= 0;
        let place = self.waiting.iter().position(due)?;
        Some((next, self.waiting.swap_remove(place)))
    }

    /// The gap will not close: goes on with the earliest part that looks like the
    /// start of a message.
    fn start_over(&mut self, stats: &mut StreamStats) {
        stats.unfinished += u64::from(!self.buffer.is_empty());
        self.buffer.clear();
        let origin = self.waiting.first().map_or(0, |first| first.sequence);
        let starts = self.waiting.iter().filter(|one| one.part.begins_message());
        let start = starts
            .map(|one| one.sequence)
            .min_by_key(|sequence| sequence.wrapping_sub(origin) as i32);
        match start {
            Some(sequence) => self.begin(sequence, stats),
            None => {
                stats.out_of_step += self.waiting_segments();
                self.waiting.clear();
                self.next = None;
            }
        }
    }

    /// Hands on each message that is complete.
    fn messages<S: FnMut(&Message, &[u8], u64)>(&mut self, sink: &mut Sink<'_, S>) {
        let mut done = 0;
        while let Some((prefix, rest)) = self
            .buffer
            .get(done..)
            .and_then(|buffer| buffer.split_first_chunk::<PREFIX>())
        {
            let len = usize::from(u16::from_be_bytes(*prefix));
            if len < HEADER_LEN {
                // No message is so short: the stream is no DNS, or out of step.
                sink.stats.out_of_step += 1;
                self.buffer.clear();
                self.next = None;
                return;
            }
            let Some(message) = rest.get(..len) else {
                break;
            };
            sink.message(message, self.newest_ns);
            done += PREFIX + len;
        }
        self.buffer.drain(..done);
    }
}

/// Whether a sequence number can belong to the stream whose turn is `next`.
const fn is_near(sequence: u32, next: u32) -> bool {
    sequence.wrapping_sub(next).wrapping_add(WINDOW) <= 2 * WINDOW
}

/// Hands on what consists of whole messages; its place is kept then.
fn hand_on_whole<'a, S: FnMut(&Message, &[u8], u64)>(
    part: Part<'a>,
    time_ns: u64,
    sink: &mut Sink<'_, S>,
) -> Part<'a> {
    let Some(messages) = part.whole_messages() else {
        return part;
    };
    for bytes in messages {
        sink.message(bytes, time_ns);
    }
    Part::Skipped(part.len() as u32)
}

/// Whether octets look like the start of a message, as far as they go.
fn begins_message(octets: &[u8]) -> bool {
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
pub(super) fn stream_key(record: &Record<'_>) -> Flow {
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
