//! The record: what one packet hands from the kernel to user space.
//!
//! A record is 2 to [`MAX_LINES`] lines of 64 octets: a head of eleven 64-bit
//! words, then the question's name as it was on the wire, or raw octets: of a TCP
//! segment, or of a whole message, in as many records as they take. What comes from the packet stands as it stood there, in network
//! order; the rest is in the machine's order, since both sides are the same one.
//!
//! | word | from the lowest bit |
//! |---|---|
//! | 0 | time in ns: `CLOCK_MONOTONIC` live, Unix epoch in files |
//! | 1 | position in the ring (32), lines (8), sampling level (4), share bits (4), flags (16) |
//! | 2-3, 4-5 | source address, destination address |
//! | 6 | source port (16), destination port (16), length (16), hop limit (8), TCP flags (8) |
//! | 7 | as in the packet: ID, header flags, QDCOUNT, ANCOUNT; raw: octets before this record's (32), in all (32) |
//! | 8 | as in the packet: NSCOUNT, ARCOUNT, QTYPE, QCLASS |
//! | 9 | of the OPT record, as in the packet: CLASS, TTL, RDLEN |
//! | 10 | hash (32), TCP sequence number (32) |

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    counters::{Hook, Role},
    locate::{Family, Flow, Payload, Transport},
    message::{self, EdnsState, Header, Message, Opt, Question},
    observe::{Context, Finding},
};

/// Octets of a line.
pub const LINE: usize = 64;
/// Words of the head.
pub const HEAD_WORDS: usize = 11;
/// Octets of the head: where the name or the segment starts.
pub const HEAD: usize = HEAD_WORDS * 8;
/// Most lines of a record.
pub const MAX_LINES: usize = 24;
/// Most raw octets in one record; what is longer takes several.
pub const MAX_SEGMENT: usize = MAX_LINES * LINE - HEAD;
/// Bits that say how many transactions are paired: 0 (all) to 10 (1 in 1024).
pub const SHARE_BITS: u32 = 10;
/// Where in the hash the bits of the sampling level begin.
const LEVEL_SHIFT: u32 = 16;
/// Highest sampling level: 1 in 256.
pub const MAX_LEVEL: u8 = 8;

const FLAG_RAW: u64 = 1;
const FLAG_PAIRED: u64 = 1 << 1;
const FLAG_IPV6: u64 = 1 << 2;
const FLAG_TCP: u64 = 1 << 3;
const FLAG_EGRESS: u64 = 1 << 4;
/// The index of the role.
const CLIENT_SHIFT: u64 = 5;
const FLAG_CLIENT: u64 = 1 << CLIENT_SHIFT;
const FLAG_WHOLE: u64 = 1 << 7;
const EDNS_SHIFT: u64 = 8;

/// Lines of a record with `len` octets behind the head.
#[inline(always)]
#[must_use]
pub const fn lines(len: usize) -> usize {
    // By a shift: `div_ceil` asks for the remainder.
    (HEAD + len + (LINE - 1)) >> LINE.trailing_zeros()
}

/// Lines of a record, as the second word of its head states them.
#[inline(always)]
#[must_use]
pub const fn lines_stated(word: u64) -> usize {
    (word >> 32 & 0xff) as usize
}

/// Whether a hash belongs to the paired share, one in `2^share_bits`.
#[inline(always)]
#[must_use]
pub const fn is_paired(hash: u32, share_bits: u32) -> bool {
    hash & ((1 << share_bits) - 1) == 0
}

/// Whether sampling at `level` keeps what hashes so. What is kept at a level is
/// kept at every lower one, so two rings at different levels agree on the
/// transactions of the higher.
#[inline(always)]
#[must_use]
pub const fn is_kept(hash: u32, level: u8) -> bool {
    (hash >> LEVEL_SHIFT) & ((1 << level) - 1) == 0
}

/// What the ring adds to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Time in nanoseconds.
    pub time_ns: u64,
    /// Position of the record in its ring, in lines; the consumer checks it.
    pub position: u32,
    /// The record stands for `2^level`.
    pub level: u8,
    /// One transaction in `2^share_bits` was being paired.
    pub share_bits: u8,
    /// The transaction is one of those paired, and the time is precise.
    pub paired: bool,
    /// The hash that chose it.
    pub hash: u32,
}

/// The head of a message's record.
#[inline(always)]
#[must_use]
pub fn message_head(context: &Context, message: &Message, stamp: &Stamp) -> [u64; HEAD_WORDS] {
    let flags = context_flags(context) | (message.edns.index() as u64) << EDNS_SHIFT;
    [
        stamp.time_ns,
        word1(stamp, lines(message.question.name_len), flags),
        context.flow.source[0],
        context.flow.source[1],
        context.flow.destination[0],
        context.flow.destination[1],
        word6(&context.flow, message.len, 0),
        message.header.first,
        join(message.header.second, message.question.fixed),
        message.opt.word,
        u64::from(stamp.hash) | u64::from(context.sequence) << 32,
    ]
}

/// What the heads of the records of a payload's octets have in common; they
/// differ in their positions.
#[inline(always)]
#[must_use]
pub fn raw_head(
    context: &Context,
    payload: &Payload,
    finding: Finding,
    stamp: &Stamp,
) -> [u64; HEAD_WORDS] {
    let flags = context_flags(context) | FLAG_RAW | flag(FLAG_WHOLE, finding.is_whole());
    let stamp = Stamp {
        position: 0,
        ..*stamp
    };
    [
        stamp.time_ns,
        word1(&stamp, 0, flags),
        context.flow.source[0],
        context.flow.source[1],
        context.flow.destination[0],
        context.flow.destination[1],
        word6(&context.flow, 0, payload.tcp_flags),
        (payload.len as u64) << 32,
        0,
        0,
        u64::from(stamp.hash) | u64::from(payload.sequence) << 32,
    ]
}

/// Makes it the head of the record of `len` octets, from `offset` on, at a
/// position of the ring.
#[inline(always)]
pub fn complete_raw_head(head: &mut [u64; HEAD_WORDS], offset: usize, len: usize, position: u32) {
    head[1] |= u64::from(position) | (lines(len) as u64) << 32;
    head[6] |= (len as u64 & 0xffff) << 32;
    head[7] |= offset as u64;
    head[10] = head[10].wrapping_add((offset as u64) << 32);
}

#[inline(always)]
fn context_flags(context: &Context) -> u64 {
    flag(FLAG_IPV6, context.flow.family == Family::Ipv6)
        | flag(FLAG_TCP, context.flow.transport == Transport::Tcp)
        | flag(FLAG_EGRESS, context.hook == Hook::Egress)
        | (context.role.index() as u64) << CLIENT_SHIFT
}

#[inline(always)]
const fn flag(flag: u64, on: bool) -> u64 {
    if on { flag } else { 0 }
}

#[inline(always)]
fn word1(stamp: &Stamp, lines: usize, flags: u64) -> u64 {
    let flags = flags | flag(FLAG_PAIRED, stamp.paired);
    let chosen = u64::from(stamp.level & 0xf) | u64::from(stamp.share_bits & 0xf) << 4;
    u64::from(stamp.position) | (lines as u64) << 32 | chosen << 40 | flags << 48
}

#[inline(always)]
fn word6(flow: &Flow, len: usize, tcp_flags: u8) -> u64 {
    u64::from(flow.source_port)
        | u64::from(flow.destination_port) << 16
        | (len as u64) << 32
        | u64::from(flow.hop_limit) << 48
        | u64::from(tcp_flags) << 56
}

/// Two words as they follow each other in memory.
#[inline(always)]
const fn join(first: u32, second: u32) -> u64 {
    if cfg!(target_endian = "little") {
        first as u64 | (second as u64) << 32
    } else {
        (first as u64) << 32 | second as u64
    }
}

#[inline(always)]
const fn split(word: u64) -> (u32, u32) {
    if cfg!(target_endian = "little") {
        (word as u32, (word >> 32) as u32)
    } else {
        ((word >> 32) as u32, word as u32)
    }
}

/// A record, read.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    words: [u64; HEAD_WORDS],
    payload: &'a [u8],
}

/// Why bytes are no record: the ring or a file was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    /// When `bytes` are shorter than the record says, or it contradicts itself.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(Malformed)?;
        let mut words = [0; HEAD_WORDS];
        for (word, octets) in words.iter_mut().zip(head.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*octets);
        }
        let mut record = Self {
            words,
            payload: &[],
        };
        let payload_len = if record.has(FLAG_RAW) {
            usize::from(record.len())
        } else {
            record.name_len(rest)?
        };
        if record.lines() != lines(payload_len) {
            return Err(Malformed);
        }
        record.payload = rest.get(..payload_len).ok_or(Malformed)?;
        Ok(record)
    }

    /// The name ends at its root label, which the parser has seen.
    fn name_len(&self, rest: &[u8]) -> Result<usize, Malformed> {
        if self.header().questions() == 0 {
            return Ok(0);
        }
        let mut len = 0;
        while len < message::MAX_NAME {
            let label = rest.get(len).ok_or(Malformed)?;
            len += 1 + usize::from(*label);
            if *label == 0 {
                return Ok(len);
            }
        }
        Err(Malformed)
    }

    /// Nanoseconds: `CLOCK_MONOTONIC` live, since the Unix epoch in files.
    #[must_use]
    pub const fn time_ns(&self) -> u64 {
        self.words[0]
    }

    /// Where the producer put it, in lines modulo 2^32.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.words[1] as u32
    }

    /// Lines that it takes.
    #[must_use]
    pub const fn lines(&self) -> usize {
        lines_stated(self.words[1])
    }

    /// Sampling level: it stands for `2^level` of its kind.
    #[must_use]
    pub const fn level(&self) -> u8 {
        (self.words[1] >> 40) as u8 & 0xf
    }

    /// One transaction in `2^share_bits` was being paired when it was made.
    #[must_use]
    pub const fn share_bits(&self) -> u8 {
        (self.words[1] >> 44) as u8 & 0xf
    }

    const fn has(&self, flag: u64) -> bool {
        self.words[1] >> 48 & flag != 0
    }

    /// Whether it is of a TCP segment rather than of a message.
    #[must_use]
    pub const fn is_segment(&self) -> bool {
        self.has(FLAG_RAW) && !self.has(FLAG_WHOLE)
    }

    /// Whether it holds the octets, or some of them, of exactly one message,
    /// over TCP with the prefix that tells its length.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.has(FLAG_RAW) && self.has(FLAG_WHOLE)
    }

    /// Octets of the segment or whole message before those in this record.
    #[must_use]
    pub const fn raw_offset(&self) -> u32 {
        self.words[7] as u32
    }

    /// Octets of the segment or whole message in all its records.
    #[must_use]
    pub const fn raw_total(&self) -> u32 {
        (self.words[7] >> 32) as u32
    }

    /// The record that `message`, which this first record of a whole one begins,
    /// would have if it had been handed on parsed; `name` is its question's.
    #[must_use]
    pub fn of_message<'n>(&self, message: &Message, name: &'n [u8]) -> Record<'n> {
        let context = Context {
            hook: self.hook(),
            role: self.role(),
            flow: self.flow(),
            sequence: self.sequence(),
        };
        let stamp = Stamp {
            time_ns: self.time_ns(),
            position: self.position(),
            level: self.level(),
            share_bits: self.share_bits(),
            paired: self.is_paired(),
            hash: self.hash(),
        };
        Record {
            words: message_head(&context, message, &stamp),
            payload: name,
        }
    }

    /// The words of the head.
    #[must_use]
    pub const fn words(&self) -> [u64; HEAD_WORDS] {
        self.words
    }

    /// The head alone.
    #[must_use]
    pub const fn head(&self) -> Record<'static> {
        Record {
            words: self.words,
            payload: &[],
        }
    }

    /// The head, with a payload that was kept apart from it.
    #[must_use]
    pub const fn with_payload<'n>(&self, payload: &'n [u8]) -> Record<'n> {
        Record {
            words: self.words,
            payload,
        }
    }

    /// Whether its transaction is one of those paired; its time is precise then.
    #[must_use]
    pub const fn is_paired(&self) -> bool {
        self.has(FLAG_PAIRED)
    }

    /// The hook that saw it.
    #[must_use]
    pub const fn hook(&self) -> Hook {
        if self.has(FLAG_EGRESS) {
            Hook::Egress
        } else {
            Hook::Ingress
        }
    }

    /// The observed host's side of the exchange.
    #[must_use]
    pub const fn role(&self) -> Role {
        if self.has(FLAG_CLIENT) {
            Role::Client
        } else {
            Role::Server
        }
    }

    /// Addresses, ports, transport.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        let word = self.words[6];
        Flow {
            family: if self.has(FLAG_IPV6) {
                Family::Ipv6
            } else {
                Family::Ipv4
            },
            transport: if self.has(FLAG_TCP) {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            hop_limit: (word >> 48) as u8,
            source: [self.words[2], self.words[3]],
            destination: [self.words[4], self.words[5]],
            source_port: word as u16,
            destination_port: (word >> 16) as u16,
        }
    }

    /// Octets of the message, or of the raw ones in this record.
    #[must_use]
    pub const fn len(&self) -> u16 {
        (self.words[6] >> 32) as u16
    }

    /// Whether that is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flags octet of the TCP header; 0 for messages.
    #[must_use]
    pub const fn tcp_flags(&self) -> u8 {
        (self.words[6] >> 56) as u8
    }

    /// The hash that paired or sampled it.
    #[must_use]
    pub const fn hash(&self) -> u32 {
        self.words[10] as u32
    }

    /// TCP sequence number of the first octet: the length prefix of a message,
    /// or the first raw one here. Over UDP 0, and of raw octets those before.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        (self.words[10] >> 32) as u32
    }

    /// The message; `name_at` of its question is an offset into nothing, the
    /// name itself is [`Self::payload`].
    #[must_use]
    pub fn message(&self) -> Message {
        let (_, fixed) = split(self.words[8]);
        Message {
            header: self.header(),
            question: Question {
                name_at: 0,
                name_len: self.payload.len(),
                fixed,
            },
            edns: self.edns(),
            opt: Opt {
                word: self.words[9],
            },
            len: usize::from(self.len()),
        }
    }

    const fn header(&self) -> Header {
        Header {
            first: self.words[7],
            second: split(self.words[8]).0,
        }
    }

    fn edns(&self) -> EdnsState {
        let index = self.words[1] >> (48 + EDNS_SHIFT) & 3;
        EdnsState::from_index(index as usize).unwrap_or(EdnsState::Absent)
    }

    /// The question's name in wire format, empty without a question; or the
    /// raw octets.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// An address in memory order as an [`IpAddr`].
#[must_use]
pub fn ip_addr(family: Family, words: [u64; 2]) -> IpAddr {
    let [a, b] = words.map(u64::to_ne_bytes);
    match family {
        Family::Ipv6 => {
            let mut octets = [0; 16];
            for (octet, from) in octets.iter_mut().zip(a.into_iter().chain(b)) {
                *octet = from;
            }
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        Family::Ipv4 | Family::Other => {
            let [a, b, c, d, ..] = a;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
    }
}
