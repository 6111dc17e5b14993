//! The local addresses, ready to be compared with addresses as they stand in
//! memory: both ends of every message are.

use std::net::IpAddr;

use dns_wire::locate::Family;

use super::plan::Compat;
use crate::dsc_conf::LocalAddress;

/// The addresses.
#[derive(Clone, Debug, Default)]
pub struct Locals(Vec<Local>);

/// An address and the bits of it that count, in memory order; IPv4 in the first
/// four octets.
#[derive(Clone, Copy, Debug)]
struct Local {
    family: Family,
    mask: [u64; 2],
    masked: [u64; 2],
}

impl Locals {
    /// DSC masks the address that it compares, but not its own one: with bits
    /// beyond its mask that contains nothing.
    #[must_use]
    pub fn new(addresses: &[LocalAddress], compat: Compat) -> Self {
        let local = |local: &LocalAddress| {
            let (family, address) = words(local.address());
            let (_, mask) = words(local.mask());
            let masked = match compat {
                Compat::None => and(address, mask),
                Compat::Dsc => address,
            };
            Local {
                family,
                mask,
                masked,
            }
        };
        Self(addresses.iter().map(local).collect())
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is this address, in memory order.
    #[inline]
    #[must_use]
    pub fn contain(&self, family: Family, address: [u64; 2]) -> bool {
        self.0
            .iter()
            .any(|local| local.family == family && and(address, local.mask) == local.masked)
    }
}

const fn and(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    [a[0] & b[0], a[1] & b[1]]
}

fn words(address: IpAddr) -> (Family, [u64; 2]) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            (
                Family::Ipv4,
                [u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]), 0],
            )
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            let (words, _) = octets.as_chunks::<8>();
            let word = |n: usize| words.get(n).map_or(0, |word| u64::from_ne_bytes(*word));
            (Family::Ipv6, [word(0), word(1)])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dsc_conf::DscConf;

    fn locals(compat: Compat) -> Locals {
        let conf = b"local_address 192.0.2.53; \nlocal_address 127.0.1.1 24;\n\
            local_address 2001:db8::1 32;\n";
        let conf = DscConf::parse(conf, "dsc.conf", Path::new("/")).expect("a dsc.conf");
        Locals::new(&conf.local_addresses, compat)
    }

    #[test]
    fn an_address_is_local_by_the_bits_of_its_mask() {
        for (address, exact, dsc) in [
            ("192.0.2.53", true, true),
            ("192.0.2.54", false, false),
            ("127.0.1.9", true, false),
            ("127.0.2.1", false, false),
            ("2001:db8:ffff::9", true, false),
            ("2001:db9::1", false, false),
            ("::", false, false),
        ] {
            let (family, words) = words(address.parse().expect(address));
            assert_eq!(
                locals(Compat::None).contain(family, words),
                exact,
                "{address}"
            );
            assert_eq!(locals(Compat::Dsc).contain(family, words), dsc, "{address}");
        }
    }
}
