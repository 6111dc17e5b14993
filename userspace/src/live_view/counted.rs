//! What the history is made of: counters since the start, and their differences.

use dns_wire::{
    counters::{Counters, Delivery, FLAGS, Flag, Outcome, Qr, RCODES, Role},
    iana::Qtype,
    locate::{Family, Protocol, Transport},
};

use crate::{
    export::snapshot::Snapshot,
    stats::pairing::{BUCKETS_NS, PairingStats},
    view::Totals,
};

/// Buckets of response times.
const BUCKETS: usize = BUCKETS_NS.len() + 1;

/// Everything that a point of the history is the growth of.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) totals: Totals,
    /// Queries to the server by the slot of their QTYPE.
    pub(super) qtype: Box<[u64]>,
    /// Responses of the server by the slot of their RCODE.
    pub(super) rcode: Box<[u64]>,
    /// Its response times, by the buckets of the pairing.
    pub(super) response_times: [u64; BUCKETS],
}

impl Counted {
    /// What has been counted by the time of a snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let messages = snapshot.messages();
        let qtype = |slot| messages.qtype(Role::Server, Qr::Query, slot);
        let rcode = |slot| messages.rcode(Role::Server, slot);
        Self {
            totals: totals(snapshot, &messages),
            qtype: (0..Qtype::SLOTS).map(qtype).collect(),
            rcode: (0..RCODES).map(rcode).collect(),
            response_times: response_times(&snapshot.pairing),
        }
    }

    /// What came since an earlier moment.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let grown = |now: &[u64], then: &[u64]| {
            let pairs = now.iter().zip(then);
            pairs.map(|(now, then)| now.saturating_sub(*then)).collect()
        };
        Self {
            totals: totals_since(&self.totals, &earlier.totals),
            qtype: grown(&self.qtype, &earlier.qtype),
            rcode: grown(&self.rcode, &earlier.rcode),
            response_times: std::array::from_fn(|bucket| {
                let of = |counted: &Self| counted.response_times.get(bucket).copied().unwrap_or(0);
                of(self).saturating_sub(of(earlier))
            }),
        }
    }

    /// The response time that a share of the answers keeps within, in seconds; none
    /// where there is no answer. Within a bucket, times are taken to be spread
    /// evenly, as `histogram_quantile` of Prometheus does.
    pub(super) fn response_time(&self, share: f64) -> Option<f64> {
        let answers: u64 = self.response_times.iter().sum();
        if answers == 0 {
            return None;
        }
        let rank = share * answers as f64;
        let mut below = 0.0;
        let mut lower = 0.0;
        for (count, bound) in self.response_times.iter().zip(BUCKETS_NS) {
            let (count, upper) = (*count as f64, bound as f64 / 1e9);
            if count > 0.0 && below + count >= rank {
                return Some(lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }
}

fn totals(snapshot: &Snapshot, messages: &Counters) -> Totals {
    let [queries, responses] = [Qr::Query, Qr::Response].map(|qr| carried(messages, qr));
    let hooks = || snapshot.hooks.iter().map(|hook| &hook.packets);
    let records = |delivery| -> u64 { hooks().map(|counters| counters.records(delivery)).sum() };
    Totals {
        queries: queries.messages,
        responses: responses.messages,
        query_bytes: queries.bytes,
        response_bytes: responses.bytes,
        truncated: messages.flag(Role::Server, Qr::Response, truncated()),
        tcp_queries: queries.tcp,
        ipv6_queries: queries.ipv6,
        unanswered: each_transport(&snapshot.pairing, |stats| stats.unanswered),
        packets: hooks().map(|counters| packets(counters)).sum(),
        rejected: hooks()
            .map(|counters| counters.outcomes(Outcome::Rejected))
            .sum(),
        sampled_out: records(Delivery::SampledOut),
        lost: LOSSES.iter().map(|delivery| records(*delivery)).sum(),
        own_queries: messages.messages_of(Role::Client, Qr::Query),
    }
}

/// Records that were wanted and are not there.
const LOSSES: [Delivery; 3] = [
    Delivery::RingFull,
    Delivery::Reentered,
    Delivery::Unreadable,
];

/// Messages of the server, by what carries them.
#[derive(Default)]
struct Carried {
    messages: u64,
    bytes: u64,
    tcp: u64,
    ipv6: u64,
}

fn carried(counters: &Counters, qr: Qr) -> Carried {
    let mut carried = Carried::default();
    for family in [Family::Ipv4, Family::Ipv6] {
        for transport in Transport::ALL {
            let (messages, bytes) = counters.messages(Role::Server, qr, family, *transport);
            carried.messages += messages;
            carried.bytes += bytes;
            if *transport == Transport::Tcp {
                carried.tcp += messages;
            }
            if family == Family::Ipv6 {
                carried.ipv6 += messages;
            }
        }
    }
    carried
}

fn packets(counters: &Counters) -> u64 {
    let families = Family::ALL.iter();
    let kinds = families.flat_map(|family| Protocol::ALL.iter().map(move |p| (*family, *p)));
    kinds.map(|(family, p)| counters.packets(family, p).0).sum()
}

fn truncated() -> Flag {
    let tc = FLAGS.into_iter().find(|flag| flag.label == "TC");
    tc.unwrap_or(Flag {
        label: "TC",
        bit: 0x40,
    })
}

fn each_transport(
    pairing: &PairingStats,
    count: impl Fn(&crate::stats::pairing::TransactionStats) -> u64,
) -> u64 {
    let transports = Transport::ALL.iter();
    transports
        .map(|transport| count(pairing.of(Role::Server, *transport)))
        .sum()
}

fn response_times(pairing: &PairingStats) -> [u64; BUCKETS] {
    std::array::from_fn(|bucket| {
        each_transport(pairing, |stats| {
            stats.buckets.get(bucket).copied().unwrap_or(0)
        })
    })
}

fn totals_since(now: &Totals, then: &Totals) -> Totals {
    let grown = |count: fn(&Totals) -> u64| count(now).saturating_sub(count(then));
    Totals {
        queries: grown(|t| t.queries),
        responses: grown(|t| t.responses),
        query_bytes: grown(|t| t.query_bytes),
        response_bytes: grown(|t| t.response_bytes),
        truncated: grown(|t| t.truncated),
        tcp_queries: grown(|t| t.tcp_queries),
        ipv6_queries: grown(|t| t.ipv6_queries),
        unanswered: grown(|t| t.unanswered),
        packets: grown(|t| t.packets),
        rejected: grown(|t| t.rejected),
        sampled_out: grown(|t| t.sampled_out),
        lost: grown(|t| t.lost),
        own_queries: grown(|t| t.own_queries),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Nothing but queries of one type.
    pub(in crate::live_view) fn queries(qtype: Qtype, count: u64) -> Counted {
        let mut counted = Counted::of(&Snapshot::default());
        counted.totals.queries = count;
        if let Some(slot) = counted.qtype.get_mut(qtype.slot()) {
            *slot = count;
        }
        counted
    }

    #[test]
    fn queries_and_responses_are_told_apart() {
        let totals = Counted::of(&Snapshot::example()).totals;
        let expected = Totals {
            queries: 1,
            responses: 1,
            query_bytes: 17,
            response_bytes: 17,
            ..Totals::default()
        };
        assert_eq!(totals, expected);
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let mut counted = Counted::of(&Snapshot::default());
        assert_eq!(counted.response_time(0.5), None, "no answer, no time");
        // 90 answers in 10 to 25 us, 10 in 0.5 to 1 ms.
        counted.response_times[1] = 90;
        counted.response_times[6] = 10;
        for (share, expected) in [(0.0, 10e-6), (0.45, 17.5e-6), (0.9, 25e-6), (0.95, 750e-6)] {
            let time = counted.response_time(share).expect("there are answers");
            assert!((time - expected).abs() < 1e-9, "{share}: {time}");
        }
        // What is above all bounds is told by the highest.
        counted.response_times = [0; BUCKETS];
        counted.response_times[BUCKETS - 1] = 1;
        let highest = BUCKETS_NS[BUCKETS_NS.len() - 1] as f64 / 1e9;
        assert_eq!(counted.response_time(0.5), Some(highest));
    }
}
