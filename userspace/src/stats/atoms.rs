//! The atoms of a message: what of it decides on the values of a dataset.
//!
//! Messages with the same atoms have the same values, so what is known of one
//! holds for the next (`joints`). The small atoms lie side by side in three words,
//! and which of them an indexer or a condition reads is a mask over the words; the
//! big ones, as names and addresses, are told by their kind. An indexer that names
//! too few atoms would count messages in wrong cells: the tests hold each against
//! pairs of messages that agree in the atoms that it names.

use dns_wire::{
    locate::Transport,
    message::{Header, Opt, Question},
};

use super::{
    cells::fold,
    dataset::{Filter, Indexer, Predicate},
    observed::Observed,
    plan::Rules,
    values::LocalEnds,
};
use crate::config::CustomerBy;

/// The small atoms, or a mask over them: flags of the header; question and what
/// stands beside the message; OPT record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words([u64; 3]);

/// Kinds of big atoms, as bits.
pub(super) mod big {
    /// What is told of QNAME by a few values: its length, its top-level domain.
    pub(in crate::stats) const SHAPE: u16 = 1;
    /// QNAME.
    pub(in crate::stats) const NAME: u16 = 1 << 1;
    /// Address of the client.
    pub(in crate::stats) const CLIENT: u16 = 1 << 2;
    /// Address of the server.
    pub(in crate::stats) const SERVER: u16 = 1 << 3;
    /// Octets of the message.
    pub(in crate::stats) const LEN: u16 = 1 << 4;
    /// Source port.
    pub(in crate::stats) const PORT: u16 = 1 << 5;
    /// Hop limit.
    pub(in crate::stats) const HOP_LIMIT: u16 = 1 << 6;
    /// Contents of EDNS options.
    pub(in crate::stats) const OPTIONS: u16 = 1 << 7;
    /// Other messages.
    pub(in crate::stats) const TIME: u16 = 1 << 8;
}

/// The atoms that something reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Atoms {
    pub(super) words: Words,
    /// Kinds of big ones.
    pub(super) big: u16,
}

const HAS_QUESTION: u64 = 1;
const TCP: u64 = 1 << 1;
const FAMILY_SHIFT: u32 = 2;
const ROLE_SHIFT: u32 = 4;
const EDNS_SHIFT: u32 = 6;
const PORT_0: u64 = 1 << 8;
const ROOT: u64 = 1 << 9;
const DIRECTION_SHIFT: u32 = 10;
const OWN: u64 = 1 << 12;

impl Words {
    /// Those of a message. What costs a comparison of addresses is told only
    /// where it is among the `wanted` ones.
    #[inline]
    pub(super) fn of(observed: &Observed<'_>, rules: &Rules, wanted: Self) -> Self {
        let message = &observed.message;
        let on = |bit: u64, on: bool| if on { bit } else { 0 };
        let mut beside = on(HAS_QUESTION, message.has_question())
            | on(TCP, observed.flow.transport == Transport::Tcp)
            | (observed.flow.family.index() as u64) << FAMILY_SHIFT
            | (observed.role.index() as u64) << ROLE_SHIFT
            | (message.edns.index() as u64) << EDNS_SHIFT
            | on(PORT_0, observed.flow.source_port == 0)
            | on(ROOT, observed.name.len() == 1);
        if wanted.0[1] & (Self::DIRECTION.0[1] | Self::OWN.0[1]) != 0 {
            let ends = LocalEnds::of(observed, rules);
            beside |= ends.direction(observed, rules) << DIRECTION_SHIFT;
            beside |= on(OWN, ends.are_own(observed));
        }
        Self([
            message.header.word(),
            u64::from(message.question.word()) | beside << 32,
            message.opt.word(),
        ])
    }

    const NONE: Self = Self([0; 3]);
    const QTYPE: Self = Self::question(0xffff, 0);
    const QCLASS: Self = Self::question(0, 0xffff);
    const RCODE: Self = Self::flags(0x000f).and(Self::opt(0, 0xff, 0, 0));
    const EDNS: Self = Self::beside(3 << EDNS_SHIFT);
    pub(super) const ROLE: Self = Self::beside(1 << ROLE_SHIFT);
    pub(super) const FAMILY: Self = Self::beside(3 << FAMILY_SHIFT);
    const DIRECTION: Self = Self::beside(3 << DIRECTION_SHIFT);
    const OWN: Self = Self::beside(OWN);
    const ROOT: Self = Self::beside(ROOT);
    const PORT_0: Self = Self::beside(PORT_0);
    const HAS_QUESTION: Self = Self::beside(HAS_QUESTION);

    /// What classes of questions are told by: few values in most traffic.
    pub(super) const OF_QUESTION: Self = Self::QTYPE
        .and(Self::QCLASS)
        .and(Self::ROLE)
        .and(Self::ROOT)
        .and(Self::PORT_0)
        .and(Self::HAS_QUESTION)
        .and(Self::RCODE)
        .and(Self::OWN);
    /// What clients are told apart by beside their addresses: few values of each.
    pub(super) const OF_CLIENT: Self = Self::ROLE
        .and(Self::ROOT)
        .and(Self::RCODE)
        .and(Self::flags(0x0020))
        .and(Self::OWN)
        .and(Self::FAMILY);

    /// A mask over the header's flags.
    const fn flags(mask: u16) -> Self {
        let [a, b] = mask.to_be_bytes();
        let header = Header::new([0, 0, a, b, 0, 0, 0, 0, 0, 0, 0, 0]);
        Self([header.word(), 0, 0])
    }

    const fn question(qtype: u16, qclass: u16) -> Self {
        Self([0, Question::new(0, 0, qtype, qclass).word() as u64, 0])
    }

    const fn opt(udp_size: u16, extended_rcode: u8, version: u8, flags: u16) -> Self {
        let opt = Opt::new(udp_size, extended_rcode, version, flags, 0);
        Self([0, 0, opt.word()])
    }

    /// A mask over what stands beside the message.
    const fn beside(mask: u64) -> Self {
        Self([0, mask << 32, 0])
    }

    /// Both masks together.
    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        Self([a | d, b | e, c | f])
    }

    /// Whether all of a mask is in another one.
    pub(super) const fn is_within(self, other: Self) -> bool {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        a & !d | b & !e | c & !f == 0
    }

    /// A hash of what a mask leaves of them, and of something `with` them, whose
    /// bits may be any: no two of the four stand in one factor unhashed.
    #[inline(always)]
    pub(super) const fn hash(self, mask: Self, with: u64, seed: u64) -> u64 {
        let ([a, b, c], [d, e, f]) = (self.0, mask.0);
        let first = fold(a & d ^ seed, b & e ^ 0xa076_1d64_78bd_642f);
        fold(first ^ with, c & f ^ seed ^ 0x9e37_79b9_7f4a_7c15)
    }
}

impl Atoms {
    const fn new(words: Words, big: u16) -> Self {
        Self { words, big }
    }

    const fn small(words: Words) -> Self {
        Self::new(words, 0)
    }

    const fn big(big: u16) -> Self {
        Self::new(Words::NONE, big)
    }

    /// Of the name, as the role has it told.
    const fn of_name(big: u16) -> Self {
        Self::new(Words::ROLE, big)
    }

    /// Those of both.
    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        Self::new(self.words.and(other.words), self.big | other.big)
    }

    /// What the value of an indexer comes of, and nothing else.
    pub(super) fn of_indexer(indexer: Indexer, rules: &Rules) -> Self {
        let opt_flags = |mask| Self::small(Words::opt(0, 0, 0, mask));
        let flags = |mask| Self::small(Words::flags(mask));
        match indexer {
            Indexer::Null | Indexer::Encryption => Self::default(),
            Indexer::ResponseTime => Self::big(big::TIME),
            Indexer::Client
            | Indexer::ClientSubnet
            | Indexer::Country
            | Indexer::Continent
            | Indexer::Asn
            | Indexer::AsOrg
            | Indexer::Network => Self::big(big::CLIENT),
            Indexer::Server => Self::big(big::SERVER),
            Indexer::Customer => {
                let ways = rules.customers_by.iter().map(|by| match by {
                    CustomerBy::Zone => Self::of_name(big::NAME),
                    CustomerBy::Client => Self::big(big::CLIENT),
                    CustomerBy::Server => Self::big(big::SERVER),
                });
                ways.fold(Self::default(), Self::and)
            }
            Indexer::Qname | Indexer::SecondLd | Indexer::ThirdLd => Self::of_name(big::NAME),
            Indexer::Tld
            | Indexer::Qnamelen
            | Indexer::LabelCount
            | Indexer::IdnQname
            | Indexer::IdnFirstLabel
            | Indexer::CertainQnames
            | Indexer::Zone
            | Indexer::TldState => Self::of_name(big::SHAPE),
            Indexer::QueryClassification => Self::of_name(big::SHAPE).and(Self::classified()),
            Indexer::DscClassification => Self::of_name(big::NAME).and(Self::classified()),
            Indexer::Qtype => Self::small(Words::QTYPE.and(Words::HAS_QUESTION)),
            Indexer::Qclass => Self::small(Words::QCLASS.and(Words::HAS_QUESTION)),
            Indexer::Msglen => Self::big(big::LEN),
            Indexer::Opcode => flags(0x7800),
            Indexer::Rcode => Self::small(Words::RCODE),
            Indexer::RdBit => flags(0x0100),
            Indexer::TcBit => flags(0x0200),
            Indexer::RaBit => flags(0x0080),
            Indexer::AdBit => flags(0x0020),
            Indexer::CdBit => flags(0x0010),
            Indexer::QrAaBits => flags(0x8400),
            Indexer::DoBit => opt_flags(0x8000),
            Indexer::CoBit => opt_flags(0x4000),
            Indexer::DeBit => opt_flags(0x2000),
            Indexer::EdnsVersion => Self::small(Words::EDNS.and(Words::opt(0, 0, 0xff, 0))),
            Indexer::EdnsBufsiz => Self::small(Words::EDNS.and(Words::opt(0xfe00, 0, 0, 0))),
            Indexer::EdnsCookie
            | Indexer::EdnsCookieLen
            | Indexer::EdnsCookieClient
            | Indexer::EdnsCookieServer
            | Indexer::EdnsNsid
            | Indexer::EdnsNsidLen
            | Indexer::EdnsNsidData
            | Indexer::EdnsNsidText
            | Indexer::EdnsEcs
            | Indexer::EdnsEcsFamily
            | Indexer::EdnsEcsSourcePrefix
            | Indexer::EdnsEcsScopePrefix
            | Indexer::EdnsEcsAddress
            | Indexer::EdnsEcsSubnet
            | Indexer::EdnsEde
            | Indexer::EdnsEdeCode
            | Indexer::EdnsEdeTextlen
            | Indexer::EdnsEdeText
            | Indexer::EdnsOptions => Self::big(big::OPTIONS),
            Indexer::Transport | Indexer::IpProto => Self::small(Words::beside(TCP)),
            Indexer::DnsIpVersion | Indexer::IpVersion => Self::small(Words::FAMILY),
            Indexer::DnsSourcePort | Indexer::DnsSportRange => Self::big(big::PORT),
            Indexer::IpDirection => Self::small(Words::DIRECTION),
            Indexer::HopLimit => Self::big(big::HOP_LIMIT),
            Indexer::Role => Self::small(Words::ROLE),
        }
    }

    /// What else than the name the class of a question comes of.
    const fn classified() -> Self {
        let question = Words::QTYPE.and(Words::QCLASS).and(Words::HAS_QUESTION);
        Self::small(question.and(Words::PORT_0))
    }

    /// What a filter goes by, and nothing else.
    pub(super) const fn of_filter(filter: Filter) -> Self {
        match filter {
            Filter::Is(predicate) => Self::of_predicate(predicate),
            Filter::QnameMatches(_) => Self::big(big::SHAPE),
        }
    }

    const fn of_predicate(predicate: Predicate) -> Self {
        match predicate {
            Predicate::Any => Self::small(Words::NONE),
            Predicate::Queries | Predicate::Replies => Self::small(Words::flags(0x8000)),
            Predicate::Nxdomains | Predicate::Servfail => Self::small(Words::RCODE),
            Predicate::PopularQtypes | Predicate::AaaaOrA6 => Self::small(Words::QTYPE),
            Predicate::Chaos => Self::small(Words::QCLASS),
            Predicate::Priming => Self::small(Words::QTYPE.and(Words::ROOT)),
            Predicate::AuthenticData => Self::small(Words::flags(0x0020)),
            Predicate::Edns0 => Self::small(Words::EDNS.and(Words::opt(0, 0, 0xff, 0))),
            Predicate::Idn | Predicate::RootServersNet | Predicate::UnknownTld => {
                Self::of_name(big::SHAPE)
            }
            Predicate::Cookie | Predicate::Nsid | Predicate::Ecs | Predicate::Ede => {
                Self::big(big::OPTIONS)
            }
            Predicate::Server | Predicate::Client => Self::small(Words::ROLE),
            Predicate::Served => Self::small(Words::OWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What is known of a name may be a few bits as they are, which must not undo
    /// those of an OPT record.
    #[test]
    fn bits_beside_the_words_are_told_apart_from_those_of_an_opt_record() {
        let bits = || (0..64).map(|bit| 1_u64 << bit).chain([0]);
        for seed in [1, 7, 0x2545_f491_4f6c_dd1d] {
            let mut hashes = HashSet::new();
            for word in bits() {
                let words = Words([0, 0, word]);
                let all = Words([u64::MAX; 3]);
                hashes.extend(bits().map(|with| words.hash(all, with, seed)));
            }
            assert_eq!(hashes.len(), 65 * 65, "{seed}");
        }
    }
}
