//! The DNS message: header, first question, and the OPT record where nothing
//! stands before it (RFC 1035, section 4; RFC 6891).

use crate::{
    packet::{Packet, Part as _},
    reject::Reject,
};

/// The parts of a DNS message that xdsc counts.
///
/// What is absent is zero rather than an `Option`: the compiler may leave the
/// content of an empty one undefined, and the verifier refuses to see it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The header.
    pub header: Header,
    /// The first question; without name, type and class when QDCOUNT is 0.
    pub question: Question,
    /// What is known of the OPT pseudo-record.
    pub edns: EdnsState,
    /// The OPT pseudo-record; all zero unless `edns` says that it is present.
    pub opt: Opt,
    /// Octets of the message; over TCP without the two of the length.
    pub len: usize,
}

impl Message {
    /// The 12-bit RCODE: the header's four bits, with those of the OPT record
    /// above them (RFC 6891, section 6.1.3).
    #[inline(always)]
    #[must_use]
    pub const fn rcode(&self) -> u16 {
        (self.opt.extended_rcode() as u16) << 4 | self.header.flags() & 0x000f
    }

    /// Whether its octets tell more of EDNS than this does: options, or an OPT
    /// record behind others. A broken OPT record is worth a look, too.
    #[inline(always)]
    #[must_use]
    pub const fn tells_more(&self) -> bool {
        match self.edns {
            EdnsState::Absent => false,
            EdnsState::Present => self.opt.options_len() != 0,
            EdnsState::Unreached | EdnsState::Malformed => true,
        }
    }

    /// Whether there is a question.
    #[inline(always)]
    #[must_use]
    pub const fn has_question(&self) -> bool {
        self.question.name_len != 0
    }
}

table! {
    /// What is known of the OPT record.
    pub enum EdnsState {
        /// No OPT record.
        Absent = "absent",
        /// OPT record read.
        Present = "present",
        /// Other records stand before the place where it may be; it was not looked for.
        Unreached = "unreached",
        /// OPT record that does not fit into the message.
        Malformed = "malformed",
    }
}

/// The header (RFC 1035, section 4.1.1), as words in memory order: the kernel
/// program has ten registers, and most fields only pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// ID, the second 16 bits, QDCOUNT, ANCOUNT.
    pub(crate) first: u64,
    /// NSCOUNT, ARCOUNT.
    pub(crate) second: u32,
}

impl Header {
    /// The header of these octets.
    #[inline(always)]
    #[must_use]
    pub const fn new([a, b, c, d, e, f, g, h, rest @ ..]: [u8; HEADER_LEN]) -> Self {
        Self {
            first: u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            second: u32::from_ne_bytes(rest),
        }
    }

    /// The header of its first eight octets and its last four.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn of_words(first: [u8; 8], second: [u8; 4]) -> Self {
        Self {
            first: u64::from_ne_bytes(first),
            second: u32::from_ne_bytes(second),
        }
    }

    /// ID.
    #[inline(always)]
    #[must_use]
    pub const fn id(&self) -> u16 {
        let [a, b, ..] = self.first.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// The second 16 bits: QR, Opcode, AA, TC, RD, RA, Z, AD, CD, RCODE.
    #[inline(always)]
    #[must_use]
    pub const fn flags(&self) -> u16 {
        let [_, _, a, b, ..] = self.first.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// Whether one question and one additional record follow, and nothing else.
    #[inline(always)]
    const fn is_of_edns_query(&self) -> bool {
        const COUNTS: u64 = u64::from_ne_bytes([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        const ONE_QUESTION: u64 = u64::from_ne_bytes([0, 0, 0, 0, 0, 1, 0, 0]);
        const ONE_ADDITIONAL: u32 = u32::from_ne_bytes([0, 0, 0, 1]);
        self.first & COUNTS == ONE_QUESTION && self.second == ONE_ADDITIONAL
    }

    /// ID, the second 16 bits, QDCOUNT and ANCOUNT as they stand in memory.
    #[inline(always)]
    #[must_use]
    pub const fn word(&self) -> u64 {
        self.first
    }

    /// QDCOUNT.
    #[inline(always)]
    #[must_use]
    pub const fn questions(&self) -> u16 {
        let [_, _, _, _, a, b, ..] = self.first.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// ANCOUNT.
    #[inline(always)]
    #[must_use]
    pub const fn answers(&self) -> u16 {
        let [.., a, b] = self.first.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// NSCOUNT.
    #[inline(always)]
    #[must_use]
    pub const fn authorities(&self) -> u16 {
        let [a, b, ..] = self.second.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// ARCOUNT.
    #[inline(always)]
    #[must_use]
    pub const fn additionals(&self) -> u16 {
        let [.., a, b] = self.second.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// QR: whether it is a response.
    #[inline(always)]
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flags() & 0x8000 != 0
    }

    /// The kind of query, 0 to 15.
    #[inline(always)]
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        (self.flags() >> 11) as u8 & 0x0f
    }
}

/// The first question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Offset of QNAME in the frame.
    pub name_at: usize,
    /// Octets of QNAME on the wire, root label included: 1 to 255.
    pub name_len: usize,
    /// QTYPE and QCLASS in memory order.
    pub(crate) fixed: u32,
}

impl Question {
    /// A question whose name has `name_len` octets and stands at `name_at`.
    #[inline(always)]
    #[must_use]
    pub const fn new(name_at: usize, name_len: usize, qtype: u16, qclass: u16) -> Self {
        let ([a, b], [c, d]) = (qtype.to_be_bytes(), qclass.to_be_bytes());
        Self {
            name_at,
            name_len,
            fixed: u32::from_ne_bytes([a, b, c, d]),
        }
    }

    /// QTYPE and QCLASS as they stand in memory.
    #[inline(always)]
    #[must_use]
    pub const fn word(&self) -> u32 {
        self.fixed
    }

    /// QTYPE.
    #[inline(always)]
    #[must_use]
    pub const fn qtype(&self) -> u16 {
        let [a, b, ..] = self.fixed.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// QCLASS.
    #[inline(always)]
    #[must_use]
    pub const fn qclass(&self) -> u16 {
        let [.., a, b] = self.fixed.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }
}

/// The fixed part of an OPT record (RFC 6891, section 6.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opt {
    /// In memory order: CLASS, TTL, RDLEN.
    pub(crate) word: u64,
}

impl Opt {
    /// An OPT record of these fields.
    #[inline(always)]
    #[must_use]
    pub const fn new(
        udp_size: u16,
        extended_rcode: u8,
        version: u8,
        flags: u16,
        options_len: u16,
    ) -> Self {
        let [a, b] = udp_size.to_be_bytes();
        let ([c, d], [e, f]) = (flags.to_be_bytes(), options_len.to_be_bytes());
        let octets = [a, b, extended_rcode, version, c, d, e, f];
        Self {
            word: u64::from_ne_bytes(octets),
        }
    }

    /// All of it as it stands in memory.
    #[inline(always)]
    #[must_use]
    pub const fn word(&self) -> u64 {
        self.word
    }

    /// The requestor's UDP payload size.
    #[inline(always)]
    #[must_use]
    pub const fn udp_size(&self) -> u16 {
        let [a, b, ..] = self.word.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// Upper eight bits of the RCODE.
    #[inline(always)]
    #[must_use]
    pub const fn extended_rcode(&self) -> u8 {
        self.word.to_ne_bytes()[2]
    }

    /// EDNS version.
    #[inline(always)]
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.word.to_ne_bytes()[3]
    }

    /// DO (0x8000, RFC 3225), CO (0x4000), DE (0x2000) and the rest of Z.
    #[inline(always)]
    #[must_use]
    pub const fn flags(&self) -> u16 {
        let [_, _, _, _, a, b, ..] = self.word.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// Octets of options.
    #[inline(always)]
    #[must_use]
    pub const fn options_len(&self) -> u16 {
        let [.., a, b] = self.word.to_ne_bytes();
        u16::from_be_bytes([a, b])
    }

    /// DO: DNSSEC answer OK (RFC 3225).
    #[inline(always)]
    #[must_use]
    pub const fn dnssec_ok(&self) -> bool {
        self.flags() & 0x8000 != 0
    }
}

/// Octets of a DNS header.
pub const HEADER_LEN: usize = 12;
/// Longest name on the wire (RFC 1035, section 3.1).
pub const MAX_NAME: usize = 255;
/// Longest label (RFC 1035, section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// A name of 255 octets has at most 127 labels of one octet, and the root.
pub const MAX_LABELS: usize = 128;
/// Octets of an OPT record without options (RFC 6891, section 6.1.2): owner root,
/// TYPE, CLASS (UDP size), TTL (extended RCODE, version, flags), RDLEN.
const OPT_LEN: usize = 11;
/// The first three of eight octets: an owner, if it is the root, and a TYPE.
const ROOT_AND_TYPE: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0, 0, 0, 0, 0]);
/// OPT is TYPE 41, owned by the root.
const ROOT_OPT: u64 = u64::from_ne_bytes([0, 0, 41, 0, 0, 0, 0, 0]);

/// Parses the message of `len` octets at offset `at` of the frame.
///
/// # Errors
/// The reason why it is no DNS message. A broken OPT record is no such reason:
/// the message is counted, with [`Edns::Malformed`].
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, at: usize, len: usize) -> Result<Message, Reject> {
    if len < HEADER_LEN {
        return Err(Reject::DnsHeader);
    }
    parse_behind(packet, header(packet, at)?, at, len)
}

/// The same of a message whose header was read.
#[inline(always)]
pub(crate) fn parse_behind<P: Packet>(
    packet: &P,
    header: Header,
    at: usize,
    len: usize,
) -> Result<Message, Reject> {
    let end = at + len;
    let mut next = at + HEADER_LEN;
    let question = if header.questions() == 0 {
        Question {
            name_at: next,
            ..Question::default()
        }
    } else {
        let name_len = packet.name_len(next, end)?;
        if header.is_of_edns_query()
            && let Some((fixed, opt)) = question_and_opt(packet, next + name_len, end)
        {
            return Ok(Message {
                header,
                question: Question {
                    name_at: next,
                    name_len,
                    fixed,
                },
                edns: EdnsState::Present,
                opt,
                len,
            });
        }
        let question = question(packet, next, name_len, end)?;
        next += name_len + 4;
        question
    };
    let (edns, opt) = edns(packet, &header, next, end)?;
    Ok(Message {
        header,
        question,
        edns,
        opt,
        len,
    })
}

#[inline(always)]
fn header<P: Packet>(packet: &P, at: usize) -> Result<Header, Reject> {
    let (first, second) = packet.read_header(at).ok_or(Reject::Snapped)?;
    Ok(Header::of_words(first, second))
}

/// What most queries have behind their name, and nothing else: QTYPE, QCLASS and
/// an OPT record. [`question`] and [`edns`] find the same, in more steps.
#[inline(always)]
fn question_and_opt<P: Packet>(packet: &P, at: usize, end: usize) -> Option<(u32, Opt)> {
    if at + 4 + OPT_LEN > end {
        return None;
    }
    let part = packet.part::<{ 4 + OPT_LEN }>(at)?;
    if u64::from_ne_bytes(part.get(4)) & ROOT_AND_TYPE != ROOT_OPT {
        return None;
    }
    let word = u64::from_ne_bytes(part.get(7));
    let opt = Opt { word };
    if at + 4 + OPT_LEN + usize::from(opt.options_len()) > end {
        return None;
    }
    Some((u32::from_ne_bytes(part.get(0)), opt))
}

#[inline(always)]
fn question<P: Packet>(
    packet: &P,
    name_at: usize,
    name_len: usize,
    end: usize,
) -> Result<Question, Reject> {
    let fixed = name_at + name_len;
    if fixed + 4 > end {
        return Err(Reject::QuestionTruncated);
    }
    let octets: [u8; 4] = packet.read(fixed).ok_or(Reject::Snapped)?;
    Ok(Question {
        name_at,
        name_len,
        fixed: u32::from_ne_bytes(octets),
    })
}

/// Octets of the name at offset `at` in a message that ends at `end`, root label
/// included, found in a step per label.
///
/// # Errors
/// Why it is no name.
#[inline(always)]
pub fn name_len<P: Packet>(packet: &P, at: usize, end: usize) -> Result<usize, Reject> {
    match packet.labels_end(at) {
        Some((root, true)) if root < end && root - at < MAX_NAME => Ok(root + 1 - at),
        Some(_) | None => Err(packet.name_fault(at, end)),
    }
}

/// Where the labels that begin at offset `at` end: the offset of the octet that
/// begins none, and whether that is the root label.
///
/// `None` when they run out of the frame, or are more than any name has.
#[inline(always)]
pub fn labels_end<P: Packet + ?Sized>(packet: &P, at: usize) -> Option<(usize, bool)> {
    // Each step waits for the load of the one before: nothing but an addition
    // stands between them.
    let mut next = at;
    for _ in 0..MAX_LABELS {
        let [label] = packet.read(next)?;
        if !is_label(label) {
            return Some((next, label == 0));
        }
        next += 1 + usize::from(label);
    }
    None
}

/// Whether an octet is the length of a label, and not the root label.
#[inline(always)]
const fn is_label(octet: u8) -> bool {
    (octet as usize).wrapping_sub(1) < MAX_LABEL
}

/// Why what stands at offset `at` in a message that ends at `end` is no name.
#[inline(always)]
pub fn name_fault<P: Packet + ?Sized>(packet: &P, at: usize, end: usize) -> Reject {
    let mut next = at;
    for _ in 0..MAX_LABELS {
        if next >= end {
            return Reject::NameTruncated;
        }
        let Some([label]) = packet.read(next) else {
            return Reject::Snapped;
        };
        if !is_label(label) {
            return label_type(label);
        }
        next += 1 + usize::from(label);
        // The root label is still to come.
        if next - at >= MAX_NAME {
            return Reject::NameLength;
        }
    }
    Reject::NameLength
}

/// Why an octet does not begin a label.
#[inline(always)]
const fn label_type(octet: u8) -> Reject {
    // RFC 1035, section 4.1.4: "the first two bits are ones" in a pointer.
    if octet >= 0xc0 {
        Reject::NamePointer
    } else {
        Reject::NameLabelType
    }
}

#[inline(always)]
fn edns<P: Packet>(
    packet: &P,
    header: &Header,
    at: usize,
    end: usize,
) -> Result<(EdnsState, Opt), Reject> {
    let none = Opt::default();
    if header.additionals() == 0 {
        return Ok((EdnsState::Absent, none));
    }
    if !matches!(header.questions(), 0 | 1) || header.answers() != 0 || header.authorities() != 0 {
        return Ok((EdnsState::Unreached, none));
    }
    if at + OPT_LEN > end {
        return Ok((EdnsState::Malformed, none));
    }
    let start: [u8; 8] = packet.read(at).ok_or(Reject::Snapped)?;
    if u64::from_ne_bytes(start) & ROOT_AND_TYPE != ROOT_OPT {
        // RFC 6891, section 6.1.1: it may stand anywhere in the section.
        let only = header.additionals() == 1;
        let state = if only {
            EdnsState::Absent
        } else {
            EdnsState::Unreached
        };
        return Ok((state, none));
    }
    let [c, d, e, f, g, h, high, low] = packet.read(at + 3).ok_or(Reject::Snapped)?;
    if at + OPT_LEN + usize::from(u16::from_be_bytes([high, low])) > end {
        return Ok((EdnsState::Malformed, none));
    }
    let word = u64::from_ne_bytes([c, d, e, f, g, h, high, low]);
    Ok((EdnsState::Present, Opt { word }))
}
