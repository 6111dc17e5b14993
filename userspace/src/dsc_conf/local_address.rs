//! A local address with its mask, in the three ways of writing a mask.

use std::net::IpAddr;

/// An address, and which of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    address: IpAddr,
    /// Of the address's family.
    mask: IpAddr,
}

impl LocalAddress {
    /// The address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The mask, of the address's family. Its bits need not be contiguous.
    #[must_use]
    pub const fn mask(&self) -> IpAddr {
        self.mask
    }

    /// Whether the address has bits beyond its mask.
    #[must_use]
    pub fn has_host_bits(&self) -> bool {
        self.network() != Some(self.address)
    }

    fn network(&self) -> Option<IpAddr> {
        masked(self.address, self.mask)
    }

    /// An address with an optional mask: a number of bits, or an address of the
    /// same family.
    pub(super) fn new(address: IpAddr, mask: Option<&str>) -> Option<Self> {
        let mask = match mask {
            None => full_mask(address),
            Some(text) => mask_of(address, text)?,
        };
        Some(Self { address, mask })
    }
}

fn mask_of(address: IpAddr, text: &str) -> Option<IpAddr> {
    if text.contains(['.', ':']) {
        let mask: IpAddr = text.parse().ok()?;
        return (mask.is_ipv4() == address.is_ipv4()).then_some(mask);
    }
    let bits: u32 = text.parse().ok()?;
    match address {
        IpAddr::V4(_) => {
            let host = 32_u32.checked_sub(bits)?;
            Some(IpAddr::V4(u32::MAX.checked_shl(host).unwrap_or(0).into()))
        }
        IpAddr::V6(_) => {
            let host = 128_u32.checked_sub(bits)?;
            Some(IpAddr::V6(u128::MAX.checked_shl(host).unwrap_or(0).into()))
        }
    }
}

fn full_mask(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::MAX.into()),
        IpAddr::V6(_) => IpAddr::V6(u128::MAX.into()),
    }
}

/// `None` when the families differ.
fn masked(address: IpAddr, mask: IpAddr) -> Option<IpAddr> {
    match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => Some(IpAddr::V4(address & mask)),
        (IpAddr::V6(address), IpAddr::V6(mask)) => Some(IpAddr::V6(address & mask)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}
