//! The statistics of captures as one document: what `--format json` prints and
//! what the text is laid out from.
//!
//! The names of the fields are the keys of the JSON, and part of what users rely
//! on. Keys may be added; those that are here keep their name and meaning. Rows
//! that count nothing are left out, but for packets by outcome.

use dns_wire::{
    counters::{Counters, FLAGS, Hook, Outcome, Qr, RCODES, Role, SIZE_BIN, TcpEvent},
    counters::{Delivery, QUERY_SIZES, RESPONSE_SIZES},
    handshake,
    iana::{Opcode, Qtype},
    icmp::IcmpType,
    locate::{Family, NotDns, Protocol, Transport},
    message::EdnsState,
    reject::Reject,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{FileReport, Report, Span};
use crate::{
    export::{
        prometheus::{qtype_label, rcode_label},
        snapshot::Snapshot,
    },
    source::{fragments::FragmentStats, stream::StreamStats},
    stats::pairing::{BUCKETS_NS, PairingStats, TransactionStats},
};

/// The document.
///
/// `role` is the side of the exchange that the observed host is on, `type` is
/// `query` or `response`, `hook` is `ingress` for what arrived at the server and
/// `egress` for what left it.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The files, in the order of reading.
    pub files: Vec<File>,
    /// The time that the packets cover; null without a packet that has a time.
    pub time: Option<Time>,
    /// Packets, each exactly once.
    pub packets: Packets,
    /// DNS messages, those put together from TCP segments and IP fragments included.
    pub messages: Vec<Messages>,
    /// DNS messages by OPCODE.
    pub opcodes: Vec<Tally>,
    /// DNS messages by QTYPE of the first question, the most frequent first.
    pub qtypes: Vec<Tally>,
    /// DNS responses by RCODE, the most frequent first.
    pub rcodes: Vec<Tally>,
    /// DNS messages with a header bit set, or DO, CO or DE in the OPT record.
    pub flags: Vec<Tally>,
    /// DNS messages by what is known of their OPT record.
    pub edns: Vec<Tally>,
    /// Sizes of DNS messages.
    pub sizes: Vec<Sizes>,
    /// How queries and responses found each other.
    pub transactions: Vec<Transactions>,
    /// TCP streams whose messages had to be put together.
    pub streams: Streams,
    /// TCP handshakes of the server, by address family.
    pub handshakes: Vec<Handshakes>,
    /// IP datagrams that had to be put together.
    pub fragments: Fragments,
}

/// A file.
#[derive(Debug, Serialize)]
pub struct File {
    /// Its path; `-` is standard input.
    pub file: String,
    /// Packets in it, as far as it could be read.
    pub packets: u64,
    /// Those of them that are in no other number here: their link type is unknown.
    pub skipped: u64,
    /// What was wrong with it.
    pub errors: Vec<String>,
}

/// The time that packets cover.
#[derive(Debug, Serialize)]
pub struct Time {
    /// Of the earliest packet, in RFC 3339.
    pub first: String,
    /// Of the latest packet.
    pub last: String,
    /// Between both.
    pub seconds: f64,
}

/// Packets by what they are.
#[derive(Debug, Serialize)]
pub struct Packets {
    /// All of them: the sum of `outcomes`.
    pub total: u64,
    /// Their octets on the wire, link layer included.
    pub bytes: u64,
    /// By what they ended as.
    pub outcomes: Vec<Packet>,
    /// By family and protocol, as in `ipv4 udp`.
    pub protocols: Vec<Packet>,
    /// Outcome `not_dns`, by protocol.
    pub not_dns: Vec<Packet>,
    /// Outcome `rejected`, by reason.
    pub rejected: Vec<Packet>,
    /// Outcomes `dns` and `segment`, by what became of their record.
    pub records: Vec<Packet>,
    /// ICMP and ICMPv6 packets by type, as in `icmp port_unreachable`.
    pub icmp: Vec<Packet>,
    /// TCP segments without payload, by what they do to the connection.
    pub tcp_events: Vec<Packet>,
}

/// Packets of one kind.
#[derive(Debug, Serialize)]
pub struct Packet {
    /// Where they were seen.
    pub hook: &'static str,
    /// What they have in common.
    pub value: String,
    /// What that means.
    #[serde(skip)]
    pub meaning: &'static str,
    /// How many.
    pub packets: u64,
}

/// DNS messages of one way.
#[derive(Debug, Serialize)]
pub struct Messages {
    /// Side of the observed host.
    pub role: &'static str,
    /// Query or response.
    pub r#type: &'static str,
    /// Address family.
    pub family: &'static str,
    /// UDP or TCP.
    pub transport: &'static str,
    /// How many.
    pub messages: u64,
    /// Their octets, without the length prefix of TCP.
    pub bytes: u64,
}

/// DNS messages with one value in common.
#[derive(Debug, Serialize)]
pub struct Tally {
    /// Side of the observed host.
    pub role: &'static str,
    /// Query or response.
    pub r#type: &'static str,
    /// The value, by its mnemonic.
    pub value: String,
    /// How many.
    pub messages: u64,
}

/// Sizes of the messages of one way.
#[derive(Debug, Serialize)]
pub struct Sizes {
    /// Side of the observed host.
    pub role: &'static str,
    /// Query or response.
    pub r#type: &'static str,
    /// UDP or TCP.
    pub transport: &'static str,
    /// Arithmetic mean, in octets.
    pub mean: f64,
    /// Bins of 16 octets, as RSSAC002 has them.
    pub bins: Vec<SizeBin>,
}

/// Messages of about the same size.
#[derive(Debug, Serialize)]
pub struct SizeBin {
    /// Least size in octets.
    pub from: usize,
    /// Greatest size; null in the last bin, which has none.
    pub to: Option<usize>,
    /// How many.
    pub messages: u64,
}

/// How the queries and responses of one way found each other.
#[derive(Debug, Serialize)]
pub struct Transactions {
    /// Side of the observed host.
    pub role: &'static str,
    /// UDP or TCP.
    pub transport: &'static str,
    /// Queries with a response.
    pub answered: u64,
    /// Queries without one within 5 s, or before the end.
    pub unanswered: u64,
    /// Responses without a query.
    pub unsolicited: u64,
    /// Time from query to response; null without answered queries.
    pub response_seconds: Option<ResponseSeconds>,
}

/// Response times in seconds.
#[derive(Debug, Serialize)]
pub struct ResponseSeconds {
    /// Arithmetic mean.
    pub mean: f64,
    /// Quantiles, estimated from `buckets`; at most the last bound, 5 s.
    pub p50: f64,
    /// As `p50`.
    pub p90: f64,
    /// As `p50`.
    pub p99: f64,
    /// The histogram.
    pub buckets: Vec<ResponseBucket>,
}

/// Queries answered in about the same time.
#[derive(Debug, Serialize)]
pub struct ResponseBucket {
    /// The longest time, in seconds; null in the last bucket, which has none.
    pub to: Option<f64>,
    /// How many.
    pub answered: u64,
}

/// What became of IP fragments. Each of them is a packet that ended as `fragment`;
/// what was put together of them counts among the messages only.
#[derive(Debug, Serialize)]
pub struct Fragments {
    /// Datagrams put together.
    pub datagrams: u64,
    /// Datagrams told by their first fragment, as far as it goes: the others did
    /// not come within a second.
    pub first_only: u64,
    /// Datagrams given up without a first fragment.
    pub incomplete: u64,
    /// Datagrams discarded since fragments of them overlap.
    pub overlapping: u64,
    /// Datagrams given up early, since a bound was reached.
    pub evicted: u64,
    /// Fragments that cannot be part of any datagram.
    pub malformed: u64,
    /// Fragments that came again, or after their datagram was done with.
    pub duplicates: u64,
}

/// How long TCP handshakes took, from the SYN-ACK to the ACK that completes them.
/// Those in which the SYN-ACK was sent twice are left out.
#[derive(Debug, Serialize)]
pub struct Handshakes {
    /// Address family.
    pub family: &'static str,
    /// How many.
    pub handshakes: u64,
    /// Arithmetic mean, in seconds.
    pub mean: f64,
    /// Quantiles in seconds, estimated from `buckets`; at most the last bound.
    pub p50: f64,
    /// As `p50`.
    pub p90: f64,
    /// As `p50`.
    pub p99: f64,
    /// The histogram.
    pub buckets: Vec<HandshakeBucket>,
}

/// Handshakes that took about the same time.
#[derive(Debug, Serialize)]
pub struct HandshakeBucket {
    /// The longest time, in seconds; null in the last bucket, which has none.
    pub to: Option<f64>,
    /// How many.
    pub handshakes: u64,
}

/// What became of TCP segments that are not one whole message each.
#[derive(Debug, Serialize)]
pub struct Streams {
    /// Messages put together from them.
    pub messages: u64,
    /// Messages put together that could not be read.
    pub rejected: u64,
    /// Segments that could not be brought into step with their stream.
    pub out_of_step: u64,
    /// Streams that ended within a message.
    pub unfinished: u64,
    /// Streams forgotten early, since a bound was reached.
    pub evicted: u64,
}

impl Summary {
    /// The document of a report.
    #[must_use]
    pub fn new(report: &Report) -> Self {
        let snapshot = &report.snapshot;
        let messages = snapshot.messages();
        Self {
            files: report.files.iter().map(File::new).collect(),
            time: report.span.map(Time::new),
            packets: Packets::new(snapshot),
            messages: carriers(&messages),
            opcodes: opcodes(&messages),
            qtypes: qtypes(&messages),
            rcodes: rcodes(&messages),
            flags: flags(&messages),
            edns: edns(&messages),
            sizes: sizes(&messages),
            transactions: transactions(&snapshot.pairing),
            streams: Streams::new(&snapshot.streams),
            handshakes: handshakes(snapshot),
            fragments: Fragments::new(&report.fragments),
        }
    }
}

impl File {
    fn new(report: &FileReport) -> Self {
        Self {
            file: report.file.clone(),
            packets: report.packets,
            skipped: report.skipped,
            errors: report.errors.clone(),
        }
    }
}

impl Time {
    fn new(span: Span) -> Self {
        Self {
            first: rfc3339(span.first_ns),
            last: rfc3339(span.last_ns),
            seconds: (span.last_ns - span.first_ns) as f64 / 1e9,
        }
    }
}

/// A time that no calendar reaches is told in nanoseconds.
fn rfc3339(time_ns: u64) -> String {
    match Timestamp::from_nanosecond(i128::from(time_ns)) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{time_ns} ns"),
    }
}

impl Packets {
    fn new(snapshot: &Snapshot) -> Self {
        let outcomes = each_hook(snapshot, Outcome::ALL, |counters, outcome| {
            (
                outcome.label(),
                outcome.description(),
                counters.outcomes(outcome),
            )
        });
        let total = outcomes.iter().map(|row| row.packets).sum();
        let (protocols, bytes) = protocols(snapshot);
        Self {
            total,
            bytes,
            outcomes,
            protocols,
            not_dns: counted(each_hook(snapshot, NotDns::ALL, |counters, kind| {
                (
                    kind.label(),
                    kind.description(),
                    counters.not_dns_packets(kind),
                )
            })),
            rejected: counted(each_hook(snapshot, Reject::ALL, |counters, reason| {
                (
                    reason.label(),
                    reason.description(),
                    counters.rejected_packets(reason),
                )
            })),
            records: counted(each_hook(snapshot, Delivery::ALL, |counters, delivery| {
                (
                    delivery.label(),
                    delivery.description(),
                    counters.records(delivery),
                )
            })),
            icmp: icmp(snapshot),
            tcp_events: counted(each_hook(snapshot, TcpEvent::ALL, |counters, event| {
                (
                    event.label(),
                    event.description(),
                    counters.tcp_events(event),
                )
            })),
        }
    }
}

fn each_hook<T: Copy>(
    snapshot: &Snapshot,
    values: &[T],
    count: impl Fn(&Counters, T) -> (&'static str, &'static str, u64),
) -> Vec<Packet> {
    let mut rows = Vec::new();
    for hook in Hook::ALL {
        for value in values {
            let (value, meaning, packets) = count(&snapshot.hook(*hook).packets, *value);
            rows.push(Packet {
                hook: hook.label(),
                value: value.to_owned(),
                meaning,
                packets,
            });
        }
    }
    rows
}

fn counted(mut rows: Vec<Packet>) -> Vec<Packet> {
    rows.retain(|row| row.packets != 0);
    rows
}

fn protocols(snapshot: &Snapshot) -> (Vec<Packet>, u64) {
    let (mut rows, mut octets) = (Vec::new(), 0);
    for hook in Hook::ALL {
        for family in Family::ALL {
            for protocol in Protocol::ALL {
                let (packets, bytes) = snapshot.hook(*hook).packets.packets(*family, *protocol);
                octets += bytes;
                rows.push(Packet {
                    hook: hook.label(),
                    value: format!("{} {}", family.label(), protocol.label()),
                    meaning: "",
                    packets,
                });
            }
        }
    }
    (counted(rows), octets)
}

fn icmp(snapshot: &Snapshot) -> Vec<Packet> {
    let mut rows = Vec::new();
    for hook in Hook::ALL {
        for protocol in [NotDns::Icmp, NotDns::Icmpv6] {
            for kind in IcmpType::ALL {
                rows.push(Packet {
                    hook: hook.label(),
                    value: format!("{} {}", protocol.label(), kind.label()),
                    meaning: kind.description(),
                    packets: snapshot.hook(*hook).packets.icmp(protocol, *kind),
                });
            }
        }
    }
    counted(rows)
}

/// What completes a handshake arrives.
fn handshakes(snapshot: &Snapshot) -> Vec<Handshakes> {
    let counters = &snapshot.hook(Hook::Ingress).packets;
    let families = [Family::Ipv4, Family::Ipv6].into_iter();
    let rows = families.map(|family| {
        let counts = counters.handshakes(family);
        let handshakes: u64 = counts.iter().sum();
        let bounds = (0..counts.len()).map(|bucket| handshake::bound_ns(bucket).map(seconds));
        let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| quantile(&buckets, share));
        let counted = buckets.into_iter().filter(|(_, count)| *count != 0);
        Handshakes {
            family: family.label(),
            handshakes,
            mean: seconds(counters.handshake_ns(family)) / handshakes.max(1) as f64,
            p50,
            p90,
            p99,
            buckets: counted
                .map(|(to, handshakes)| HandshakeBucket { to, handshakes })
                .collect(),
        }
    });
    rows.filter(|row| row.handshakes != 0).collect()
}

/// Role and QR, each combination once.
fn kinds() -> impl Iterator<Item = (Role, Qr)> {
    Role::ALL
        .iter()
        .flat_map(|role| Qr::ALL.iter().map(|qr| (*role, *qr)))
}

fn carriers(counters: &Counters) -> Vec<Messages> {
    let mut rows = Vec::new();
    for (role, qr) in kinds() {
        for family in [Family::Ipv4, Family::Ipv6] {
            for transport in Transport::ALL {
                let (messages, bytes) = counters.messages(role, qr, family, *transport);
                rows.push(Messages {
                    role: role.label(),
                    r#type: qr.label(),
                    family: family.label(),
                    transport: transport.label(),
                    messages,
                    bytes,
                });
            }
        }
    }
    rows.retain(|row| row.messages != 0);
    rows
}

fn tallies<T: Clone>(
    values: impl Iterator<Item = T> + Clone,
    count: impl Fn(Role, Qr, T) -> (String, u64),
) -> Vec<Tally> {
    let mut rows = Vec::new();
    for (role, qr) in kinds() {
        for value in values.clone() {
            let (value, messages) = count(role, qr, value);
            rows.push(Tally {
                role: role.label(),
                r#type: qr.label(),
                value,
                messages,
            });
        }
    }
    rows.retain(|row| row.messages != 0);
    rows
}

/// The most frequent first, within each way.
fn ranked(mut rows: Vec<Tally>) -> Vec<Tally> {
    // Ways are already together, and stay in their order: server before client.
    for way in rows.chunk_by_mut(|a, b| (a.role, a.r#type) == (b.role, b.r#type)) {
        way.sort_by_key(|row| std::cmp::Reverse(row.messages));
    }
    rows
}

fn opcodes(counters: &Counters) -> Vec<Tally> {
    tallies(0..16, |role, qr, opcode| {
        (
            Opcode(opcode).to_string(),
            counters.opcode(role, qr, opcode),
        )
    })
}

fn qtypes(counters: &Counters) -> Vec<Tally> {
    ranked(tallies(0..Qtype::SLOTS, |role, qr, slot| {
        (qtype_label(slot), counters.qtype(role, qr, slot))
    }))
}

fn rcodes(counters: &Counters) -> Vec<Tally> {
    ranked(tallies(0..RCODES, |role, qr, slot| {
        let responses = match qr {
            Qr::Response => counters.rcode(role, slot),
            Qr::Query => 0,
        };
        (rcode_label(slot).0, responses)
    }))
}

fn flags(counters: &Counters) -> Vec<Tally> {
    tallies(FLAGS.iter(), |role, qr, flag| {
        (flag.label.to_owned(), counters.flag(role, qr, *flag))
    })
}

fn edns(counters: &Counters) -> Vec<Tally> {
    tallies(EdnsState::ALL.iter(), |role, qr, state| {
        (state.label().to_owned(), counters.edns(role, qr, *state))
    })
}

fn sizes(counters: &Counters) -> Vec<Sizes> {
    let mut rows = Vec::new();
    for (role, qr) in kinds() {
        for transport in Transport::ALL {
            rows.extend(sizes_of(counters, role, qr, *transport));
        }
    }
    rows
}

fn sizes_of(counters: &Counters, role: Role, qr: Qr, transport: Transport) -> Option<Sizes> {
    let families = [Family::Ipv4, Family::Ipv6];
    let both = families.map(|family| counters.messages(role, qr, family, transport));
    let messages: u64 = both.iter().map(|(messages, _)| messages).sum();
    let bytes: u64 = both.iter().map(|(_, bytes)| bytes).sum();
    if messages == 0 {
        return None;
    }
    let last = match qr {
        Qr::Query => QUERY_SIZES - 1,
        Qr::Response => RESPONSE_SIZES - 1,
    };
    let bins = counters.sizes(role, qr, transport).iter().enumerate();
    let bins = bins.filter(|(_, messages)| **messages != 0);
    let bins = bins.map(|(bin, messages)| SizeBin {
        from: bin * SIZE_BIN,
        to: (bin != last).then_some(bin * SIZE_BIN + SIZE_BIN - 1),
        messages: *messages,
    });
    Some(Sizes {
        role: role.label(),
        r#type: qr.label(),
        transport: transport.label(),
        mean: bytes as f64 / messages as f64,
        bins: bins.collect(),
    })
}

fn transactions(pairing: &PairingStats) -> Vec<Transactions> {
    let mut rows = Vec::new();
    for role in Role::ALL {
        for transport in Transport::ALL {
            let stats = pairing.of(*role, *transport);
            rows.push(Transactions {
                role: role.label(),
                transport: transport.label(),
                answered: stats.answered,
                unanswered: stats.unanswered,
                unsolicited: stats.unsolicited,
                response_seconds: ResponseSeconds::new(stats),
            });
        }
    }
    rows.retain(|row| row.answered + row.unanswered + row.unsolicited != 0);
    rows
}

impl ResponseSeconds {
    fn new(stats: &TransactionStats) -> Option<Self> {
        if stats.answered == 0 {
            return None;
        }
        let bounds = BUCKETS_NS.iter().map(|bound| Some(seconds(*bound)));
        let buckets: Vec<_> = bounds.chain([None]).zip(stats.buckets).collect();
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| quantile(&buckets, share));
        let buckets = buckets.into_iter().filter(|(_, count)| *count != 0);
        Some(Self {
            mean: stats.sum_ns as f64 / 1e9 / stats.answered as f64,
            p50,
            p90,
            p99,
            buckets: buckets
                .map(|(to, answered)| ResponseBucket { to, answered })
                .collect(),
        })
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The quantile as Prometheus estimates it: evenly spread within a bucket.
/// Buckets are upper bounds in seconds, the last without one, and counts.
fn quantile(buckets: &[(Option<f64>, u64)], share: f64) -> f64 {
    let total: u64 = buckets.iter().map(|(_, count)| count).sum();
    let rank = share * total as f64;
    let (mut below, mut from) = (0, 0.0);
    for (bound, count) in buckets {
        let Some(to) = *bound else { break };
        if (below + count) as f64 >= rank && *count != 0 {
            return from + (to - from) * (rank - below as f64) / *count as f64;
        }
        below += count;
        from = to;
    }
    from
}

impl Fragments {
    const fn new(stats: &FragmentStats) -> Self {
        Self {
            datagrams: stats.datagrams,
            first_only: stats.first_only,
            incomplete: stats.incomplete,
            overlapping: stats.overlapping,
            evicted: stats.evicted,
            malformed: stats.malformed,
            duplicates: stats.duplicates,
        }
    }
}

impl Streams {
    fn new(stats: &StreamStats) -> Self {
        Self {
            messages: stats.messages,
            rejected: stats.rejected.iter().sum(),
            out_of_step: stats.out_of_step,
            unfinished: stats.unfinished,
            evicted: stats.evicted,
        }
    }
}
