//! Puts IP packets together from their fragments (RFC 791, RFC 8200 section 4.5),
//! for captures: what comes of them is seen like a packet of its own.
//!
//! Fragments come in any order, and some twice. Two that overlap otherwise are an
//! attack or an accident: the datagram is discarded, and so is what comes of it
//! later (RFC 5722; IPv4 is treated alike). Of many datagrams all fragments but
//! the first are missing, since whoever captured them asked for a port: after a
//! second the first fragment is given out alone, as far as it goes, and once
//! only. Everything is bounded: datagrams, octets in all, time.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, num::NonZeroUsize};

use foldhash::quality::RandomState;
use lru::LruCache;

/// How long the rest of a datagram may take before its first fragment is given
/// out alone, and for how long a complete one is remembered.
const PATIENCE_NS: u64 = 1_000_000_000;
/// Most octets of a datagram (RFC 791, section 3.1; RFC 8200, section 3).
const MAX_DATAGRAM: usize = 65_535;
/// What a fragment costs beside its octets.
const OVERHEAD: usize = 64;

/// Bounds of the reassembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams at the same time.
    pub datagrams: usize,
    /// Octets kept in all.
    pub memory: usize,
    /// After so long since its first octet a datagram is forgotten, in ns.
    pub timeout_ns: u64,
}

impl Default for Limits {
    /// RFC 8200, section 4.5, allows 60 seconds.
    fn default() -> Self {
        Self {
            datagrams: 1 << 14,
            memory: 1 << 26,
            timeout_ns: 60_000_000_000,
        }
    }
}

/// What became of fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentStats {
    /// Datagrams put together.
    pub datagrams: u64,
    /// Datagrams of which the first fragment was given out alone.
    pub first_only: u64,
    /// Datagrams given up since fragments of them did not come in time.
    pub incomplete: u64,
    /// Datagrams discarded since fragments of them overlap.
    pub overlapping: u64,
    /// Datagrams given up early, since a bound was reached.
    pub evicted: u64,
    /// Fragments that cannot be part of any datagram.
    pub malformed: u64,
    /// Fragments that came again, or after their datagram was done with.
    pub duplicates: u64,
    /// Octets kept at the moment.
    pub memory: u64,
}

/// An IP packet given out: put together, or a first fragment alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// From the IP header on, as far as it was captured.
    pub octets: Vec<u8>,
    /// Octets that it had on the wire.
    pub wire_len: usize,
    /// When its last octet was seen.
    pub time_ns: u64,
}

/// All datagrams under way, in the order in which they began.
#[derive(Debug)]
pub struct Fragments {
    datagrams: LruCache<Key, State, RandomState>,
    /// Those whose first fragment has come, and when that was.
    firsts: VecDeque<(Key, u64)>,
    limits: Limits,
    stats: FragmentStats,
}

/// What fragments of one datagram have in common (RFC 791, section 3.2; RFC
/// 8200, section 4.5, leaves the protocol out: it is 0 here).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: [u8; 16],
    destination: [u8; 16],
    id: u32,
    protocol: u8,
    version: u8,
}

#[derive(Debug)]
struct State {
    began_ns: u64,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// Fragments so far, by offset.
    Collecting(Vec<Piece>),
    /// It was given out, whole or in part; what still comes is left alone.
    Done { at_ns: u64 },
    /// Fragments overlapped.
    Discarded,
}

/// One fragment.
#[derive(Clone, Debug)]
struct Piece {
    /// Offset of its data in the datagram, and their octets on the wire.
    offset: usize,
    len: usize,
    more: bool,
    /// The IP packet, as far as it was captured, and where in it the data begin.
    octets: Vec<u8>,
    data_at: usize,
    /// Where in it the protocol of the data stands that the packet put together
    /// must name, and which that is.
    protocol_at: usize,
    protocol: u8,
    time_ns: u64,
}

impl Fragments {
    /// No datagrams yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let datagrams = NonZeroUsize::new(limits.datagrams).unwrap_or(NonZeroUsize::MIN);
        Self {
            datagrams: LruCache::with_hasher(datagrams, RandomState::default()),
            firsts: VecDeque::new(),
            limits,
            stats: FragmentStats::default(),
        }
    }

    /// Takes in an IP packet of `wire_len` octets that is a fragment; the
    /// datagram when it is complete.
    pub fn take(&mut self, packet: &[u8], wire_len: usize, time_ns: u64) -> Option<Datagram> {
        let Some((key, piece)) = read(packet, wire_len, time_ns) else {
            self.stats.malformed += 1;
            return None;
        };
        self.make_room_for(&key, time_ns);
        let state = self.datagrams.peek_mut(&key)?;
        let Progress::Collecting(pieces) = &mut state.progress else {
            self.stats.duplicates += 1;
            return None;
        };
        let (is_first, memory) = (piece.offset == 0, piece.memory());
        match insert(pieces, piece) {
            Insertion::New => {}
            Insertion::Duplicate => {
                self.stats.duplicates += 1;
                return None;
            }
            Insertion::Overlap => {
                self.stats.overlapping += 1;
                self.stats.memory -= memory_of(pieces);
                state.progress = Progress::Discarded;
                return None;
            }
        }
        self.stats.memory += memory as u64;
        let datagram = assemble(pieces);
        if datagram.is_some() {
            self.stats.datagrams += 1;
            self.stats.memory -= memory_of(pieces);
            state.progress = Progress::Done { at_ns: time_ns };
        } else {
            if is_first {
                self.firsts.push_back((key, time_ns));
            }
            self.bound_memory();
        }
        datagram
    }

    /// The next datagram of which at `now_ns` the first fragment is all that is
    /// to be expected; forgets what is too old.
    pub fn due(&mut self, now_ns: u64) -> Option<Datagram> {
        self.forget_before(now_ns.saturating_sub(self.limits.timeout_ns));
        while let Some((key, since_ns)) = self.firsts.front().copied() {
            let crowded = self.firsts.len() > self.limits.datagrams;
            if since_ns.saturating_add(PATIENCE_NS) > now_ns && !crowded {
                return None;
            }
            self.firsts.pop_front();
            let first = self.give_out_first(&key, since_ns, now_ns);
            if first.is_some() {
                return first;
            }
        }
        None
    }

    /// Ends what is under way: the next datagram of which the first fragment is
    /// all that came, until there is none.
    pub fn finish(&mut self) -> Option<Datagram> {
        while let Some((key, since_ns)) = self.firsts.pop_front() {
            let first = self.give_out_first(&key, since_ns, since_ns);
            if first.is_some() {
                return first;
            }
        }
        while let Some((_, state)) = self.datagrams.pop_lru() {
            self.forget(&state);
        }
        None
    }

    /// What became of fragments so far.
    #[must_use]
    pub const fn stats(&self) -> FragmentStats {
        self.stats
    }

    /// A place for the datagram, if there is none. IDs come again: what was done
    /// with long ago was another.
    fn make_room_for(&mut self, key: &Key, time_ns: u64) {
        if let Some(state) = self.datagrams.peek(key) {
            match state.progress {
                Progress::Done { at_ns } if at_ns.saturating_add(PATIENCE_NS) < time_ns => {}
                Progress::Done { .. } | Progress::Collecting(_) | Progress::Discarded => return,
            }
        }
        if self.datagrams.len() == self.datagrams.cap().get() && !self.datagrams.contains(key) {
            self.evict();
        }
        let state = State {
            began_ns: time_ns,
            progress: Progress::Collecting(Vec::new()),
        };
        self.datagrams.put(*key, state);
    }

    /// Gives the first fragment out, if the datagram is still the one that it
    /// began then.
    fn give_out_first(&mut self, key: &Key, since_ns: u64, now_ns: u64) -> Option<Datagram> {
        let state = self.datagrams.peek_mut(key)?;
        let Progress::Collecting(pieces) = &mut state.progress else {
            return None;
        };
        let first = pieces.first()?;
        if first.offset != 0 || first.time_ns != since_ns {
            return None;
        }
        let datagram = first.as_datagram();
        self.stats.memory -= memory_of(pieces);
        self.stats.first_only += 1;
        state.progress = Progress::Done { at_ns: now_ns };
        Some(datagram)
    }

    fn forget_before(&mut self, then_ns: u64) {
        while let Some((_, state)) = self.datagrams.peek_lru() {
            if state.began_ns >= then_ns {
                return;
            }
            if let Some((_, state)) = self.datagrams.pop_lru() {
                self.forget(&state);
            }
        }
    }

    fn forget(&mut self, state: &State) {
        if let Progress::Collecting(pieces) = &state.progress {
            self.stats.incomplete += 1;
            self.stats.memory -= memory_of(pieces);
        }
    }

    fn bound_memory(&mut self) {
        while self.stats.memory > self.limits.memory as u64 && !self.datagrams.is_empty() {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some((_, state)) = self.datagrams.pop_lru() else {
            return;
        };
        if let Progress::Collecting(pieces) = &state.progress {
            self.stats.evicted += 1;
            self.stats.memory -= memory_of(pieces);
        }
    }
}

impl Piece {
    const fn end(&self) -> usize {
        self.offset + self.len
    }

    fn data(&self) -> &[u8] {
        self.octets.get(self.data_at..).unwrap_or(&[])
    }

    const fn memory(&self) -> usize {
        self.octets.len() + OVERHEAD
    }

    fn as_datagram(&self) -> Datagram {
        Datagram {
            octets: self.octets.clone(),
            wire_len: self.data_at + self.len,
            time_ns: self.time_ns,
        }
    }
}

fn memory_of(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.memory() as u64).sum()
}

enum Insertion {
    New,
    Duplicate,
    Overlap,
}

/// Puts a piece in its place.
fn insert(pieces: &mut Vec<Piece>, piece: Piece) -> Insertion {
    let place = pieces.partition_point(|other| other.offset < piece.offset);
    if let Some(other) = pieces.get(place)
        && (other.offset, other.len, other.more) == (piece.offset, piece.len, piece.more)
        && other.data() == piece.data()
    {
        return Insertion::Duplicate;
    }
    let before = place.checked_sub(1).and_then(|place| pieces.get(place));
    let overlaps_before = before.is_some_and(|other| other.end() > piece.offset || !other.more);
    let behind = pieces.get(place);
    let overlaps_behind = behind.is_some_and(|other| piece.end() > other.offset || !piece.more);
    if overlaps_before || overlaps_behind {
        return Insertion::Overlap;
    }
    pieces.insert(place, piece);
    Insertion::New
}

/// The datagram, if all of it is there.
fn assemble(pieces: &[Piece]) -> Option<Datagram> {
    let (first, last) = (pieces.first()?, pieces.last()?);
    if last.more || first.offset != 0 {
        return None;
    }
    let mut end = 0;
    for piece in pieces {
        if piece.offset != end || piece.data().len() != piece.len {
            return None;
        }
        end = piece.end();
    }
    let mut octets = header(first, end)?;
    for piece in pieces {
        octets.extend_from_slice(piece.data());
    }
    Some(Datagram {
        wire_len: octets.len(),
        octets,
        time_ns: pieces.iter().map(|piece| piece.time_ns).max()?,
    })
}

/// The header of the whole datagram, with `len` octets behind it: that of the
/// first fragment, without what makes it one.
fn header(first: &Piece, len: usize) -> Option<Vec<u8>> {
    let is_ipv6 = first.octets.first()? >> 4 == 6;
    // RFC 8200, section 4.5: the Fragment header is not in the packet put
    // together.
    let header_len = first.data_at - if is_ipv6 { FRAGMENT_HEADER } else { 0 };
    let mut header = first.octets.get(..header_len)?.to_vec();
    let (length_at, counted) = if is_ipv6 { (4, 40) } else { (2, 0) };
    let total = u16::try_from(header_len + len - counted).ok()?;
    header
        .get_mut(length_at..length_at + 2)?
        .copy_from_slice(&total.to_be_bytes());
    *header.get_mut(first.protocol_at)? = first.protocol;
    if !is_ipv6 {
        header.get_mut(6..8)?.fill(0);
    }
    Some(header)
}

/// Reads a fragment from its IP header on.
fn read(packet: &[u8], wire_len: usize, time_ns: u64) -> Option<(Key, Piece)> {
    let (key, piece) = match packet.first()? >> 4 {
        4 => ipv4(packet, wire_len, time_ns)?,
        6 => ipv6(packet, wire_len, time_ns)?,
        _ => return None,
    };
    // RFC 8200, section 4.5: but for the last, "an integer multiple of 8
    // octets", and nothing beyond what a length field can tell.
    let aligned = !piece.more || piece.len % 8 == 0;
    let fits = piece.data_at + piece.end() <= MAX_DATAGRAM;
    (piece.len > 0 && aligned && fits).then_some((key, piece))
}

fn ipv4(packet: &[u8], wire_len: usize, time_ns: u64) -> Option<(Key, Piece)> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let [first, _, _, _, id_high, id_low, high, low, _, protocol, ..] = *header;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let data_at = usize::from(first & 0x0f) * 4;
    let fragment = u16::from_be_bytes([high, low]);
    let key = Key {
        source: mapped([s0, s1, s2, s3]),
        destination: mapped([d0, d1, d2, d3]),
        id: u32::from(u16::from_be_bytes([id_high, id_low])),
        protocol,
        version: 4,
    };
    let piece = Piece {
        offset: usize::from(fragment & 0x1fff) * 8,
        len: wire_len.checked_sub(data_at)?,
        more: fragment & 0x2000 != 0,
        octets: packet.to_vec(),
        data_at,
        protocol_at: 9,
        protocol,
        time_ns,
    };
    Some((key, piece))
}

fn mapped(address: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

/// Octets of an IPv6 Fragment header.
const FRAGMENT_HEADER: usize = 8;
/// Its number.
const FRAGMENT: u8 = 44;
/// Headers that may stand before it, each of them once or twice: hop-by-hop and
/// destination options, routing (RFC 8200, section 4.1).
const BEFORE_FRAGMENT: [u8; 3] = [0, 43, 60];
const MAX_BEFORE_FRAGMENT: usize = 7;

fn ipv6(packet: &[u8], wire_len: usize, time_ns: u64) -> Option<(Key, Piece)> {
    let header: &[u8; 40] = packet.first_chunk()?;
    let (source, rest) = header.get(8..)?.split_first_chunk::<16>()?;
    let destination = rest.first_chunk::<16>()?;
    let (mut protocol_at, mut at) = (6, 40);
    for _ in 0..MAX_BEFORE_FRAGMENT {
        let next = *packet.get(protocol_at)?;
        if next == FRAGMENT {
            break;
        }
        if !BEFORE_FRAGMENT.contains(&next) {
            return None;
        }
        let len = *packet.get(at + 1)?;
        protocol_at = at;
        at += (usize::from(len) + 1) * 8;
    }
    if *packet.get(protocol_at)? != FRAGMENT {
        return None;
    }
    let fragment: &[u8; FRAGMENT_HEADER] = packet.get(at..)?.first_chunk()?;
    let [protocol, _, high, low, id @ ..] = *fragment;
    let data_at = at + FRAGMENT_HEADER;
    let place = u16::from_be_bytes([high, low]);
    let key = Key {
        source: *source,
        destination: *destination,
        id: u32::from_be_bytes(id),
        protocol: 0,
        version: 6,
    };
    let piece = Piece {
        offset: usize::from(place & 0xfff8),
        len: wire_len.checked_sub(data_at)?,
        more: place & 1 != 0,
        octets: packet.to_vec(),
        data_at,
        protocol_at,
        protocol,
        time_ns,
    };
    Some((key, piece))
}
