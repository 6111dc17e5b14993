//! Indexers, filters and the cells that they lead to, on arbitrary messages.
//!
//! The expected values are told by naive code of this file, from the plain
//! fields that a message is made of.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an arm names the indexers that it is about, among more than sixty"
)]

use std::{collections::BTreeMap, sync::Arc};

use dns_wire::{
    counters::{Hook, Role},
    locate::{Family, Flow, Transport},
    message::{EdnsState, Header, Message, Opt, Question},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use xdsc::stats::{
    dataset::{Dataset, Dimension, Filter, Indexer, Layer, Measure, Predicate},
    engine::Engine,
    label::Style,
    observed::Observed,
    plan::{Compat, Plan, Rules},
    table::Table,
};

/// A message in plain fields.
#[derive(Clone, Debug)]
struct Plain {
    /// Labels of the question's name; none without a question.
    name: Option<Vec<Vec<u8>>>,
    qtype: u16,
    qclass: u16,
    flags: u16,
    opt: Option<PlainOpt>,
    v6: bool,
    /// Source and destination.
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    tcp: bool,
    len: u16,
    hop_limit: u8,
    is_ingress: bool,
    is_server: bool,
    weight: u64,
}

#[derive(Clone, Debug)]
struct PlainOpt {
    size: u16,
    extended_rcode: u8,
    version: u8,
    flags: u16,
    /// Code and octets.
    options: Vec<(u16, Vec<u8>)>,
    /// Behind them.
    garbage: Vec<u8>,
}

/// Labels that something hangs on.
const KNOWN_LABELS: &[&str] = &[
    "com",
    "NET",
    "arpa",
    "in-addr",
    "10",
    "168",
    "192",
    "localhost",
    "Root-Servers",
    "a",
    "xn--p1ai",
    "XN--x",
    "xn-",
    "3w.w",
    "\\",
    ".",
    "a\0b",
    "line\n",
    "0x7f",
    "example",
];

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => select(KNOWN_LABELS).prop_map(|known| known.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..64),
    ]
}

/// Names of at most 255 octets on the wire.
fn name() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let few_or_many = prop_oneof![9 => vec(label(), 0..5), 1 => vec(label(), 5..128)];
    few_or_many.prop_map(|mut labels| {
        while labels.iter().map(|label| label.len() + 1).sum::<usize>() > 254 {
            labels.pop();
        }
        labels
    })
}

fn number(likely: &'static [u16]) -> impl Strategy<Value = u16> {
    prop_oneof![2 => select(likely), 1 => any::<u16>()]
}

fn opt() -> impl Strategy<Value = PlainOpt> {
    let code = number(&[3, 8, 10, 15]);
    let option = (code, vec(select(&[0, 1, 2, 8, 24, 255][..]), 0..42));
    let garbage = prop_oneof![4 => Just(Vec::new()), 1 => vec(any::<u8>(), 1..4)];
    (
        number(&[0, 511, 512, 1232, 4096, 65535]),
        select(&[0, 0, 1, 255][..]),
        select(&[0, 0, 0, 1, 255][..]),
        any::<u16>(),
        vec(option, 0..4),
        garbage,
    )
        .prop_map(
            |(size, extended_rcode, version, flags, options, garbage)| PlainOpt {
                size,
                extended_rcode,
                version,
                flags,
                options,
                garbage,
            },
        )
}

fn plain() -> impl Strategy<Value = Plain> {
    let question = (
        option::weighted(0.9, name()),
        number(&[1, 2, 12, 28, 38, 41, 65]),
        number(&[1, 3, 255]),
    );
    let address = prop_oneof![
        vec(select(&[0, 10, 192, 255][..]), 16),
        vec(any::<u8>(), 16)
    ];
    let address = address.prop_map(|octets| <[u8; 16]>::try_from(octets).expect("sixteen"));
    let port = || number(&[0, 53, 1023, 1024, 65535]);
    let packet = (
        any::<bool>(),
        [address.clone(), address],
        [port(), port()],
        any::<bool>(),
        12..65535_u16,
        any::<u8>(),
        any::<bool>(),
        any::<bool>(),
    );
    let weight = (0..8_u32).prop_map(|level| 1 << level);
    (question, any::<u16>(), option::of(opt()), packet, weight).prop_map(
        |((name, qtype, qclass), flags, opt, packet, weight)| {
            let (v6, addresses, ports, tcp, len, hop_limit, is_ingress, is_server) = packet;
            let asked = name.is_some();
            Plain {
                name,
                qtype: if asked { qtype } else { 0 },
                qclass: if asked { qclass } else { 0 },
                flags,
                opt,
                v6,
                addresses,
                ports,
                tcp,
                len,
                hop_limit,
                is_ingress,
                is_server,
                weight,
            }
        },
    )
}

impl Plain {
    fn wire(&self) -> Vec<u8> {
        let Some(labels) = &self.name else {
            return Vec::new();
        };
        let mut wire = Vec::new();
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend(label);
        }
        wire.push(0);
        wire
    }

    fn options(&self) -> Vec<u8> {
        let Some(opt) = &self.opt else {
            return Vec::new();
        };
        let mut octets = Vec::new();
        for (code, option) in &opt.options {
            octets.extend(code.to_be_bytes());
            octets.extend((option.len() as u16).to_be_bytes());
            octets.extend(option);
        }
        octets.extend(&opt.garbage);
        octets
    }

    fn observed<'a>(&self, wire: &'a [u8], options: &'a [u8]) -> Observed<'a> {
        let mut header = [0; 12];
        header[2..4].copy_from_slice(&self.flags.to_be_bytes());
        header[5] = u8::from(self.name.is_some());
        let words = |octets: [u8; 16]| {
            let word = |at: usize| octets[at..].first_chunk().copied().map(u64::from_ne_bytes);
            let second = if self.v6 { word(8) } else { None };
            let [a, b, c, d, rest @ ..] = word(0).expect("eight").to_ne_bytes();
            let rest = if self.v6 { rest } else { [0; 4] };
            let [e, f, g, h] = rest;
            let first = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
            [first, second.unwrap_or(0)]
        };
        let [source, destination] = self.addresses.map(words);
        let opt = self.opt.as_ref().map(|opt| {
            let len = options.len() as u16;
            Opt::new(opt.size, opt.extended_rcode, opt.version, opt.flags, len)
        });
        Observed {
            time_ns: 1_700_000_000_000_000_000,
            hook: if self.is_ingress {
                Hook::Ingress
            } else {
                Hook::Egress
            },
            role: if self.is_server {
                Role::Server
            } else {
                Role::Client
            },
            flow: Flow {
                family: if self.v6 { Family::Ipv6 } else { Family::Ipv4 },
                transport: if self.tcp {
                    Transport::Tcp
                } else {
                    Transport::Udp
                },
                hop_limit: self.hop_limit,
                source,
                destination,
                source_port: self.ports[0],
                destination_port: self.ports[1],
            },
            message: Message {
                header: Header::new(header),
                question: Question::new(12, wire.len(), self.qtype, self.qclass),
                edns: if opt.is_some() {
                    EdnsState::Present
                } else {
                    EdnsState::Absent
                },
                opt: opt.unwrap_or_default(),
                len: usize::from(self.len),
            },
            name: wire,
            options,
            weight: self.weight,
        }
    }

    fn is_response(&self) -> bool {
        self.flags >> 15 == 1
    }

    /// Labels in lower case, each as RFC 4343, section 2.1, writes it.
    fn printed_labels(&self) -> Option<Vec<String>> {
        let print = |label: &Vec<u8>| {
            let octets = label.iter().map(|octet| match octet {
                b'.' | b'\\' => format!("\\{}", char::from(*octet)),
                b'!'..=b'~' => char::from(*octet).to_ascii_lowercase().to_string(),
                _ => format!("\\{octet:03}"),
            });
            octets.collect()
        };
        Some(self.name.as_ref()?.iter().map(print).collect())
    }

    /// The name as DSC has it, in which any dot parts two labels.
    fn dsc_name(&self) -> Vec<u8> {
        let Some(labels) = &self.name else {
            return Vec::new();
        };
        let joined = labels.join(&b'.');
        let text = joined.split(|octet| *octet == 0).next().unwrap_or(&[]);
        let text: Vec<u8> = text
            .iter()
            .map(|octet| match octet {
                b'\n' | b'\r' => b' ',
                other => other.to_ascii_lowercase(),
            })
            .collect();
        if text.is_empty() { b".".to_vec() } else { text }
    }

    /// The last labels of the name.
    fn last(&self, count: usize, compat: Compat) -> Vec<u8> {
        match compat {
            Compat::None => match self.printed_labels().as_deref() {
                None => Vec::new(),
                Some([]) => b".".to_vec(),
                Some(labels) => {
                    let kept = &labels[labels.len().saturating_sub(count)..];
                    kept.join(".").into_bytes()
                }
            },
            Compat::Dsc => {
                let name = self.dsc_name();
                if name == b"." {
                    return name;
                }
                let labels: Vec<_> = name.split(|octet| *octet == b'.').collect();
                labels[labels.len().saturating_sub(count)..].join(&b'.')
            }
        }
    }

    fn label_count(&self, compat: Compat) -> usize {
        match compat {
            Compat::None => self.name.as_ref().map_or(0, Vec::len),
            Compat::Dsc => match &*self.dsc_name() {
                b"" | b"." => 0,
                name => (name.iter().filter(|octet| **octet == b'.').count() + 1).min(63),
            },
        }
    }

    fn qnamelen(&self, compat: Compat) -> usize {
        match (compat, &self.name) {
            (Compat::Dsc, _) => self.dsc_name().len(),
            (Compat::None, None) => 0,
            (Compat::None, Some(labels)) => labels.join(&b'.').len().max(1),
        }
    }

    /// The network of the client: 24 or 48 bits.
    fn client_subnet(&self) -> String {
        let address = self.addresses[usize::from(self.is_response())];
        if self.v6 {
            let mut network = [0; 16];
            network[..6].copy_from_slice(&address[..6]);
            std::net::Ipv6Addr::from(network).to_string()
        } else {
            let [a, b, c, ..] = address;
            format!("{a}.{b}.{c}.0")
        }
    }

    fn rcode(&self) -> u16 {
        let more = self.opt.as_ref().map_or(0, |opt| opt.extended_rcode);
        u16::from(more) * 16 + self.flags % 16
    }

    /// The first option of this code that is long enough.
    fn option(&self, code: u16, fits: fn(usize) -> bool) -> Option<&[u8]> {
        let mut options = self.opt.iter().flat_map(|opt| &opt.options);
        let found = options.find(|(is, octets)| *is == code && fits(octets.len()));
        found.map(|(_, octets)| &**octets)
    }

    /// What the naive oracle says of an indexer; none of those that it knows not.
    fn expected(&self, indexer: Indexer, compat: Compat) -> Option<Vec<u8>> {
        let set = |is_set: bool| if is_set { "set" } else { "clr" }.to_owned();
        let text = match indexer {
            Indexer::Qname => return Some(self.last(usize::MAX, compat)),
            Indexer::ThirdLd => return Some(self.last(3, compat)),
            Indexer::SecondLd => return Some(self.last(2, compat)),
            Indexer::Tld => return Some(self.last(1, compat)),
            Indexer::LabelCount => self.label_count(compat).to_string(),
            Indexer::Qnamelen => self.qnamelen(compat).to_string(),
            Indexer::Qtype => self.qtype.to_string(),
            Indexer::Qclass => self.qclass.to_string(),
            Indexer::ClientSubnet => self.client_subnet(),
            Indexer::Msglen => self.len.to_string(),
            Indexer::Opcode => (self.flags >> 11 & 15).to_string(),
            Indexer::Rcode => self.rcode().to_string(),
            Indexer::RdBit => set(self.flags & 0x0100 != 0),
            Indexer::TcBit => set(self.flags & 0x0200 != 0),
            Indexer::DoBit => set(self.opt.as_ref().is_some_and(|opt| opt.flags >= 0x8000)),
            Indexer::QrAaBits => {
                let aa = self.flags >> 10 & 1;
                format!("qr={},aa={aa}", u8::from(self.is_response()))
            }
            Indexer::EdnsVersion => match &self.opt {
                Some(opt) => opt.version.to_string(),
                None => "none".to_owned(),
            },
            Indexer::EdnsBufsiz => match &self.opt {
                Some(opt) => {
                    let low = u32::from(opt.size) - u32::from(opt.size) % 512;
                    format!("{low}-{}", low + 511)
                }
                None => "None".to_owned(),
            },
            Indexer::Transport => if self.tcp { "tcp" } else { "udp" }.to_owned(),
            Indexer::DnsIpVersion => if self.v6 { "IPv6" } else { "IPv4" }.to_owned(),
            Indexer::HopLimit => self.hop_limit.to_string(),
            Indexer::DnsSportRange if compat == Compat::None => {
                let low = u32::from(self.ports[0]) / 1024 * 1024;
                format!("{low}-{}", low + 1023)
            }
            _ => return None,
        };
        Some(text.into_bytes())
    }

    /// What the naive oracle says of a filter; none of those that it knows not.
    fn passes(&self, predicate: Predicate) -> Option<bool> {
        let labels = self.name.clone().unwrap_or_default();
        let lower: Vec<_> = labels
            .iter()
            .map(|label| label.to_ascii_lowercase())
            .collect();
        Some(match predicate {
            Predicate::Any => true,
            Predicate::Queries => !self.is_response(),
            Predicate::Replies => self.is_response(),
            Predicate::Nxdomains => self.rcode() == 3,
            Predicate::Servfail => self.rcode() == 2,
            Predicate::PopularQtypes => [1, 2, 5, 6, 12, 15, 28, 33, 38, 255].contains(&self.qtype),
            Predicate::Idn => lower.iter().any(|label| label.starts_with(b"xn--")),
            Predicate::AaaaOrA6 => self.qtype == 28 || self.qtype == 38,
            Predicate::RootServersNet => {
                lower.len() == 3
                    && lower[0].len() == 1
                    && lower[1..] == [b"root-servers".to_vec(), b"net".to_vec()]
            }
            Predicate::Chaos => self.qclass == 3,
            Predicate::Priming => self.qtype == 2 && self.name == Some(Vec::new()),
            Predicate::AuthenticData => self.flags & 0x20 != 0,
            Predicate::Edns0 => self.opt.as_ref().is_some_and(|opt| opt.version == 0),
            Predicate::Cookie => self
                .option(10, |len| len == 8 || (16..=40).contains(&len))
                .is_some(),
            Predicate::Nsid => self.option(3, |_| true).is_some(),
            Predicate::Ecs => self.option(8, |len| len >= 4).is_some(),
            Predicate::Ede => self.option(15, |len| len >= 2).is_some(),
            Predicate::Server => self.is_server,
            Predicate::Client => !self.is_server,
            Predicate::Served | Predicate::UnknownTld => return None,
        })
    }
}

/// A dataset named after what it is made of.
fn dataset(first: Indexer, second: Indexer, filters: &[Predicate]) -> Dataset {
    let dimension = |indexer: Indexer| Dimension {
        label: indexer.label().to_owned(),
        indexer,
    };
    Dataset {
        name: format!("{}_vs_{}", first.label(), second.label()),
        layer: Layer::Dns,
        dimensions: [dimension(first), dimension(second)],
        filters: filters.iter().copied().map(Filter::Is).collect(),
        measure: Measure::Messages,
        min_count: None,
        max_cells: None,
    }
}

const PLENTY: usize = 1 << 16;

fn count(
    messages: &[Plain],
    datasets: Vec<Dataset>,
    compat: Compat,
    cells: usize,
    style: Style,
) -> Vec<Table> {
    let rules = Rules {
        compat,
        ..Rules::default()
    };
    let mut engine = Engine::in_order(Arc::new(Plan::new(datasets, rules)), cells, 7);
    for message in messages {
        let (wire, options) = (message.wire(), message.options());
        engine.message(&message.observed(&wire, &options));
    }
    engine.end_interval(1_800_000_000_000_000_000);
    engine.tables(style)
}

type Cells = BTreeMap<(Vec<u8>, Vec<u8>), u64>;

fn cells(table: &Table) -> Cells {
    let mut cells = Cells::new();
    for row in &table.rows {
        for cell in &row.cells {
            let key = (row.value.clone(), cell.value.clone());
            assert!(cell.count > 0 && cells.insert(key, cell.count).is_none());
        }
    }
    cells
}

fn sum(table: &Table) -> u64 {
    cells(table).values().sum()
}

/// DSC never prints the lowest range of ports.
fn is_lossy(table: &Table, compat: Compat) -> bool {
    let mut dimensions = table.dataset.dimensions.iter();
    compat == Compat::Dsc && dimensions.any(|one| one.indexer == Indexer::DnsSportRange)
}

const COMPATS: [Compat; 2] = [Compat::None, Compat::Dsc];

fn of_compat() -> impl Strategy<Value = Compat> {
    select(&COMPATS[..])
}

fn any_dataset() -> impl Strategy<Value = Dataset> {
    let filters = vec(select(Predicate::ALL), 0..3);
    (select(Indexer::ALL), select(Indexer::ALL), filters)
        .prop_map(|(first, second, filters)| dataset(first, second, &filters))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn values_are_what_a_naive_look_says(messages in vec(plain(), 1..8), compat in of_compat()) {
        let datasets = Indexer::ALL.iter().map(|one| dataset(Indexer::Null, *one, &[])).collect();
        for table in count(&messages, datasets, compat, PLENTY, Style::Dsc) {
            let indexer = table.dataset.dimensions[1].indexer;
            let mut expected = Some(Cells::new());
            for message in &messages {
                expected = expected.zip(message.expected(indexer, compat)).map(|(mut all, value)| {
                    *all.entry((b"ALL".to_vec(), value)).or_default() += message.weight;
                    all
                });
            }
            if let Some(expected) = expected {
                prop_assert_eq!(cells(&table), expected, "{:?}", indexer);
            }
        }
    }

    #[test]
    fn filters_let_pass_what_a_naive_look_does(messages in vec(plain(), 1..8)) {
        let datasets = Predicate::ALL.iter();
        let datasets = datasets.map(|one| dataset(Indexer::Null, Indexer::Null, &[*one])).collect();
        let tables = count(&messages, datasets, Compat::None, PLENTY, Style::Dsc);
        for (predicate, table) in Predicate::ALL.iter().zip(tables) {
            let passing = messages.iter().map(|message| {
                message.passes(*predicate).map(|passes| u64::from(passes) * message.weight)
            });
            if let Some(expected) = passing.sum::<Option<u64>>() {
                prop_assert_eq!(table.total, expected, "{:?}", predicate);
                prop_assert_eq!(sum(&table), expected, "{:?}", predicate);
            }
        }
    }

    #[test]
    fn no_message_is_lost_however_little_room_there_is(
        messages in vec(plain(), 0..40),
        datasets in vec(any_dataset(), 1..12),
        compat in of_compat(),
        room in select(&[0, 1, 3, PLENTY][..]),
    ) {
        let weight: u64 = messages.iter().map(|message| message.weight).sum();
        for table in count(&messages, datasets, compat, room, Style::Dsc) {
            let counted = sum(&table) + table.uncounted;
            prop_assert!(counted == table.total || is_lossy(&table, compat) && counted <= table.total);
            let is_timed = table.dataset.dimensions[1].indexer == Indexer::ResponseTime;
            prop_assert!(is_timed || table.total <= weight);
            prop_assert!(is_timed || cells(&table).len() <= room);
            prop_assert!(room < PLENTY || table.uncounted == 0);
        }
    }

    #[test]
    fn every_value_has_a_name(messages in vec(plain(), 1..20)) {
        let datasets = Indexer::ALL.iter().map(|one| dataset(*one, Indexer::Null, &[])).collect();
        for table in count(&messages, datasets, Compat::None, PLENTY, Style::Named) {
            for row in &table.rows {
                prop_assert!(!row.value.is_empty(), "{}", table.dataset.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// All pairs at once, far more than are under way at a time.
    #[test]
    fn a_pair_of_indexers_counts_alike_either_way_round(
        messages in vec(plain(), 1..12),
        compat in of_compat(),
    ) {
        // The second one of response times would be timed.
        let indexers = Indexer::ALL.iter().copied().filter(|one| *one != Indexer::ResponseTime);
        let pairs: Vec<_> = indexers
            .clone()
            .flat_map(|first| indexers.clone().map(move |second| dataset(first, second, &[])))
            .collect();
        let tables = count(&messages, pairs, compat, PLENTY, Style::Dsc);
        let by_name: BTreeMap<_, _> = tables.iter().map(|one| (&*one.dataset.name, one)).collect();
        for table in &tables {
            prop_assert!(sum(table) == table.total || is_lossy(table, compat));
            let [first, second] = &table.dataset.dimensions;
            let turned = by_name[&*format!("{}_vs_{}", second.label, first.label)];
            let turned_cells = cells(turned).into_iter().map(|((one, other), count)| ((other, one), count));
            prop_assert_eq!(cells(table), turned_cells.collect::<Cells>(), "{}", table.dataset.name);
        }
    }

    /// Names that are none, and options that are none.
    #[test]
    fn any_octets_are_survived(
        messages in vec((plain(), vec(any::<u8>(), 0..600), vec(any::<u8>(), 0..80)), 1..12),
        compat in of_compat(),
    ) {
        let rules = Rules { compat, ..Rules::default() };
        let datasets = Indexer::ALL.iter().flat_map(|one| {
            let filters = Predicate::ALL.iter();
            filters.map(|filter| dataset(*one, Indexer::Qname, &[*filter]))
        });
        let mut engine = Engine::in_order(Arc::new(Plan::new(datasets.collect(), rules)), PLENTY, 7);
        for (message, name, options) in &messages {
            engine.message(&message.observed(name, options));
        }
        for style in [Style::Dsc, Style::Named] {
            for table in engine.tables(style) {
                prop_assert!(sum(&table) == table.total || is_lossy(&table, compat));
            }
        }
    }
}
