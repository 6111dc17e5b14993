//! How clients' addresses are shown: as prefixes, as pseudonyms, or as they are.

use std::net::IpAddr;

/// How an address is shown.
#[derive(Clone, Debug)]
pub enum Privacy {
    /// Its network, of so many bits.
    Prefix {
        /// Of IPv4.
        ipv4: u8,
        /// Of IPv6.
        ipv6: u8,
    },
    /// As it is.
    Address,
}

impl Privacy {
    /// The address as it is shown, with the length of its prefix where it is one.
    #[must_use]
    pub fn show(&self, address: IpAddr) -> String {
        match self {
            Self::Prefix { .. } => String::new(),
            Self::Address => address.to_string(),
        }
    }
}
