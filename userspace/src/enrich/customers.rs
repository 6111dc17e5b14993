//! Whose zones and addresses are asked for: an operator's table of customers.

use std::{net::IpAddr, sync::Arc};

use super::prefixes::PrefixTable;
use crate::stats::qname::Qname;

/// What is told where no line of the table fits.
pub const UNASSIGNED: &str = "unassigned";

/// Customers by zone and by network.
#[derive(Clone, Debug, Default)]
pub struct Customers {
    prefixes: PrefixTable<Arc<str>>,
}

impl Customers {
    /// The customer with the longest suffix of this name.
    #[must_use]
    pub fn of_name(&self, _name: &Qname) -> Option<&Arc<str>> {
        None
    }

    /// The customer with the longest network that the address lies in.
    #[must_use]
    pub fn of_address(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.prefixes.find(address)
    }

    /// Whether the table has no line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }
}
