//! Networks that are known by name: public resolvers, crawlers.

use std::{net::IpAddr, path::Path, sync::Arc};

use super::{
    prefixes::PrefixTable,
    table_file::{self, Named, RowError, TableError},
};
use crate::config::IpPrefix;

/// Names by network.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    table: PrefixTable<Named>,
}

impl Networks {
    /// Reads a file: a prefix and a name in each line, separated by a comma. Lines
    /// that are empty or begin with `#` are passed over, and so is a first line
    /// that says `prefix,network`. What has a comma or a quote in it stands in
    /// quotes (RFC 4180).
    ///
    /// # Errors
    /// When it cannot be read, or all lines that are wrong.
    pub fn read(file: &Path) -> Result<Self, TableError> {
        let mut networks = Self::default();
        table_file::read(file, |prefix, named| networks.put(prefix, named))?;
        Ok(networks)
    }

    fn put(&mut self, text: &str, named: Named) -> Result<(), RowError> {
        let network = prefix(text)?;
        match self.table.insert(network, named) {
            None => Ok(()),
            Some(before) => Err(before.again(text)),
        }
    }

    /// The name of the network that an address lies in.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.table.find(address).map(|named| &named.name)
    }

    /// How many networks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// A first column that must be an address or a prefix.
pub(super) fn prefix(text: &str) -> Result<IpPrefix, RowError> {
    text.parse().map_err(|cause| RowError::Prefix {
        text: text.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn networks(text: &str) -> Result<Networks, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("networks.csv");
        fs::write(&file, text).expect("a file");
        Networks::read(&file).map_err(|error| {
            let folder = format!("{}/", folder.path().display());
            error.to_string().replace(&folder, "")
        })
    }

    #[test]
    fn the_longest_prefix_names_a_network() {
        let table = networks(
            "prefix,network\n\
             # crawlers\n\
             192.0.2.0/24,crawler\n\
             192.0.2.53,resolver\n\
             2001:db8::/32,crawler\n",
        );
        let table = table.expect("three networks");
        assert_eq!(table.len(), 3);
        for (address, expected) in [
            ("192.0.2.1", Some("crawler")),
            ("192.0.2.53", Some("resolver")),
            ("2001:db8::53", Some("crawler")),
            ("198.51.100.1", None),
        ] {
            let found = table.find(address.parse().expect(address));
            assert_eq!(found.map(|name| &**name), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_prefix_or_there_twice_is_told() {
        let told = networks(
            "192.0.2.0/24,a\n\
             example.com,b\n\
             ::ffff:192.0.2.0/120,c\n\
             2001:db8::1/32,d\n",
        );
        let expected = [
            "networks.csv:2: `example.com` is not an IP address or a prefix; \
             write an address such as `192.0.2.1`, or a prefix such as `2001:db8::/32`",
            "networks.csv:3: `::ffff:192.0.2.0/120` stands in row 1 already; \
             leave one of them out",
            "networks.csv:4: `2001:db8::1/32` has bits set after its prefix length; \
             write `2001:db8::/32` for the network, or `2001:db8::1` for one address",
        ];
        assert_eq!(told.expect_err("three errors"), expected.join("\n"));
    }
}
