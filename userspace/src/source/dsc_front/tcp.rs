//! TCP as DSC puts it together: by direction, from the SYN on, with eight messages
//! in the making and eight segments held for messages that are not known yet.

use std::mem;

use dns_wire::locate::{Flow, tcp_flag};
use foldhash::fast::RandomState;
use lru::LruCache;

/// Octets of a TCP header without options.
pub(super) const HEADER: usize = 20;

/// A TCP segment.
pub(super) struct Segment<'a> {
    sequence: u32,
    flags: u8,
    payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment whose header this is; `bytes` begin with it.
    pub(super) fn parse(header: &[u8; HEADER], bytes: &'a [u8]) -> Self {
        let [_, _, _, _, a, b, c, d, _, _, _, _, offset, flags, ..] = *header;
        let payload = bytes.get(usize::from(offset >> 4) * 4..);
        Self {
            sequence: u32::from_be_bytes([a, b, c, d]),
            flags,
            payload: payload.unwrap_or_default(),
        }
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// All connections, each direction by itself.
pub(super) struct Streams {
    /// By the time of the last segment.
    streams: LruCache<Flow, Stream, RandomState>,
    octets: usize,
}

/// Where messages go.
type Deliver<'a> = dyn FnMut(&[u8]) + 'a;

/// Directions at most.
const MAX_STREAMS: usize = 1 << 18;
/// Octets that they hold at most.
const MAX_OCTETS: usize = 64 << 20;
/// DSC's `MAX_TCP_IDLE`, in seconds.
const MAX_IDLE_S: u64 = 60;

impl Default for Streams {
    fn default() -> Self {
        Self {
            streams: LruCache::unbounded_with_hasher(RandomState::default()),
            octets: 0,
        }
    }
}

impl Streams {
    /// Takes a segment, and hands on the messages that it completes.
    pub(super) fn segment(
        &mut self,
        flow: &Flow,
        segment: &Segment<'_>,
        now_s: u64,
        deliver: &mut Deliver<'_>,
    ) {
        let key = Flow {
            hop_limit: 0,
            ..*flow
        };
        let is_new = !self.streams.contains(&key);
        if is_new && !segment.has(tcp_flag::SYN) {
            return;
        }
        if segment.has(tcp_flag::RST) {
            self.remove(&key);
            self.remove(&reverse(&key));
            return;
        }
        if is_new {
            self.streams.put(key, Stream::default());
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        let held = stream.octets();
        stream.segment(segment, deliver);
        stream.last_use_s = now_s;
        let is_over = stream.fin && stream.messages.iter().all(Option::is_none);
        self.octets = self.octets + stream.octets() - held;
        if is_over {
            self.remove(&key);
        }
        self.evict();
    }

    /// Forgets connections without a segment in the last minute.
    pub(super) fn forget_idle(&mut self, now_s: u64) {
        while let Some((_, oldest)) = self.streams.peek_lru()
            && oldest.last_use_s + MAX_IDLE_S < now_s
        {
            self.drop_oldest();
        }
    }

    fn evict(&mut self) {
        while self.streams.len() > MAX_STREAMS || self.octets > MAX_OCTETS {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let dropped = self.streams.pop_lru();
        self.octets -= dropped.map_or(0, |(_, stream)| stream.octets());
    }

    fn remove(&mut self, key: &Flow) {
        let removed = self.streams.pop(key);
        self.octets -= removed.map_or(0, |stream| stream.octets());
    }
}

const fn reverse(flow: &Flow) -> Flow {
    Flow {
        source: flow.destination,
        destination: flow.source,
        source_port: flow.destination_port,
        destination_port: flow.source_port,
        ..*flow
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Stream {
    /// Sequence number of the next message's length.
    next_length_at: u32,
    /// The length, RFC 7766, section 8: "a two-octet length field".
    length: [u8; 2],
    /// What is known of it: bits 0 and 1 for its octets, bit 2 while the
    /// message behind it is in the making.
    length_seen: u8,
    fin: bool,
    messages: [Option<Box<Unfinished>>; SLOTS],
    held: [Option<Box<Held>>; SLOTS],
    last_use_s: u64,
}

/// DSC's `MAX_TCP_MSGS`, `MAX_TCP_SEGS`, `MAX_TCP_HOLES`.
const SLOTS: usize = 8;
/// Both octets of the length are known.
const LENGTH_KNOWN: u8 = 3;
/// DSC's `MAX_TCP_WINDOW_SIZE`.
const MAX_WINDOW: u32 = 0xffff << 14;

/// A message in the making.
struct Unfinished {
    /// Sequence number of its header.
    sequence: u32,
    bytes: Vec<u8>,
    holes: [Hole; SLOTS],
}

/// What is missing of a message; unused if empty.
#[derive(Clone, Copy, Default)]
struct Hole {
    start: usize,
    end: usize,
}

/// A segment of a message that is not known yet.
struct Held {
    sequence: u32,
    bytes: Vec<u8>,
}

impl Stream {
    fn segment(&mut self, segment: &Segment<'_>, deliver: &mut Deliver<'_>) {
        let mut sequence = segment.sequence;
        if segment.has(tcp_flag::SYN) {
            sequence = sequence.wrapping_add(1);
            self.restart(sequence);
        }
        self.octets_at(segment.payload, sequence, deliver);
        self.fin |= segment.has(tcp_flag::FIN);
    }

    /// DSC does not forget what it knows of a length.
    fn restart(&mut self, sequence: u32) {
        *self = Self {
            next_length_at: sequence,
            length: self.length,
            length_seen: self.length_seen,
            ..Self::default()
        };
    }

    fn octets_at(&mut self, mut bytes: &[u8], mut sequence: u32, deliver: &mut Deliver<'_>) {
        while !bytes.is_empty() {
            let taken = self.take_length(bytes, sequence);
            bytes = bytes.get(taken..).unwrap_or_default();
            sequence = moved(sequence, taken);
            let used = if self.length_seen == LENGTH_KNOWN {
                self.begin_message(bytes, sequence, deliver)
            } else {
                self.continue_message(bytes, sequence, deliver)
            };
            bytes = bytes.get(used..).unwrap_or_default();
            sequence = moved(sequence, used);
        }
    }

    /// Octets of the length at the beginning of `bytes`.
    fn take_length(&mut self, bytes: &[u8], sequence: u32) -> usize {
        match (sequence.wrapping_sub(self.next_length_at), bytes) {
            (0, &[high, low, ..]) => {
                self.length = [high, low];
                self.length_seen = LENGTH_KNOWN;
                2
            }
            (0, &[high]) => {
                self.length[0] = high;
                self.length_seen |= 1;
                1
            }
            (1, &[low, ..]) => {
                self.length[1] = low;
                self.length_seen |= 2;
                1
            }
            _ => 0,
        }
    }

    /// A message whose length is known; returns the octets used.
    fn begin_message(&mut self, bytes: &[u8], sequence: u32, deliver: &mut Deliver<'_>) -> usize {
        let len = usize::from(u16::from_be_bytes(self.length));
        self.next_length_at = moved(self.next_length_at, 2 + len);
        if let Some(message) = bytes.get(..len) {
            self.length_seen = 0;
            deliver(message);
            return len;
        }
        self.length_seen = LENGTH_KNOWN | 4;
        if let Some(free) = self.messages.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(Box::new(Unfinished::new(sequence, bytes, len)));
            self.take_held(sequence, len, deliver);
        }
        bytes.len()
    }

    /// Held segments that begin in the message of `len` octets at `sequence`.
    fn take_held(&mut self, sequence: u32, len: usize, deliver: &mut Deliver<'_>) {
        for slot in 0..SLOTS {
            let taken = self.held[slot].take_if(|held| distance(sequence, held.sequence) < len);
            if let Some(held) = taken {
                self.octets_at(&held.bytes, held.sequence, deliver);
            }
        }
    }

    /// Octets of a message in the making, or of one not known yet; returns the
    /// octets used.
    fn continue_message(
        &mut self,
        bytes: &[u8],
        sequence: u32,
        deliver: &mut Deliver<'_>,
    ) -> usize {
        let slot = self.messages.iter_mut().find_map(|slot| {
            let message = slot.as_ref()?;
            let offset = distance(message.sequence, sequence);
            (offset < message.bytes.len()).then_some((slot, offset))
        });
        let Some((slot, offset)) = slot else {
            self.hold(bytes, sequence);
            return bytes.len();
        };
        let Some(message) = slot else {
            return bytes.len();
        };
        let used = bytes.len().min(message.bytes.len() - offset);
        if !message.fill(offset, bytes.get(..used).unwrap_or_default()) {
            return bytes.len();
        }
        if message.is_whole() {
            let whole = mem::take(&mut message.bytes);
            *slot = None;
            self.length_seen = 0;
            deliver(&whole);
        }
        used
    }

    fn hold(&mut self, bytes: &[u8], sequence: u32) {
        if sequence.wrapping_sub(self.next_length_at) > MAX_WINDOW {
            return;
        }
        if let Some(free) = self.held.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(Box::new(Held {
                sequence,
                bytes: bytes.to_vec(),
            }));
        }
    }

    /// Octets held.
    fn octets(&self) -> usize {
        let messages = self.messages.iter().flatten().map(|one| one.bytes.len());
        let held = self.held.iter().flatten().map(|one| one.bytes.len());
        messages.sum::<usize>() + held.sum::<usize>()
    }
}

impl Unfinished {
    /// A message of `len` octets of which the first ones are known.
    fn new(sequence: u32, first: &[u8], len: usize) -> Self {
        let mut bytes = first.to_vec();
        bytes.resize(len, 0);
        let mut holes = [Hole::default(); SLOTS];
        holes[0] = Hole {
            start: first.len(),
            end: len,
        };
        Self {
            sequence,
            bytes,
            holes,
        }
    }

    /// Fills in octets at an offset, as in RFC 815; says whether there was a
    /// place for each hole that remains.
    fn fill(&mut self, start: usize, octets: &[u8]) -> bool {
        let end = start + octets.len();
        for index in 0..SLOTS {
            let hole = self.holes[index];
            if hole.is_closed() || start >= hole.end || end <= hole.start {
                continue;
            }
            let behind = Hole {
                start: end,
                end: hole.end,
            };
            self.holes[index] = if end < hole.end {
                behind
            } else {
                Hole::default()
            };
            if start > hole.start {
                let Some(free) = self.holes.iter_mut().find(|hole| hole.is_closed()) else {
                    return false;
                };
                *free = Hole {
                    start: hole.start,
                    end: start,
                };
            }
        }
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(octets);
        }
        true
    }

    fn is_whole(&self) -> bool {
        self.holes.iter().all(Hole::is_closed)
    }
}

impl Hole {
    const fn is_closed(&self) -> bool {
        self.start >= self.end
    }
}

/// The sequence number so many octets further.
const fn moved(sequence: u32, octets: usize) -> u32 {
    sequence.wrapping_add(octets as u32)
}

/// Octets from one sequence number to a later one; huge if it is an earlier one.
const fn distance(from: u32, to: u32) -> usize {
    to.wrapping_sub(from) as usize
}
