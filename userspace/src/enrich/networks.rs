//! Networks that are known by name: public resolvers, crawlers.

use std::{net::IpAddr, sync::Arc};

use super::prefixes::PrefixTable;

/// Names by network.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    table: PrefixTable<Arc<str>>,
}

impl Networks {
    /// The name of the network that an address lies in.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.table.find(address)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
