//! An IP prefix that names one network: no host bits are set.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::error::InvalidValue;

/// A network such as `192.0.2.0/24`; a single address is a /32 or a /128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpPrefix {
    address: IpAddr,
    length: u8,
}

impl IpPrefix {
    /// The network with this address and length.
    ///
    /// # Errors
    /// When the length exceeds the family's, or a bit after it is set.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, InvalidValue> {
        if length > address_bits(address) {
            return Err(length_error(address));
        }
        let network = masked(address, length);
        if network != address {
            return Err(host_bits_error(address, network, length));
        }
        Ok(Self { address, length })
    }

    /// The first address of the network.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The number of bits that the addresses of the network have in common.
    pub fn length(self) -> u8 {
        self.length
    }

    /// As an IPv6 prefix, an IPv4 one as IPv4-mapped (RFC 4291, section
    /// 2.5.5.2): its 16 octets and its length in bits.
    pub fn as_mapped(self) -> ([u8; 16], u8) {
        match self.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), self.length + 96),
            IpAddr::V6(address) => (address.octets(), self.length),
        }
    }

    /// Whether the address is of this network. An IPv4 address is never of an
    /// IPv6 network.
    pub fn contains(self, address: IpAddr) -> bool {
        masked(address, self.length.min(address_bits(address))) == self.address
    }
}

impl From<IpAddr> for IpPrefix {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            length: address_bits(address),
        }
    }
}

impl FromStr for IpPrefix {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some((address, length)) = text.split_once('/') else {
            return Ok(Self::from(parse_address(text)?));
        };
        let address = parse_address(address)?;
        let is_number = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        match length.parse() {
            Ok(length) if is_number => Self::new(address, length),
            Ok(_) | Err(_) => Err(length_error(address)),
        }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == address_bits(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

fn parse_address(text: &str) -> Result<IpAddr, InvalidValue> {
    text.parse().map_err(|_| InvalidValue {
        message: "is not an IP address or a prefix".to_owned(),
        hint: "write an address such as `192.0.2.1`, or a prefix such as `2001:db8::/32`"
            .to_owned(),
    })
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn length_error(address: IpAddr) -> InvalidValue {
    InvalidValue {
        message: "has a bad prefix length".to_owned(),
        hint: format!("write a length from 0 to {}", address_bits(address)),
    }
}

fn host_bits_error(address: IpAddr, network: IpAddr, length: u8) -> InvalidValue {
    InvalidValue {
        message: "has bits set after its prefix length".to_owned(),
        hint: format!("write `{network}/{length}` for the network, or `{address}` for one address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_print_as_they_are_written() {
        for text in [
            "0.0.0.0/0",
            "192.0.2.0/24",
            "192.0.2.1",
            "128.0.0.0/1",
            "::/0",
            "2001:db8::/32",
            "2001:db8::1",
        ] {
            let prefix: IpPrefix = text.parse().expect(text);
            assert_eq!(prefix.to_string(), text);
        }
    }

    #[test]
    fn a_full_length_is_a_single_address() {
        assert_eq!("192.0.2.1/32".parse(), "192.0.2.1".parse::<IpPrefix>());
        assert_eq!("2001:db8::1/128".parse(), "2001:db8::1".parse::<IpPrefix>());
    }

    #[test]
    fn bad_prefixes_say_why() {
        const BAD_LENGTH: &str = "has a bad prefix length; write a length from 0 to ";
        for (text, expected) in [
            ("192.0.2.0/33", format!("{BAD_LENGTH}32")),
            ("192.0.2.0/", format!("{BAD_LENGTH}32")),
            ("192.0.2.0/+24", format!("{BAD_LENGTH}32")),
            ("2001:db8::/129", format!("{BAD_LENGTH}128")),
            ("2001:db8::/999", format!("{BAD_LENGTH}128")),
            (
                "192.0.2.1/24",
                "has bits set after its prefix length; \
                 write `192.0.2.0/24` for the network, or `192.0.2.1` for one address"
                    .to_owned(),
            ),
            (
                "2001:db8::1/0",
                "has bits set after its prefix length; \
                 write `::/0` for the network, or `2001:db8::1` for one address"
                    .to_owned(),
            ),
            (
                "192.0.2/24",
                "is not an IP address or a prefix; \
                 write an address such as `192.0.2.1`, or a prefix such as `2001:db8::/32`"
                    .to_owned(),
            ),
        ] {
            let error = text.parse::<IpPrefix>().expect_err(text);
            assert_eq!(error.to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_only() {
        for (prefix, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
        ] {
            let network: IpPrefix = prefix.parse().expect(prefix);
            assert!(network.contains(inside.parse().expect(inside)), "{prefix}");
            assert!(
                !network.contains(outside.parse().expect(outside)),
                "{prefix}"
            );
        }
    }
}
