//! The mix of queries that a name server sees in life, from a seed.
//!
//! Mostly resolvers that ask for hosts, some that ask for what is not there,
//! and the small change of the Internet: odd classes, old and future protocol
//! versions, broken messages.

use fastrand::Rng;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::tally::Family;
use super::zone::{DOMAINS, HOSTS, HUGE, ZONES};

/// A message to be sent; its ID is set when it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    message: Vec<u8>,
    /// Mnemonic of the type.
    pub(super) qtype: String,
}

impl Query {
    pub(super) fn with_id(&self, id: u16) -> Vec<u8> {
        let mut message = self.message.clone();
        if let Some(place) = message.first_chunk_mut() {
            *place = id.to_be_bytes();
        }
        message
    }
}

/// What is put into one datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Datagram {
    Query(Query),
    /// No message, and why.
    Malformed {
        bytes: Vec<u8>,
        reason: &'static str,
    },
}

/// How queries are laid into a TCP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One query in one write.
    Whole,
    /// Two queries in one write.
    Pipelined,
    /// One query in two writes, the first of so many octets.
    Split(usize),
}

/// An endless source of queries; the same seed gives the same ones.
pub(super) struct Mix {
    rng: Rng,
}

#[derive(Clone, Copy)]
enum Kind {
    Host,
    Apex,
    Nonexistent,
    LongName,
    Elsewhere,
    Reverse,
    Root,
    Keys,
    Huge,
    Any,
    Chaos,
    Notify,
    FutureEdns,
}

/// Share of each kind, of a thousand.
const KINDS: [(u32, Kind); 13] = [
    (600, Kind::Host),
    (80, Kind::Apex),
    (150, Kind::Nonexistent),
    (10, Kind::LongName),
    (50, Kind::Elsewhere),
    (30, Kind::Reverse),
    (10, Kind::Root),
    (30, Kind::Keys),
    (5, Kind::Huge),
    (10, Kind::Any),
    (10, Kind::Chaos),
    (5, Kind::Notify),
    (10, Kind::FutureEdns),
];

const HOST_TYPES: [(u32, RecordType); 6] = [
    (520, RecordType::A),
    (260, RecordType::AAAA),
    (100, RecordType::HTTPS),
    (50, RecordType::TXT),
    (50, RecordType::MX),
    (20, RecordType::DS),
];

const APEX_TYPES: [(u32, RecordType); 5] = [
    (300, RecordType::NS),
    (250, RecordType::SOA),
    (200, RecordType::DS),
    (150, RecordType::MX),
    (100, RecordType::TXT),
];

impl Mix {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
        }
    }

    /// About 70 of a hundred clients use IPv4.
    pub(super) fn family(&mut self) -> Family {
        if self.chance(70) {
            Family::Ipv4
        } else {
            Family::Ipv6
        }
    }

    /// About 5 of a hundred queries come over TCP, and some that had to be
    /// repeated there.
    pub(super) fn over_tcp(&mut self) -> bool {
        self.chance(5)
    }

    /// A client among so many.
    pub(super) fn client(&mut self, number: usize) -> usize {
        self.rng.usize(..number)
    }

    pub(super) fn id(&mut self) -> u16 {
        self.rng.u16(..)
    }

    pub(super) fn datagram(&mut self) -> Datagram {
        if self.chance(2) {
            self.malformed()
        } else {
            Datagram::Query(self.query())
        }
    }

    pub(super) fn layout(&mut self) -> Layout {
        match self.rng.u8(..10) {
            0..=1 => Layout::Pipelined,
            // One octet is half of the length prefix.
            2 => Layout::Split(1),
            3 => Layout::Split(9),
            _ => Layout::Whole,
        }
    }

    pub(super) fn query(&mut self) -> Query {
        let kind = self.weighted(&KINDS);
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.chance(10);
        if matches!(kind, Kind::Notify) {
            message.metadata.op_code = OpCode::Notify;
        }
        let question = self.question(kind);
        let qtype = question.query_type.to_string();
        message.add_query(question);
        if matches!(kind, Kind::FutureEdns) || self.chance(85) {
            message.set_edns(self.edns(kind));
        }
        // Names of ours are short enough to be encoded.
        Query {
            message: message.to_vec().unwrap_or_default(),
            qtype,
        }
    }

    fn question(&mut self, kind: Kind) -> Question {
        let zone = self.pick(&ZONES);
        let (name, qtype) = match kind {
            Kind::Host | Kind::FutureEdns => {
                let (host, domain) = (self.pick(&HOSTS), self.popular(&DOMAINS));
                (
                    format!("{host}.{domain}.{zone}."),
                    self.weighted(&HOST_TYPES),
                )
            }
            Kind::Apex => (format!("{zone}."), self.weighted(&APEX_TYPES)),
            Kind::Nonexistent => (
                format!("{}.{zone}.", self.letters(12)),
                self.weighted(&HOST_TYPES),
            ),
            Kind::LongName => (self.longest_name(), RecordType::A),
            Kind::Elsewhere => {
                let elsewhere = [
                    "www.example.com.",
                    "example.net.",
                    "mail.example.org.",
                    "printer.local.",
                ];
                (self.pick(&elsewhere).to_owned(), self.weighted(&HOST_TYPES))
            }
            Kind::Reverse => (
                format!("{}.2.0.192.in-addr.arpa.", self.rng.u8(..)),
                RecordType::PTR,
            ),
            Kind::Root => (".".to_owned(), RecordType::NS),
            Kind::Keys => (format!("{zone}."), RecordType::DNSKEY),
            Kind::Huge => (format!("{HUGE}.{zone}."), RecordType::TXT),
            Kind::Any => (
                format!("{}.{zone}.", self.popular(&DOMAINS)),
                RecordType::ANY,
            ),
            Kind::Chaos => ("version.bind.".to_owned(), RecordType::TXT),
            Kind::Notify => (format!("{zone}."), RecordType::SOA),
        };
        let name = Name::from_ascii(self.random_case(name)).unwrap_or_default();
        let mut question = Question::query(name, qtype);
        if matches!(kind, Kind::Chaos) {
            question.query_class = DNSClass::CH;
        }
        question
    }

    fn edns(&mut self, kind: Kind) -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(self.weighted(&[(70, 1232), (22, 4096), (8, 512)]));
        edns.set_dnssec_ok(self.chance(60));
        edns.set_version(u8::from(matches!(kind, Kind::FutureEdns)));
        if self.chance(30) {
            // RFC 7873, section 4: a client cookie has 8 octets.
            let cookie = self.rng.u64(..).to_be_bytes().to_vec();
            edns.options_mut().insert(EdnsOption::Unknown(10, cookie));
        }
        edns
    }

    fn malformed(&mut self) -> Datagram {
        let header = [
            &self.id().to_be_bytes()[..],
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let (question, reason): (&[u8], _) = match self.rng.u8(..5) {
            0 => {
                return Datagram::Malformed {
                    bytes: vec![0, 1, 0, 0, 0],
                    reason: "dns_header",
                };
            }
            1 => (&[0xc0, 12, 0, 1, 0, 1], "name_pointer"),
            2 => (&[0x80, b'a', 0, 0, 1, 0, 1], "name_label_type"),
            3 => (&[7, b'e', b'x', b'a'], "name_truncated"),
            _ => (&[1, b'a', 0, 0, 1], "question_truncated"),
        };
        Datagram::Malformed {
            bytes: [&header, question].concat(),
            reason,
        }
    }

    /// A name of 255 octets: 3 * 64 + 54 + 8 and the root's one.
    fn longest_name(&mut self) -> String {
        let long = [(); 3].map(|()| self.letters(63)).join(".");
        format!("{long}.{}.example.", self.letters(53))
    }

    fn letters(&mut self, number: usize) -> String {
        (0..number).map(|_| self.rng.lowercase()).collect()
    }

    /// As resolvers do that hide random bits in the case of letters.
    fn random_case(&mut self, name: String) -> String {
        if !self.chance(30) {
            return name;
        }
        name.chars()
            .map(|letter| {
                if self.rng.bool() {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                }
            })
            .collect()
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.rng.choice(from).copied().unwrap_or_default()
    }

    /// The first ones more often than the last ones.
    fn popular<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let share = self.rng.f64() * self.rng.f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a short list"
        )]
        let index = (share * from.len() as f64) as usize;
        from.get(index).copied().unwrap_or_default()
    }

    fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let all: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.rng.u32(..all);
        for &(weight, choice) in choices {
            if left < weight {
                return choice;
            }
            left -= weight;
        }
        unreachable!("the weights add up to their sum")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hickory_proto::serialize::binary::BinEncodable as _;

    use super::super::tally::Transport;
    use super::super::zone::answer;
    use super::*;

    #[test]
    fn same_seed_gives_the_same_queries() {
        let first_hundred = |seed| {
            let mut mix = Mix::new(seed);
            (0..100).map(|_| mix.datagram()).collect::<Vec<_>>()
        };
        assert_eq!(first_hundred(7), first_hundred(7));
        assert_ne!(first_hundred(7), first_hundred(8));
    }

    #[test]
    fn every_query_is_answered_and_nothing_malformed_is() {
        let mut mix = Mix::new(1);
        for _ in 0..20_000 {
            match mix.datagram() {
                Datagram::Query(query) => {
                    assert!(
                        answer(&query.with_id(1), Transport::Udp).is_some(),
                        "{query:?}"
                    );
                }
                Datagram::Malformed { bytes, reason } => {
                    assert_eq!(answer(&bytes, Transport::Udp), None, "{reason}");
                }
            }
        }
    }

    #[test]
    fn all_ways_to_be_malformed_occur() {
        let mut mix = Mix::new(1);
        let reasons: BTreeSet<_> = (0..5000)
            .filter_map(|_| match mix.datagram() {
                Datagram::Malformed { reason, .. } => Some(reason),
                Datagram::Query(_) => None,
            })
            .collect();
        let expected = [
            "dns_header",
            "name_label_type",
            "name_pointer",
            "name_truncated",
            "question_truncated",
        ];
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn longest_name_has_255_octets_on_the_wire() {
        let name = Name::from_ascii(Mix::new(1).longest_name()).expect("a name");
        assert_eq!(name.to_bytes().expect("its encoding").len(), 255);
    }

    #[test]
    fn id_is_the_first_two_octets() {
        let query = Mix::new(1).query();
        assert_eq!(query.with_id(0xabcd)[..2], [0xab, 0xcd]);
        assert_eq!(query.with_id(0xabcd)[2..], query.with_id(0)[2..]);
    }
}
