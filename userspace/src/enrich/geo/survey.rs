//! Looks at a whole database before it is used.
//!
//! Every node of the search tree is visited once, and every record that a node
//! points to is decoded once, so no lookup meets anything that was not seen. The
//! reader's own verification is not used: it walks along every path, and a few
//! dozen nodes that share their children have more paths than anybody can walk.
//! Here all work is in proportion to the size of the file, memory is a bit for
//! each node and each octet of data, and what a record may hold is bounded, so
//! that a record is never decoded for long on the way of a message.

use std::{fmt, net::IpAddr};

use maxminddb::{LookupResult, Reader};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::{error::Reason, record};

/// Zeroes between the search tree and the records.
const SEPARATOR: usize = 16;

/// Values in a record, texts counted by their length as well. City databases
/// have about two hundred with names in eight languages.
const MAX_RECORD_WORK: u32 = 4096;

/// Characters of a text that count as much as a value.
const TEXT_WORK: usize = 16;

/// Containers in each other.
const MAX_DEPTH: u32 = 32;

/// Work on records for each octet of the file. City databases need one and a
/// half.
const WORK_PER_OCTET: u64 = 16;

/// What a database holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Different records.
    pub(super) records: u64,
    /// Whether one tells a country.
    pub(super) knows_country: bool,
    /// Whether one tells an autonomous system.
    pub(super) knows_asn: bool,
}

/// Visits everything in a database with the given content.
///
/// # Errors
/// Where anything is damaged, or larger than an honest writer makes it.
pub(super) fn survey<S: AsRef<[u8]>>(reader: &Reader<S>, content: &[u8]) -> Result<Survey, Reason> {
    let mut surveyor = Surveyor::new(reader, content)?;
    surveyor.visit(0, Prefix::default())?;
    Ok(surveyor.found)
}

struct Surveyor<'a, S: AsRef<[u8]>> {
    reader: &'a Reader<S>,
    tree: Tree<'a>,
    /// Octets of the records.
    data: usize,
    visited: Bits,
    decoded: Bits,
    /// The nodes above the one that is visited.
    path: Vec<usize>,
    work_left: u64,
    found: Survey,
}

/// The bits that lead to a node.
#[derive(Clone, Copy, Default)]
struct Prefix {
    bits: u128,
    length: u32,
}

impl<'a, S: AsRef<[u8]>> Surveyor<'a, S> {
    fn new(reader: &'a Reader<S>, content: &'a [u8]) -> Result<Self, Reason> {
        let tree = Tree::new(reader, content)?;
        let data = content.len().saturating_sub(tree.octets.len() + SEPARATOR);
        Ok(Self {
            reader,
            visited: Bits::new(tree.nodes),
            decoded: Bits::new(data),
            data,
            path: Vec::with_capacity(128),
            work_left: content.len() as u64 * WORK_PER_OCTET,
            found: Survey::default(),
            tree,
        })
    }

    /// Visits a node and what is below it. The depth of the recursion is the
    /// length of an address.
    fn visit(&mut self, node: usize, prefix: Prefix) -> Result<(), Reason> {
        if self.visited.set(node) {
            // Several ways to a node are well: IPv4 has more than one prefix
            // in IPv6.
            return if self.path.contains(&node) {
                Err(Reason::Damaged("its search tree has a loop"))
            } else {
                Ok(())
            };
        }
        if prefix.length == self.tree.address_bits {
            return Err(Reason::Damaged(
                "its search tree is deeper than an address is long",
            ));
        }
        self.path.push(node);
        for (side, child) in self.tree.children(node)?.into_iter().enumerate() {
            let below = prefix.child(side);
            match child.checked_sub(self.tree.nodes) {
                None => self.visit(child, below)?,
                // Nothing is known of this network.
                Some(0) => {}
                Some(pointer) => self.record(pointer, below)?,
            }
        }
        self.path.pop();
        Ok(())
    }

    /// Decodes a record that was not seen yet.
    fn record(&mut self, pointer: usize, prefix: Prefix) -> Result<(), Reason> {
        let offset = pointer
            .checked_sub(SEPARATOR)
            .filter(|offset| *offset < self.data)
            .ok_or(Reason::Damaged("its search tree points to no record"))?;
        if self.decoded.set(offset) {
            return Ok(());
        }
        let found = self.reader.lookup(prefix.address(self.tree.address_bits))?;
        if found.offset() != Some(offset) {
            return Err(Reason::Damaged("its search tree points to no record"));
        }
        self.weigh(&found)?;
        let told = record::location(&found)?;
        self.found.records += 1;
        self.found.knows_country |= told.country.is_some() || told.continent.is_some();
        self.found.knows_asn |= told.asn.is_some() || told.as_org.is_some();
        Ok(())
    }

    /// Decodes all of a record, with everything that it refers to.
    fn weigh(&mut self, found: &LookupResult<'_, S>) -> Result<(), Reason> {
        let weight = found.decode::<Weight>()?.map_or(0, |weight| weight.0);
        self.work_left = self
            .work_left
            .checked_sub(u64::from(weight))
            .ok_or(Reason::Damaged(
                "its records refer to more than the file can hold",
            ))?;
        Ok(())
    }
}

impl Prefix {
    const fn child(self, side: usize) -> Self {
        Self {
            bits: self.bits << 1 | side as u128,
            length: self.length + 1,
        }
    }

    /// The first address below it.
    fn address(self, address_bits: u32) -> IpAddr {
        // At length zero there is nothing to shift, and all bits are zero.
        let bits = self.bits.checked_shl(address_bits - self.length);
        let bits = bits.unwrap_or_default();
        match u32::try_from(bits) {
            Ok(bits) if address_bits == 32 => IpAddr::V4(bits.into()),
            Ok(_) | Err(_) => IpAddr::V6(bits.into()),
        }
    }
}

/// The search tree of a file.
struct Tree<'a> {
    octets: &'a [u8],
    nodes: usize,
    record_bits: usize,
    address_bits: u32,
}

impl<'a> Tree<'a> {
    fn new<S: AsRef<[u8]>>(reader: &Reader<S>, content: &'a [u8]) -> Result<Self, Reason> {
        let short = || Reason::Damaged("its search tree is longer than the file");
        let metadata = reader.metadata();
        let nodes = metadata.node_count as usize;
        let record_bits = usize::from(metadata.record_size);
        let (octets, data) = nodes
            .checked_mul(record_bits / 4)
            .and_then(|size| content.split_at_checked(size))
            .ok_or_else(short)?;
        let separator = data.get(..SEPARATOR).ok_or_else(short)?;
        if separator.iter().any(|octet| *octet != 0) {
            return Err(Reason::Damaged(
                "nothing separates its search tree from its records",
            ));
        }
        Ok(Self {
            octets,
            nodes,
            record_bits,
            address_bits: if metadata.ip_version == 4 { 32 } else { 128 },
        })
    }

    /// What the sides of a node point to.
    fn children(&self, node: usize) -> Result<[usize; 2], Reason> {
        let size = self.record_bits / 4;
        let octets = self.octets.chunks_exact(size).nth(node);
        let [left, right] = match octets {
            Some(&[a, b, c, x, y, z]) => [[0, a, b, c], [0, x, y, z]],
            Some(&[a, b, c, both, x, y, z]) => [[both >> 4, a, b, c], [both & 15, x, y, z]],
            Some(&[a, b, c, d, w, x, y, z]) => [[a, b, c, d], [w, x, y, z]],
            Some(_) | None => return Err(Reason::Damaged("its search tree points outside of it")),
        };
        Ok([left, right].map(|child| u32::from_be_bytes(child) as usize))
    }
}

/// A set of small numbers.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    /// Adds a number below the count. True where it was there already.
    fn set(&mut self, number: usize) -> bool {
        let Some(word) = self.0.get_mut(number / 64) else {
            return true;
        };
        let bit = 1 << (number % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
}

/// How much work it is to decode a value with all that it refers to.
struct Weight(u32);

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut left = MAX_RECORD_WORK;
        let weigher = Weigher {
            left: &mut left,
            depth: 0,
        };
        weigher.deserialize(deserializer)?;
        Ok(Self(MAX_RECORD_WORK - left))
    }
}

/// Takes the work of each value off what is left of a record's.
struct Weigher<'w> {
    left: &'w mut u32,
    depth: u32,
}

impl Weigher<'_> {
    fn charge<E: Error>(self, octets: usize) -> Result<(), E> {
        let work = u32::try_from(1 + octets / TEXT_WORK).unwrap_or(u32::MAX);
        let left = self.left.checked_sub(work);
        *self.left = left.ok_or_else(|| E::custom("a record holds too many values"))?;
        Ok(())
    }

    fn nested<E: Error>(&mut self) -> Result<Weigher<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("values of a record are nested too deeply"));
        }
        Ok(Weigher {
            left: self.left,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Weigher<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weigher<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.charge(text.len())
    }

    fn visit_bytes<E: Error>(self, octets: &[u8]) -> Result<(), E> {
        self.charge(octets.len())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.charge(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.charge(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.charge(0)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.charge(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.charge(0)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self.nested()?)?.is_some() {
            map.next_value_seed(self.nested()?)?;
        }
        self.charge(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element_seed(self.nested()?)?.is_some() {}
        self.charge(0)
    }
}
