//! Writes MMDB files, as the specification of the format (version 2.0) has them,
//! for tests that need databases of a certain size, layout or damage.
//!
//! The writer shares nothing with the reader under test. Records are JSON values:
//! an integer becomes the smallest unsigned type of the format from 32 bits on,
//! or `int32` below zero, and a fraction a `double`.

use std::{collections::HashMap, fs, io, net::IpAddr, path::Path};

use ipnet::IpNet;
use serde_json::{Value, json};

/// What stands before the metadata, which end the file.
pub const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Zeroes between the search tree and the records.
const SEPARATOR: [u8; 16] = [0; 16];

/// Where IPv4 is in a tree of IPv6: below 96 zeroes.
const IPV4_DEPTH: u8 = 96;

/// The IPv6 prefixes that MaxMind's databases lead to IPv4 as well: mapped
/// addresses and 6to4.
const ALIASES: [(u128, u8); 2] = [(0xffff << 32, 96), (0x2002 << 112, 16)];

/// A database to be written.
#[derive(Clone, Debug)]
pub struct Mmdb {
    database_type: String,
    build_epoch: u64,
    record_size: RecordSize,
    family: Family,
    texts: Texts,
    networks: Vec<(IpNet, Value)>,
}

/// Bits of each side of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSize {
    /// Up to 16 million nodes and octets of records.
    Bits24,
    /// Up to 268 million.
    Bits28,
    /// Up to 4 thousand million.
    Bits32,
}

/// Addresses of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    Ipv4,
    /// IPv6, and IPv4 below `::/96`.
    Both,
    /// As before, and IPv4 below the prefixes of mapped addresses and of 6to4 as
    /// well: the same nodes, reached by several ways.
    Aliased,
}

/// How texts that appear again are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// In full each time.
    Repeated,
    /// As a pointer to the first time.
    Shared,
}

impl Mmdb {
    /// An empty database of both families, with 28 bits and shared texts, as
    /// most vendors have it.
    #[must_use]
    pub fn new(database_type: &str) -> Self {
        Self {
            database_type: database_type.to_owned(),
            build_epoch: 1_700_000_000,
            record_size: RecordSize::Bits28,
            family: Family::Both,
            texts: Texts::Shared,
            networks: Vec::new(),
        }
    }

    /// When it says that it was built, in seconds of the Unix epoch.
    #[must_use]
    pub fn built(mut self, epoch: u64) -> Self {
        self.build_epoch = epoch;
        self
    }

    /// With so many bits for each side of a node.
    #[must_use]
    pub fn record_size(mut self, size: RecordSize) -> Self {
        self.record_size = size;
        self
    }

    /// With addresses of these families.
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// With texts written in this way.
    #[must_use]
    pub fn texts(mut self, texts: Texts) -> Self {
        self.texts = texts;
        self
    }

    /// With a network. Of several that an address lies in, the longest prefix
    /// counts.
    ///
    /// # Panics
    /// Where the prefix is none.
    #[must_use]
    pub fn network(mut self, prefix: &str, record: Value) -> Self {
        self.add(prefix.parse().expect("a prefix"), record);
        self
    }

    /// Adds a network.
    pub fn add(&mut self, prefix: IpNet, record: Value) {
        self.networks.push((prefix, record));
    }

    /// The file's content.
    ///
    /// # Panics
    /// Where the tree or the records are larger than the record size allows, and
    /// for an IPv6 network in a database of IPv4.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut data = Data::new(self.texts);
        let tree = self.tree(&mut data);
        let mut file = tree.encode(self.record_size);
        file.extend(SEPARATOR);
        file.extend(&data.octets);
        file.extend(METADATA_MARKER);
        file.extend(self.metadata(tree.nodes.len()));
        file
    }

    /// Writes the file, into its place by a rename, so that no reader meets half
    /// of it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        fs::write(&beside, self.encode())?;
        fs::rename(beside, path)
    }

    fn tree(&self, data: &mut Data) -> Tree {
        let mut networks: Vec<_> = self.networks.iter().collect();
        // Longer prefixes go into what shorter ones have filled.
        networks.sort_by_key(|(prefix, _)| prefix.prefix_len());
        let mut tree = Tree::new();
        for (prefix, record) in networks {
            let (bits, length) = self.place(prefix);
            tree.insert(bits, length, Child::Record(data.record(record)));
        }
        if self.family == Family::Aliased {
            let ipv4 = tree.node_at(0, IPV4_DEPTH);
            for (bits, length) in ALIASES {
                tree.insert(bits, length, ipv4);
            }
        }
        tree
    }

    /// The bits of a prefix from the left, and how many of them count.
    fn place(&self, prefix: &IpNet) -> (u128, u8) {
        let length = prefix.prefix_len();
        match (prefix.network(), self.family) {
            (IpAddr::V4(address), Family::Ipv4) => (u128::from(u32::from(address)) << 96, length),
            (IpAddr::V4(address), Family::Both | Family::Aliased) => {
                (u32::from(address).into(), IPV4_DEPTH + length)
            }
            (IpAddr::V6(address), Family::Both | Family::Aliased) => (address.into(), length),
            (IpAddr::V6(_), Family::Ipv4) => panic!("{prefix} in a database of IPv4"),
        }
    }

    fn metadata(&self, nodes: usize) -> Vec<u8> {
        let ip_version = match self.family {
            Family::Ipv4 => 4,
            Family::Both | Family::Aliased => 6,
        };
        // The types that the specification asks for: numbers are shorter than
        // those of records.
        let fields = [
            ("binary_format_major_version", Field::Short(2)),
            ("binary_format_minor_version", Field::Short(0)),
            ("build_epoch", Field::Long(self.build_epoch)),
            ("database_type", Field::Json(json!(self.database_type))),
            ("description", Field::Json(json!({"en": "A test of xdsc"}))),
            ("ip_version", Field::Short(ip_version)),
            ("languages", Field::Json(json!(["en"]))),
            ("node_count", Field::Json(json!(nodes))),
            ("record_size", Field::Short(self.record_size.bits())),
        ];
        let mut data = Data::new(Texts::Repeated);
        data.header(Type::Map, fields.len());
        for (name, field) in fields {
            data.text(name);
            match field {
                Field::Short(number) => data.unsigned(Type::Uint16, number.into()),
                Field::Long(number) => data.unsigned(Type::Uint64, number),
                Field::Json(value) => data.value(&value),
            }
        }
        data.octets
    }
}

impl RecordSize {
    const fn bits(self) -> u16 {
        match self {
            Self::Bits24 => 24,
            Self::Bits28 => 28,
            Self::Bits32 => 32,
        }
    }

    fn encode(self, left: u32, right: u32, file: &mut Vec<u8>) {
        let [a, b, c, d] = left.to_be_bytes();
        let [w, x, y, z] = right.to_be_bytes();
        match self {
            Self::Bits24 => file.extend([b, c, d, x, y, z]),
            Self::Bits28 => file.extend([b, c, d, a << 4 | w, x, y, z]),
            Self::Bits32 => file.extend([a, b, c, d, w, x, y, z]),
        }
    }
}

enum Field {
    Short(u16),
    Long(u64),
    Json(Value),
}

/// What a side of a node points to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Child {
    Nothing,
    Node(usize),
    /// The offset of a record.
    Record(usize),
}

struct Tree {
    nodes: Vec<[Child; 2]>,
}

impl Tree {
    fn new() -> Self {
        Self {
            nodes: vec![[Child::Nothing; 2]],
        }
    }

    /// Puts something at a prefix. What was there, and below, goes.
    fn insert(&mut self, bits: u128, length: u8, child: Child) {
        if length == 0 {
            self.nodes[0] = [child; 2];
            return;
        }
        let mut node = 0;
        for depth in 0..length - 1 {
            node = self.step(node, bit(bits, depth));
        }
        self.nodes[node][bit(bits, length - 1)] = child;
    }

    /// The node at a prefix, made where there is none.
    fn node_at(&mut self, bits: u128, length: u8) -> Child {
        let node = (0..length).fold(0, |node, depth| self.step(node, bit(bits, depth)));
        Child::Node(node)
    }

    /// The node on a side of a node. What a shorter prefix has put there goes on
    /// both sides of a new one.
    fn step(&mut self, node: usize, side: usize) -> usize {
        let before = self.nodes[node][side];
        if let Child::Node(below) = before {
            return below;
        }
        let below = self.nodes.len();
        self.nodes.push([before; 2]);
        self.nodes[node][side] = Child::Node(below);
        below
    }

    fn encode(&self, size: RecordSize) -> Vec<u8> {
        let count = self.nodes.len();
        let number = |child| {
            let number = match child {
                Child::Nothing => count,
                Child::Node(node) => node,
                Child::Record(offset) => count + SEPARATOR.len() + offset,
            };
            assert!(
                number.checked_shr(size.bits().into()).unwrap_or(0) == 0,
                "{number} is too large for the record size"
            );
            u32::try_from(number).expect("fits the record size")
        };
        let mut file = Vec::new();
        for [left, right] in &self.nodes {
            size.encode(number(*left), number(*right), &mut file);
        }
        file
    }
}

fn bit(bits: u128, depth: u8) -> usize {
    usize::from(bits >> (127 - depth) & 1 == 1)
}

/// The numbers of the format's types.
#[derive(Clone, Copy)]
enum Type {
    Pointer = 1,
    Text = 2,
    Double = 3,
    Uint16 = 5,
    Uint32 = 6,
    Map = 7,
    Int32 = 8,
    Uint64 = 9,
    Array = 11,
    Boolean = 14,
}

/// The records.
struct Data {
    octets: Vec<u8>,
    texts: Texts,
    /// Where texts were written first.
    known_texts: HashMap<String, usize>,
    /// Where records are.
    known_records: HashMap<String, usize>,
}

impl Data {
    fn new(texts: Texts) -> Self {
        Self {
            octets: Vec::new(),
            texts,
            known_texts: HashMap::new(),
            known_records: HashMap::new(),
        }
    }

    /// The offset of a record; equal ones are written once.
    fn record(&mut self, record: &Value) -> usize {
        let key = record.to_string();
        if let Some(offset) = self.known_records.get(&key) {
            return *offset;
        }
        let offset = self.octets.len();
        self.known_records.insert(key, offset);
        self.value(record);
        offset
    }

    fn value(&mut self, value: &Value) {
        match value {
            // The format has no such value: an empty map is what comes closest.
            Value::Null => self.header(Type::Map, 0),
            Value::Bool(flag) => self.header(Type::Boolean, usize::from(*flag)),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(values) => {
                self.header(Type::Array, values.len());
                values.iter().for_each(|value| self.value(value));
            }
            Value::Object(fields) => {
                self.header(Type::Map, fields.len());
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
            }
        }
    }

    fn number(&mut self, number: &serde_json::Number) {
        if let Some(number) = number.as_u64() {
            let kind = if u32::try_from(number).is_ok() {
                Type::Uint32
            } else {
                Type::Uint64
            };
            self.unsigned(kind, number);
        } else if let Some(number) = number.as_i64() {
            let number = i32::try_from(number).expect("the format has no longer integers");
            self.header(Type::Int32, 4);
            self.octets.extend(number.to_be_bytes());
        } else {
            self.header(Type::Double, 8);
            let number = number.as_f64().expect("a number");
            self.octets.extend(number.to_be_bytes());
        }
    }

    /// A number without the zeroes before it.
    fn unsigned(&mut self, kind: Type, number: u64) {
        let zeroes = number.leading_zeros() as usize / 8;
        self.header(kind, 8 - zeroes);
        self.octets.extend(&number.to_be_bytes()[zeroes..]);
    }

    fn text(&mut self, text: &str) {
        if let Some(offset) = self.known_texts.get(text) {
            self.pointer(*offset);
            return;
        }
        // A pointer takes two octets or more, so shorter texts stay.
        if self.texts == Texts::Shared && text.len() > 2 {
            let offset = self.octets.len();
            self.known_texts.insert(text.to_owned(), offset);
        }
        self.header(Type::Text, text.len());
        self.octets.extend(text.as_bytes());
    }

    fn pointer(&mut self, offset: usize) {
        let offset = u32::try_from(offset).expect("records end below 4 GiB");
        // The four sizes of a pointer, each from where the one before ends.
        let control = (Type::Pointer as u8) << 5;
        if offset < 2048 {
            let [_, _, high, low] = offset.to_be_bytes();
            self.octets.extend([control | high, low]);
        } else if offset < 526_336 {
            let [_, a, b, c] = (offset - 2048).to_be_bytes();
            self.octets.extend([control | 1 << 3 | a, b, c]);
        } else if offset < 134_744_064 {
            let [a, b, c, d] = (offset - 526_336).to_be_bytes();
            self.octets.extend([control | 2 << 3 | a, b, c, d]);
        } else {
            self.octets.push(control | 3 << 3);
            self.octets.extend(offset.to_be_bytes());
        }
    }

    /// The type and the size that begin a value.
    fn header(&mut self, kind: Type, size: usize) {
        let (short, long) = match size {
            0..29 => (size, vec![]),
            29..285 => (29, vec![(size - 29) as u8]),
            285..65_821 => (30, ((size - 285) as u16).to_be_bytes().to_vec()),
            _ => (31, ((size - 65_821) as u32).to_be_bytes()[1..].to_vec()),
        };
        let number = kind as u8;
        if number <= 7 {
            self.octets.push(number << 5 | short as u8);
        } else {
            self.octets.extend([short as u8, number - 7]);
        }
        self.octets.extend(long);
    }
}
