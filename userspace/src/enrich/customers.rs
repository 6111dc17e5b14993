//! Whose zones and addresses are asked for: an operator's table of customers.
//!
//! The table may come from a file, from a PostgreSQL database, or from both; what
//! is looked up is one. A zone is found by its labels, as `stats::zones` does.

pub mod postgres;

use std::{net::IpAddr, path::Path, sync::Arc};

use foldhash::quality::RandomState;
use hashbrown::{HashMap, hash_map::Entry};

use super::{
    networks,
    prefixes::PrefixTable,
    table_file::{self, Intake, Named, RowError, RowErrors, TableError},
};
use crate::{
    config::{CustomerBy, IpPrefix},
    names::text,
    stats::qname::Qname,
};

/// What is told where no line of the table fits.
pub const UNASSIGNED: &str = "unassigned";

/// Customers by zone and by network.
#[derive(Clone, Debug, Default)]
pub struct Customers {
    prefixes: PrefixTable<Named>,
    zones: ZoneTable,
}

/// What a customer can be told by.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The name that is asked for.
    pub name: &'a Qname,
    /// Who asks.
    pub client: IpAddr,
    /// Who is asked.
    pub server: IpAddr,
}

impl Customers {
    /// Reads a file: a zone or a prefix, and a name, in each line, separated by a
    /// comma. Lines that are empty or begin with `#` are passed over, and so is a
    /// first line that says `match,customer`. What has a comma or a quote in it
    /// stands in quotes (RFC 4180).
    ///
    /// # Errors
    /// When it cannot be read, or all lines that are wrong.
    pub fn read(file: &Path) -> Result<Self, TableError> {
        let mut customers = Self::default();
        table_file::read(file, |key, named| match customers.put(key, named)? {
            None => Ok(()),
            Some(before) => Err(before.again(key)),
        })?;
        Ok(customers)
    }

    /// Takes rows of a zone or a prefix, and a name. A row may be there twice if
    /// it says the same.
    ///
    /// # Errors
    /// All rows that are wrong, told behind `origin`.
    pub fn of_rows<'a>(
        origin: &str,
        rows: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RowErrors> {
        let mut customers = Self::default();
        let mut intake = Intake::new(origin.to_owned());
        for (number, row) in (1..).zip(rows) {
            let taken = intake.row(number, row, |key, named| {
                let name = Arc::clone(&named.name);
                match customers.put(key, named)? {
                    Some(before) if before.name != name => Err(before.again(key)),
                    _ => Ok(()),
                }
            });
            if !taken {
                break;
            }
        }
        intake.end()?;
        Ok(customers)
    }

    /// Both tables as one: what is in both is what this one says.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.prefixes.merge(&other.prefixes);
        both.zones.merge(&other.zones);
        both
    }

    /// How many zones and networks are in both, but with different customers.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> usize {
        let prefixes = other.prefixes.iter().filter(|(network, theirs)| {
            let ours = self.prefixes.get(network);
            ours.is_some_and(|ours| ours.name != theirs.name)
        });
        let zones = other.zones.index.iter().filter(|(zone, theirs)| {
            let ours = self.zones.index.get(*zone);
            ours.is_some_and(|ours| ours.name != theirs.name)
        });
        prefixes.count() + zones.count()
    }

    /// The customer that one of the parties tells; the first of `by` that tells one
    /// counts.
    #[must_use]
    pub fn of(&self, by: &[CustomerBy], parties: &Parties<'_>) -> Option<&Arc<str>> {
        by.iter().find_map(|by| match by {
            CustomerBy::Zone => self.of_name(parties.name),
            CustomerBy::Client => self.of_address(parties.client),
            CustomerBy::Server => self.of_address(parties.server),
        })
    }

    /// Whether both tables match the same with the same customers.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let prefixes = || {
            other.prefixes.iter().all(|(network, theirs)| {
                let ours = self.prefixes.get(&network);
                ours.is_some_and(|ours| ours.name == theirs.name)
            })
        };
        let zones = || {
            other.zones.index.iter().all(|(zone, theirs)| {
                let ours = self.zones.index.get(zone);
                ours.is_some_and(|ours| ours.name == theirs.name)
            })
        };
        (self.prefixes(), self.zones()) == (other.prefixes(), other.zones())
            && prefixes()
            && zones()
    }

    /// The customer with the longest suffix of this name.
    #[must_use]
    pub fn of_name(&self, name: &Qname) -> Option<&Arc<str>> {
        self.zones.find(name).map(|named| &named.name)
    }

    /// The customer with the longest network that the address lies in.
    #[must_use]
    pub fn of_address(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.prefixes.find(address).map(|named| &named.name)
    }

    /// How many zones there are.
    #[must_use]
    pub fn zones(&self) -> usize {
        self.zones.index.len()
    }

    /// How many networks there are.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether the table has no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.zones.index.is_empty()
    }

    /// What the match said before.
    fn put(&mut self, text: &str, named: Named) -> Result<Option<Named>, RowError> {
        Ok(match Match::of(text)? {
            Match::Prefix(prefix) => self.prefixes.insert(prefix, named),
            Match::Zone(zone) => self.zones.insert(zone, named),
        })
    }
}

/// What a first column says.
#[derive(Debug)]
enum Match {
    Prefix(IpPrefix),
    /// Its name on the wire.
    Zone(Vec<u8>),
}

impl Match {
    fn of(text: &str) -> Result<Self, RowError> {
        if looks_like_an_address(text) {
            return networks::prefix(text).map(Self::Prefix);
        }
        if text.starts_with("*.") {
            return Err(RowError::Wildcard(text.to_owned()));
        }
        match text::parse(text) {
            Ok(zone) => Ok(Self::Zone(zone)),
            Err(cause) => Err(RowError::Zone {
                text: text.to_owned(),
                cause,
            }),
        }
    }
}

/// Whether it can only be meant as an address or a prefix. A zone may have a slash
/// in it (RFC 2317), but then it has letters, too.
fn looks_like_an_address(text: &str) -> bool {
    let numeric = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'.' | b'/');
    text.contains(':') || (text != "." && !text.is_empty() && text.bytes().all(numeric))
}

/// Customers by zone.
#[derive(Clone, Debug, Default)]
struct ZoneTable {
    /// By names on the wire.
    index: HashMap<Box<[u8]>, Named, RandomState>,
    /// A bit for each number of labels that a zone has: no other suffix of a name
    /// is looked for.
    depths: u128,
}

impl ZoneTable {
    fn insert(&mut self, zone: Vec<u8>, named: Named) -> Option<Named> {
        self.depths |= 1_u128 << text::labels(&zone).count();
        self.index.insert(zone.into_boxed_slice(), named)
    }

    fn merge(&mut self, other: &Self) {
        self.depths |= other.depths;
        for (zone, named) in &other.index {
            if let Entry::Vacant(place) = self.index.entry(zone.clone()) {
                place.insert(named.clone());
            }
        }
    }

    /// The zone with the most labels that the name ends with.
    fn find(&self, name: &Qname) -> Option<&Named> {
        if self.index.is_empty() || name.whole().is_empty() {
            return None;
        }
        // Names have 127 labels at most (RFC 1035, section 3.1).
        let within = u128::MAX >> (127 - name.labels().min(127));
        let mut depths = self.depths & within;
        while let Some(labels) = depths.checked_ilog2() {
            let suffix = match labels {
                0 => &[0][..],
                _ => name.last(labels as usize),
            };
            if let Some(named) = self.index.get(suffix) {
                return Some(named);
            }
            depths &= !(1 << labels);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::stats::plan::Compat;

    fn customers(text: &str) -> Result<Customers, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("customers.csv");
        fs::write(&file, text).expect("a file");
        Customers::read(&file).map_err(|error| {
            let folder = format!("{}/", folder.path().display());
            error.to_string().replace(&folder, "")
        })
    }

    fn qname(text: &str) -> Qname {
        let mut name = Qname::default();
        name.set(&text::parse(text).expect(text), Compat::None);
        name
    }

    fn of_name<'a>(customers: &'a Customers, name: &str) -> Option<&'a str> {
        customers.of_name(&qname(name)).map(|name| &**name)
    }

    fn of_address<'a>(customers: &'a Customers, address: &str) -> Option<&'a str> {
        let address = address.parse().expect(address);
        customers.of_address(address).map(|name| &**name)
    }

    #[test]
    fn the_longest_zone_counts() {
        let table = customers(
            "match,customer\n\
             example.com,Example\n\
             SHOP.Example.com.,Shop\n\
             bücher.example,Bücher\n\
             0/25.2.0.192.in-addr.arpa,Half\n",
        );
        let table = table.expect("four zones");
        for (name, expected) in [
            ("example.com", Some("Example")),
            ("WWW.EXAMPLE.COM", Some("Example")),
            ("shop.example.com", Some("Shop")),
            ("a.b.c.d.shop.example.com", Some("Shop")),
            ("shop.example.net", None),
            ("notexample.com", None),
            ("com", None),
            (".", None),
            ("www.xn--bcher-kva.example", Some("Bücher")),
            ("1.0/25.2.0.192.in-addr.arpa", Some("Half")),
        ] {
            assert_eq!(of_name(&table, name), expected, "{name}");
        }
        assert_eq!((table.zones(), table.prefixes()), (4, 0));
    }

    #[test]
    fn the_root_is_the_zone_of_all_that_have_no_other() {
        let table = customers(".,Root\nexample,Example\n").expect("two zones");
        assert_eq!(of_name(&table, "."), Some("Root"));
        assert_eq!(of_name(&table, "www.example.com"), Some("Root"));
        assert_eq!(of_name(&table, "www.example"), Some("Example"));
        let no_question = Qname::default();
        assert_eq!(table.of_name(&no_question), None);
    }

    #[test]
    fn the_longest_names_are_found() {
        let longest = ["a"; 127].join(".");
        let table = customers(&format!("{longest},Long\nb.{},Other\n", &longest[4..]));
        let table = table.expect("two zones");
        assert_eq!(of_name(&table, &longest), Some("Long"));
        assert_eq!(of_name(&table, &longest[2..]), None);
    }

    #[test]
    fn zones_and_prefixes_stand_in_one_table() {
        let table = customers(
            "192.0.2.0/24,Example\n\
             192.0.2.53,Other\n\
             2001:db8::/32,Example\n\
             example.com,Example\n",
        );
        let table = table.expect("four lines");
        assert_eq!((table.zones(), table.prefixes()), (1, 3));
        assert_eq!(of_address(&table, "192.0.2.1"), Some("Example"));
        assert_eq!(of_address(&table, "192.0.2.53"), Some("Other"));
        assert_eq!(of_address(&table, "::ffff:192.0.2.53"), Some("Other"));
        assert_eq!(of_address(&table, "198.51.100.1"), None);
        let by_name = table.of_name(&qname("example.com")).expect("a zone");
        let by_address = table.of_address("2001:db8::1".parse().expect("an address"));
        assert!(
            Arc::ptr_eq(by_name, by_address.expect("a network")),
            "one name"
        );
    }

    #[test]
    fn all_lines_that_are_wrong_are_told() {
        let told = customers(
            "example.com,Example\n\
             192.0.2.1/24,Example\n\
             192.0.2,Example\n\
             2001:db8::/129,Example\n\
             a..b,Example\n\
             *.example.net,Example\n\
             Example.Com.,Again\n\
             ,Example\n",
        );
        let expected = [
            "customers.csv:2: `192.0.2.1/24` has bits set after its prefix length; \
             write `192.0.2.0/24` for the network, or `192.0.2.1` for one address",
            "customers.csv:3: `192.0.2` is not an IP address or a prefix; \
             write an address such as `192.0.2.1`, or a prefix such as `2001:db8::/32`",
            "customers.csv:4: `2001:db8::/129` has a bad prefix length; \
             write a length from 0 to 128",
            "customers.csv:5: `a..b` is no zone: it has an empty label; \
             write one dot between two labels and none in front",
            "customers.csv:6: `*.example.net` is a wildcard; \
             write the name behind `*.`, which stands for all below it",
            "customers.csv:7: `Example.Com.` stands in row 1 already; leave one of them out",
            "customers.csv:8: `` is no zone: it is empty; the root is written as a dot",
        ];
        assert_eq!(told.expect_err("seven errors"), expected.join("\n"));
    }

    #[test]
    fn rows_may_say_the_same_twice() {
        let rows = [("example.com", "Example"), ("192.0.2.0/24", "Example")];
        let twice = rows.iter().chain(&rows).copied();
        let table = Customers::of_rows("row ", twice).expect("rows");
        assert_eq!((table.zones(), table.prefixes()), (1, 1));
        let rows = [("example.com", "Example"), ("example.com", "Other")];
        let error = Customers::of_rows("row ", rows.into_iter()).expect_err("a conflict");
        assert_eq!(
            error.to_string(),
            "row 2: `example.com` stands in row 1 already; leave one of them out"
        );
    }

    #[test]
    fn tables_say_the_same_in_any_order() {
        let table = |rows: &[(&'static str, &'static str)]| {
            Customers::of_rows("row ", rows.iter().copied()).expect("rows")
        };
        let (zone, network) = (("example.com", "A"), ("192.0.2.0/24", "B"));
        let both = table(&[zone, network]);
        assert!(both.says_the_same(&table(&[network, zone])));
        for other in [
            &[zone][..],
            &[zone, ("192.0.2.0/24", "C")],
            &[zone, ("192.0.2.0/25", "B")],
            &[network, ("example.com", "B")],
            &[network, ("example.net", "A")],
        ] {
            assert!(!both.says_the_same(&table(other)), "{other:?}");
        }
    }

    #[test]
    fn of_two_tables_the_first_one_wins() {
        let rows = |rows: &[(&'static str, &'static str)]| {
            Customers::of_rows("row ", rows.iter().copied()).expect("rows")
        };
        let file = rows(&[
            ("example.com", "File"),
            ("192.0.2.0/24", "File"),
            (".", "Same"),
        ]);
        let other = rows(&[
            ("example.com", "Other"),
            ("www.example.com", "Other"),
            ("192.0.2.0/24", "Other"),
            ("192.0.2.0/25", "Other"),
            (".", "Same"),
        ]);
        assert_eq!(file.conflicts(&other), 2);
        let both = file.with(&other);
        assert_eq!((both.zones(), both.prefixes()), (3, 2));
        for (name, expected) in [
            ("example.com", "File"),
            ("a.www.example.com", "Other"),
            ("net", "Same"),
        ] {
            assert_eq!(of_name(&both, name), Some(expected), "{name}");
        }
        assert_eq!(of_address(&both, "192.0.2.1"), Some("Other"));
        assert_eq!(of_address(&both, "192.0.2.129"), Some("File"));
    }
}
