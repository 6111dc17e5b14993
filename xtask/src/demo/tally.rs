//! What the generator sent and got: the demonstration's second opinion about
//! the daemon's counters. Handed over as one line of JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::Ipv4
        } else {
            Self::Ipv6
        }
    }

    /// As label value.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub(super) const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// As label value.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// The way that a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) family: Family,
    pub(super) transport: Transport,
}

impl Flow {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Family::ALL.into_iter().flat_map(|family| {
            Transport::ALL
                .into_iter()
                .map(move |transport| Self { family, transport })
        })
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family.label(), self.transport.label())
    }
}

/// A number per flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PerFlow(BTreeMap<Family, BTreeMap<Transport, u64>>);

impl PerFlow {
    pub(super) fn add(&mut self, flow: Flow) {
        *self
            .0
            .entry(flow.family)
            .or_default()
            .entry(flow.transport)
            .or_default() += 1;
    }

    pub(super) fn get(&self, flow: Flow) -> u64 {
        let number = |transports: &BTreeMap<_, _>| transports.get(&flow.transport).copied();
        self.0
            .get(&flow.family)
            .and_then(number)
            .unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Queries sent.
    pub(super) queries: PerFlow,
    /// Queries sent, by mnemonic of the type.
    pub(super) qtypes: BTreeMap<String, u64>,
    /// What was sent and is no message, by the reason to reject it.
    pub(super) malformed: BTreeMap<String, u64>,
    /// Responses received.
    pub(super) responses: PerFlow,
    /// Responses received, by mnemonic of the code.
    pub(super) rcodes: BTreeMap<String, u64>,
    /// Queries that got no response.
    pub(super) timeouts: u64,
}

impl Tally {
    pub(super) fn sent(&mut self, flow: Flow, qtype: &str) {
        self.queries.add(flow);
        count(&mut self.qtypes, qtype);
    }

    pub(super) fn sent_malformed(&mut self, reason: &str) {
        count(&mut self.malformed, reason);
    }

    pub(super) fn received(&mut self, flow: Flow, rcode: &str) {
        self.responses.add(flow);
        count(&mut self.rcodes, rcode);
    }
}

fn count(numbers: &mut BTreeMap<String, u64>, key: &str) {
    match numbers.get_mut(key) {
        Some(number) => *number += 1,
        None => drop(numbers.insert(key.to_owned(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_survives_its_line_of_json() {
        let mut tally = Tally {
            timeouts: 2,
            ..Tally::default()
        };
        tally.sent(
            Flow {
                family: Family::Ipv6,
                transport: Transport::Tcp,
            },
            "AAAA",
        );
        tally.sent_malformed("dns_header");
        tally.received(
            Flow {
                family: Family::Ipv4,
                transport: Transport::Udp,
            },
            "NXDOMAIN",
        );
        let line = serde_json::to_string(&tally).expect("JSON");
        assert_eq!(
            line,
            r#"{"queries":{"ipv6":{"tcp":1}},"qtypes":{"AAAA":1},"malformed":{"dns_header":1},"#
                .to_owned()
                + r#""responses":{"ipv4":{"udp":1}},"rcodes":{"NXDOMAIN":1},"timeouts":2}"#
        );
        assert_eq!(
            serde_json::from_str::<Tally>(&line).expect("a tally"),
            tally
        );
    }
}
