//! Made-up traffic of an authoritative server, the same for the same seed, and
//! what is true of it.
//!
//! An [`Exchange`] says what a client asks and what the server answers, in plain
//! fields. From these come both the frames, octet by octet, and the [`Truth`]: a
//! count per dataset and cell. Neither uses the parser or the engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Resolvers that ask for popular names, and for some that do not exist.
    Everyday,
    /// The same with some thousand clients and names only: so many different
    /// values as a small server sees in a minute.
    Few,
    /// The names of few, asked for by some thousand clients equally often.
    Even,
    /// Each query from another address for another name of one zone.
    Flood,
}

/// A query and, mostly, its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When the query arrives, in ns since the Unix epoch.
    pub time_ns: u64,
    /// After so long the response leaves; none if there is none.
    pub response_after_ns: Option<u64>,
    /// Who asks.
    pub client: IpAddr,
    /// From which port.
    pub port: u16,
    /// Over TCP, in one segment.
    pub tcp: bool,
    /// ID.
    pub id: u16,
    /// RD.
    pub recursion_desired: bool,
    /// QNAME, as labels; none is the root.
    pub labels: Vec<String>,
    /// QTYPE.
    pub qtype: u16,
    /// UDP payload size and DO, where there is an OPT record.
    pub edns: Option<(u16, bool)>,
    /// RCODE of the response.
    pub rcode: u8,
    /// A records in the answer.
    pub answers: u8,
}

/// The server's IPv4 address.
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The server's IPv6 address.
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53);
/// Names that something is the matter with.
const SPECIAL_NAMES: [&[&str]; 14] = [
    &["localhost"],
    &["host", "LocalHost"],
    &["notlocalhost"],
    &["a", "Root-Servers", "net"],
    &["ab", "root-servers", "net"],
    &["x", "a", "root-servers", "net"],
    &["www", "XN--P1AI"],
    &["www", "xn--bcher-kva", "XN--P1AI"],
    &["192", "0", "2", "1"],
    &["1", "2", "168", "192", "in-addr", "arpa"],
    &["1", "2", "0", "192", "IN-ADDR", "arpa"],
    &["3w.w", "back\\slash", "com"],
    &["a blank", "b\u{fc}cher", "de"],
    &["\0zero", "\u{7f}", "line\nend", "net"],
];

/// The first query's time.
pub const START_NS: u64 = 1_700_000_040_000_000_000;

/// An endless row of exchanges.
#[derive(Clone, Debug)]
pub struct Traffic {
    profile: Profile,
    random: u64,
    time_ns: u64,
    step_ns: u64,
}

impl Traffic {
    /// `per_second` queries, the same ones for the same seed.
    #[must_use]
    pub const fn new(profile: Profile, seed: u64, per_second: u64) -> Self {
        Self {
            profile,
            random: seed,
            time_ns: START_NS,
            step_ns: 1_000_000_000 / per_second,
        }
    }

    /// SplitMix64.
    const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.random() % bound
    }

    /// Small numbers often, large ones seldom: about as Zipf has it.
    fn popular(&mut self, count: u64) -> u64 {
        let uniform = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (count as f64 + 1.0).powf(uniform) - 1.0;
        (rank as u64).min(count - 1)
    }

    /// One of these, by weights in percent.
    fn one_of<T: Copy>(&mut self, weighted: &[(u64, T)], otherwise: T) -> T {
        let mut drawn = self.below(100);
        for (weight, value) in weighted {
            if drawn < *weight {
                return *value;
            }
            drawn -= weight;
        }
        otherwise
    }

    fn client(&mut self) -> IpAddr {
        let number = match self.profile {
            Profile::Everyday => self.popular(50_000),
            Profile::Few => self.popular(2_000),
            Profile::Even => self.below(8_000),
            Profile::Flood => self.random() >> 8,
        };
        if number % 5 == 4 {
            let words = 0x2a00_0000_0000_0000_u64 | (number & 0xff_ffff) << 24;
            let address = u128::from(words) << 64 | u128::from(number >> 3 & 0xffff | 1);
            IpAddr::V6(address.into())
        } else {
            let spread = (number as u32).wrapping_mul(0x9e37_79b1);
            IpAddr::V4((0x0b00_0000 | spread >> 2 & 0x3fff_ffff).into())
        }
    }

    fn labels(&mut self) -> Vec<String> {
        if self.profile == Profile::Flood {
            return vec![
                format!("{:x}", self.random()),
                "victim".to_owned(),
                "example".to_owned(),
            ];
        }
        let domains = match self.profile {
            Profile::Few | Profile::Even => 2_000,
            Profile::Everyday | Profile::Flood => 100_000,
        };
        let tlds = [
            "com",
            "net",
            "org",
            "de",
            "se",
            "nl",
            "info",
            "arpa",
            "nosuchtld",
            "local",
        ];
        let tld = tlds[self.popular(10) as usize].to_owned();
        match self.below(100) {
            0 => Vec::new(),
            1..3 => {
                let name = SPECIAL_NAMES[self.below(SPECIAL_NAMES.len() as u64) as usize];
                name.iter().map(ToString::to_string).collect()
            }
            3..10 => vec![tld],
            10..60 => vec![format!("domain-{}", self.popular(domains)), tld],
            _ => {
                let host = ["www", "mail", "ns1", "_dmarc", "XN--Bcher-KVA", "cdn"];
                let host = host[self.popular(6) as usize].to_owned();
                vec![host, format!("Domain-{}", self.popular(domains)), tld]
            }
        }
    }
}

impl Iterator for Traffic {
    type Item = Exchange;

    fn next(&mut self) -> Option<Exchange> {
        let time_ns = self.time_ns;
        self.time_ns += self.step_ns;
        let tcp = self.below(100) < 3;
        let qtypes = [
            (40, 1),
            (20, 28),
            (10, 2),
            (8, 15),
            (6, 65),
            (5, 16),
            (4, 43),
            (3, 6),
            (2, 12),
        ];
        let rcode = self.one_of(&[(62, 0), (30, 3), (4, 5), (2, 2)], 1);
        Some(Exchange {
            time_ns,
            response_after_ns: (self.below(100) < 97).then(|| 1 + self.popular(1_000_000)),
            client: self.client(),
            port: 1024 + self.below(64_512) as u16,
            tcp,
            id: self.random() as u16,
            recursion_desired: self.below(100) < 15,
            labels: self.labels(),
            qtype: self.one_of(&qtypes, 48),
            edns: (self.below(100) < 85).then(|| {
                let size = self.one_of(&[(55, 1232), (30, 4096), (10, 512)], 1400);
                (size, self.below(100) < 70)
            }),
            rcode,
            answers: if rcode == 0 { self.below(3) as u8 } else { 0 },
        })
    }
}

impl Exchange {
    /// The query's message.
    #[must_use]
    pub fn query(&self) -> Vec<u8> {
        self.message(u16::from(self.recursion_desired) << 8, 0)
    }

    /// The response's message.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let flags = 0x8400 | u16::from(self.recursion_desired) << 8 | u16::from(self.rcode);
        self.message(flags, self.answers)
    }

    fn message(&self, flags: u16, answers: u8) -> Vec<u8> {
        let mut message = Vec::with_capacity(64);
        let opts = u16::from(self.edns.is_some());
        for word in [self.id, flags, 1, u16::from(answers), 0, opts] {
            message.extend(word.to_be_bytes());
        }
        for label in &self.labels {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(self.qtype.to_be_bytes());
        message.extend([0, 1]);
        for answer in 0..answers {
            // The name by a pointer, A, IN, TTL of an hour, four octets.
            message.extend([
                0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 198, 51, 100, answer,
            ]);
        }
        if let Some((size, dnssec_ok)) = self.edns {
            message.extend([0, 0, 41]);
            message.extend(size.to_be_bytes());
            message.extend([0, 0, u8::from(dnssec_ok) << 7, 0, 0, 0]);
        }
        message
    }

    /// The frame of the query.
    #[must_use]
    pub fn query_frame(&self) -> Vec<u8> {
        self.frame(&self.query(), (self.client, self.port), (self.server(), 53))
    }

    /// The frame of the response.
    #[must_use]
    pub fn response_frame(&self) -> Vec<u8> {
        self.frame(
            &self.response(),
            (self.server(), 53),
            (self.client, self.port),
        )
    }

    const fn server(&self) -> IpAddr {
        match self.client {
            IpAddr::V4(_) => IpAddr::V4(SERVER_V4),
            IpAddr::V6(_) => IpAddr::V6(SERVER_V6),
        }
    }

    fn frame(&self, message: &[u8], from: (IpAddr, u16), to: (IpAddr, u16)) -> Vec<u8> {
        let mut segment = Vec::with_capacity(message.len() + 22);
        segment.extend(from.1.to_be_bytes());
        segment.extend(to.1.to_be_bytes());
        if self.tcp {
            // The sequence number tells connections apart; PSH and ACK.
            segment.extend(u32::from(self.id).to_be_bytes());
            segment.extend([0, 0, 0, 1, 5 << 4, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
            segment.extend((message.len() as u16).to_be_bytes());
        } else {
            segment.extend((message.len() as u16 + 8).to_be_bytes());
            segment.extend([0, 0]);
        }
        segment.extend(message);
        let protocol = if self.tcp { 6 } else { 17 };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let len = segment.len() as u16;
        match (from.0, to.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend([8, 0, 0x45, 0]);
                frame.extend((len + 20).to_be_bytes());
                frame.extend([0, 0, 0x40, 0, 57, protocol, 0, 0]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(len.to_be_bytes());
                frame.extend([protocol, 57]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
        frame.extend(segment);
        frame
    }
}

/// Writes the capture of so many exchanges, in the order of time, as pcap with
/// nanoseconds; the number of messages in it.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_pcap(
    traffic: impl Iterator<Item = Exchange>,
    out: &mut impl Write,
    truth: &mut Truth,
) -> io::Result<u64> {
    for word in [0xa1b2_3c4d_u32, 4 << 16 | 2, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut messages = 0;
    let mut waiting: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    for exchange in traffic {
        while let Some(entry) = waiting.first_entry() {
            if entry.key().0 > exchange.time_ns {
                break;
            }
            let ((time_ns, _), frame) = entry.remove_entry();
            write_frame(out, time_ns, &frame)?;
        }
        truth.count(&exchange);
        write_frame(out, exchange.time_ns, &exchange.query_frame())?;
        messages += 1;
        if let Some(after_ns) = exchange.response_after_ns {
            let at = (exchange.time_ns + after_ns, messages);
            waiting.insert(at, exchange.response_frame());
            messages += 1;
        }
    }
    for ((time_ns, _), frame) in waiting {
        write_frame(out, time_ns, &frame)?;
    }
    Ok(messages)
}

fn write_frame(out: &mut impl Write, time_ns: u64, frame: &[u8]) -> io::Result<()> {
    let (seconds, nanoseconds) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    for word in [
        seconds as u32,
        nanoseconds as u32,
        frame.len() as u32,
        frame.len() as u32,
    ] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)
}

/// Counts by dataset and by the texts of its cells, as DSC prints them.
pub type Cells = BTreeMap<(String, String), u64>;

/// What is true of exchanges.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// By the names that [`DATASETS`] defines.
    pub datasets: BTreeMap<&'static str, Cells>,
    /// The clients.
    pub clients: BTreeSet<IpAddr>,
    /// Queries, responses.
    pub messages: [u64; 2],
    /// Whether only messages are counted: for benchmarks.
    pub numbers_only: bool,
}

/// The server and the datasets that the truth tells of it, as dsc.conf(5) would
/// define them.
pub const DATASETS: &str = "\
local_address 192.0.2.53;
local_address 2001:db8:53::53;
client_v6_mask ffff:ffff:ffff::;
dataset qtype dns All:null Qtype:qtype queries-only;
dataset rcode dns All:null Rcode:rcode replies-only;
dataset opcode dns All:null Opcode:opcode queries-only;
dataset rd_bit dns All:null RD:rd_bit queries-only;
dataset do_bit dns All:null DO:do_bit queries-only;
dataset edns_version dns All:null V:edns_version queries-only;
dataset edns_bufsiz dns All:null V:edns_bufsiz queries-only;
dataset qname dns All:null Q:qname queries-only;
dataset second_ld_vs_rcode dns Rcode:rcode SecondLD:second_ld replies-only;
dataset qtype_vs_tld dns Qtype:qtype TLD:tld queries-only;
dataset client dns All:null C:client any;
dataset client_subnet dns All:null C:client_subnet queries-only;
dataset transport_vs_qtype dns Transport:transport Qtype:qtype queries-only;
dataset dns_ip_version dns All:null V:dns_ip_version any;
dataset rcode_vs_replylen dns Rcode:rcode Len:msglen replies-only;
dataset qtype_vs_qnamelen dns Qtype:qtype Len:qnamelen queries-only;
dataset label_count dns All:null N:label_count any;
dataset idn dns All:null I:idn_qname queries-only;
dataset client_port_range dns All:null P:dns_sport_range queries-only;
dataset certain_qnames_vs_qtype dns CertainQnames:certain_qnames Qtype:qtype queries-only;
dataset classification dns All:null Class:query_classification queries-only;
dataset direction dns Direction:ip_direction V:qr_aa_bits any;
";

impl Truth {
    fn add(&mut self, dataset: &'static str, row: impl ToString, value: impl ToString) {
        let cells = self.datasets.entry(dataset).or_default();
        *cells
            .entry((row.to_string(), value.to_string()))
            .or_default() += 1;
    }

    /// Counts an exchange.
    pub fn count(&mut self, exchange: &Exchange) {
        self.messages[0] += 1;
        self.messages[1] += u64::from(exchange.response_after_ns.is_some());
        if self.numbers_only {
            return;
        }
        self.clients.insert(exchange.client);
        self.count_query(exchange);
        self.count_both(exchange, "recv", "qr=0,aa=0");
        if exchange.response_after_ns.is_some() {
            self.count_both(exchange, "sent", "qr=1,aa=1");
            let rcode = exchange.rcode;
            self.add("rcode", "ALL", rcode);
            self.add("rcode_vs_replylen", rcode, exchange.response().len());
            self.add("second_ld_vs_rcode", rcode, last(exchange, 2));
        }
    }

    fn count_both(&mut self, exchange: &Exchange, direction: &str, bits: &str) {
        let version = if exchange.client.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        };
        self.add("dns_ip_version", "ALL", version);
        self.add("client", "ALL", exchange.client);
        self.add("label_count", "ALL", exchange.labels.len());
        self.add("direction", direction, bits);
    }

    fn count_query(&mut self, exchange: &Exchange) {
        let qtype = exchange.qtype;
        self.add("qtype", "ALL", qtype);
        self.add("opcode", "ALL", 0);
        let set = |on| if on { "set" } else { "clr" };
        self.add("rd_bit", "ALL", set(exchange.recursion_desired));
        self.add(
            "do_bit",
            "ALL",
            set(exchange.edns.is_some_and(|(_, on)| on)),
        );
        self.add("edns_version", "ALL", exchange.edns.map_or("none", |_| "0"));
        let size = exchange.edns.map_or("None".to_owned(), |(size, _)| {
            let bin = size / 512 * 512;
            format!("{bin}-{}", bin + 511)
        });
        self.add("edns_bufsiz", "ALL", size);
        self.add("qtype_vs_qnamelen", qtype, name_len(exchange));
        self.add("qname", "ALL", last(exchange, usize::MAX));
        self.add("certain_qnames_vs_qtype", certain_name(exchange), qtype);
        self.add("classification", "ALL", class(exchange));
        self.add("qtype_vs_tld", qtype, last(exchange, 1));
        self.add("client_subnet", "ALL", subnet(exchange.client));
        self.add(
            "transport_vs_qtype",
            if exchange.tcp { "tcp" } else { "udp" },
            qtype,
        );
        let is_idn = exchange
            .labels
            .iter()
            .any(|label| label.to_lowercase().starts_with("xn--"));
        self.add("idn", "ALL", if is_idn { "idn" } else { "normal" });
        let bin = exchange.port / 1024 * 1024;
        self.add(
            "client_port_range",
            "ALL",
            format!("{bin}-{}", u32::from(bin) + 1023),
        );
    }
}

/// The last labels of the name, as RFC 4343, section 2.1, writes them.
fn last(exchange: &Exchange, labels: usize) -> String {
    let skipped = exchange.labels.len().saturating_sub(labels);
    if exchange.labels.is_empty() {
        return ".".to_owned();
    }
    let printed = exchange.labels[skipped..].iter().map(|label| {
        let octets = label.bytes().map(|octet| match octet {
            b'.' | b'\\' => format!("\\{}", char::from(octet)),
            b'A'..=b'Z' => char::from(octet + 32).to_string(),
            0x21..0x7f => char::from(octet).to_string(),
            _ => format!("\\{octet:03}"),
        });
        octets.collect()
    });
    printed.collect::<Vec<String>>().join(".")
}

/// Octets of the labels and of the dots between them; 1 for the root's dot.
fn name_len(exchange: &Exchange) -> usize {
    let octets: usize = exchange.labels.iter().map(String::len).sum();
    match exchange.labels.len() {
        0 => 1,
        labels => octets + labels - 1,
    }
}

fn certain_name(exchange: &Exchange) -> &'static str {
    match &*lower_case(exchange) {
        [name] if name == "localhost" => "localhost",
        [one, root_servers, net]
            if one.len() == 1 && root_servers == "root-servers" && net == "net" =>
        {
            "X.root-servers.net"
        }
        _ => "else",
    }
}

/// Of the names that are made here, by looking at them.
fn class(exchange: &Exchange) -> &'static str {
    let labels = lower_case(exchange);
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    match (exchange.qtype, &*labels) {
        (1, ["192", "0", "2", "1"]) => "a-for-a",
        (1, []) => "a-for-root",
        (_, [.., "localhost"]) => "localhost",
        (_, [.., "root-servers", "net"]) => "root-servers.net",
        (_, [.., "nosuchtld" | "local" | "notlocalhost" | "example" | "1"]) => "non-auth-tld",
        (12, ["1", "2", "168", "192", "in-addr", "arpa"]) => "rfc1918-ptr",
        _ => "ok",
    }
}

fn lower_case(exchange: &Exchange) -> Vec<String> {
    let labels = exchange.labels.iter();
    labels.map(|label| label.to_ascii_lowercase()).collect()
}

/// /24 and /48.
fn subnet(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) & 0xffff_ff00).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 80 << 80).into()),
    }
}
