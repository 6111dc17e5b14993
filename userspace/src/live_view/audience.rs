//! What of clients is shown to whom.
//!
//! Datasets have clients as the configuration shows them. What names a client -
//! an address, or a prefix longer than /24 or /48 - is for programs on this machine
//! only: to others, datasets are shown by the shorter prefixes, cells of the same
//! one being added up. Filters compare what is shown, so they tell no more.

use std::{borrow::Cow, net::IpAddr};

use crate::{config::ClientsShown, stats::dataset::Indexer, view};

/// What is shown to others than this machine at most, in bits: of IPv4, of IPv6.
pub const PUBLIC_PREFIXES: (u8, u8) = (24, 48);

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// A program on this machine.
    Local,
    /// Anybody else, or who cannot be told from them.
    Remote,
}

/// How clients are shown to one audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disclosed {
    audience: Audience,
    configured: ClientsShown,
}

impl Disclosed {
    pub(super) const fn new(audience: Audience, configured: ClientsShown) -> Self {
        Self {
            audience,
            configured,
        }
    }

    /// How clients are shown.
    pub(super) const fn clients(self) -> view::ClientsShown {
        match (self.configured, self.audience) {
            (ClientsShown::Pseudonym, _) => view::ClientsShown::Pseudonym,
            (ClientsShown::Address, Audience::Local) => view::ClientsShown::Address,
            (ClientsShown::Address, Audience::Remote) | (ClientsShown::Prefix, _) => {
                view::ClientsShown::Prefix
            }
        }
    }

    /// A value of a dataset as it is shown.
    pub(super) fn value(self, indexer: Indexer, value: &str) -> Cow<'_, str> {
        if self.audience == Audience::Local || self.configured == ClientsShown::Pseudonym {
            return Cow::Borrowed(value);
        }
        let networks = [
            Indexer::Client,
            Indexer::ClientSubnet,
            Indexer::EdnsEcsSubnet,
        ];
        let shortened = if networks.contains(&indexer) {
            network(value)
        } else if indexer == Indexer::EdnsEcsAddress {
            octets(value)
        } else {
            None
        };
        shortened.map_or(Cow::Borrowed(value), Cow::Owned)
    }
}

/// The prefix that everybody may see of a longer one, or of an address.
fn network(value: &str) -> Option<String> {
    let (address, length) = match value.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().ok()?)),
        None => (value, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (ipv4, ipv6) = PUBLIC_PREFIXES;
    let (longest, whole) = if address.is_ipv4() {
        (ipv4, 32)
    } else {
        (ipv6, 128)
    };
    if length.unwrap_or(whole) <= longest {
        return None;
    }
    let network = ipnet::IpNet::new(address, longest).ok()?.trunc();
    Some(network.to_string())
}

/// The same of octets in hexadecimal digits: four and less are taken for IPv4.
fn octets(value: &str) -> Option<String> {
    let (ipv4, ipv6) = PUBLIC_PREFIXES;
    let bits = if value.len() <= 8 { ipv4 } else { ipv6 };
    let digits = usize::from(bits) / 4;
    (value.len() > digits && value.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| value.chars().take(digits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_the_prefixes_that_everybody_may_see() {
        let remote = Disclosed::new(Audience::Remote, ClientsShown::Address);
        for (indexer, value, expected) in [
            (Indexer::Client, "192.0.2.53", "192.0.2.0/24"),
            (Indexer::Client, "2001:db8:1:2::3", "2001:db8:1::/48"),
            (Indexer::ClientSubnet, "192.0.2.48/28", "192.0.2.0/24"),
            (Indexer::ClientSubnet, "192.0.0.0/16", "192.0.0.0/16"),
            (
                Indexer::ClientSubnet,
                "2001:db8:1:2::/56",
                "2001:db8:1::/48",
            ),
            (Indexer::EdnsEcsSubnet, "192.0.2.53", "192.0.2.0/24"),
            (Indexer::EdnsEcsAddress, "C0000235", "C00002"),
            (Indexer::EdnsEcsAddress, "C0", "C0"),
            (
                Indexer::EdnsEcsAddress,
                "20010DB8000100020003",
                "20010DB80001",
            ),
            (Indexer::Client, "other", "other"),
            (Indexer::Qname, "192.0.2.53", "192.0.2.53"),
            (Indexer::Server, "192.0.2.53", "192.0.2.53"),
        ] {
            assert_eq!(remote.value(indexer, value), expected, "{value}");
        }
    }

    #[test]
    fn this_machine_and_pseudonyms_are_shown_as_they_are() {
        for (audience, configured, shown) in [
            (
                Audience::Local,
                ClientsShown::Address,
                view::ClientsShown::Address,
            ),
            (
                Audience::Local,
                ClientsShown::Prefix,
                view::ClientsShown::Prefix,
            ),
            (
                Audience::Remote,
                ClientsShown::Pseudonym,
                view::ClientsShown::Pseudonym,
            ),
        ] {
            let disclosed = Disclosed::new(audience, configured);
            assert_eq!(disclosed.clients(), shown);
            let value = disclosed.value(Indexer::Client, "192.0.2.53");
            assert_eq!(value, "192.0.2.53");
        }
        let disclosed = Disclosed::new(Audience::Remote, ClientsShown::Address);
        assert_eq!(disclosed.clients(), view::ClientsShown::Prefix);
    }
}
