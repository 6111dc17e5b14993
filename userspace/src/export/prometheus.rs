//! The statistics as Prometheus families.
//!
//! The tables of the packet path are encoded as they stand when a scrape comes:
//! nothing here is touched per message. Label values of the datasets come from
//! packets, bounded and escaped by `stats::aggregate`; all others are from closed
//! sets, but for interface names and CPU numbers, which are the machine's.

mod caches;
pub mod datasets;
mod files;
mod lag;
mod reverse_dns;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

use std::{fmt, ops::Range};

use dns_wire::{
    counters::{Counters, Delivery, FLAGS, Hook, Outcome, Qr, RCODES, Role, SIZE_BIN, TcpEvent},
    handshake,
    iana::{Opcode, Qtype, Rcode},
    icmp::IcmpType,
    locate::{Family, NotDns, Protocol, Transport},
    message::EdnsState,
    reject::Reject,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{
    process::ProcessCollector,
    snapshot::{LiveState, Snapshot},
};
use crate::{source::stream::StreamStats, stats::pairing::BUCKETS_NS, view::Viewers};

/// Upper bounds of the query sizes' histogram: ends of 16-octet bins.
const QUERY_BOUNDS: [usize; 12] = [31, 47, 63, 79, 95, 111, 127, 159, 191, 223, 255, 287];
/// Upper bounds of the response sizes' histogram: ends of 16-octet bins.
const RESPONSE_BOUNDS: [usize; 13] = [
    31, 63, 95, 127, 191, 255, 383, 511, 767, 1023, 1231, 1503, 4095,
];

/// The snapshot as OpenMetrics text.
///
/// # Errors
/// When a value cannot be written, which none of these can cause.
pub fn openmetrics(
    snapshot: Snapshot,
    process: Option<ProcessCollector>,
) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let mut registry = Registry::with_prefix("xdsc");
    registry.register_collector(Box::new(Statistics(snapshot)));
    text::encode_registry(&mut text, &registry)?;
    if let Some(process) = process {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process));
        text::encode_registry(&mut text, &registry)?;
    }
    text::encode_eof(&mut text)?;
    Ok(text)
}

#[derive(Debug)]
struct Statistics(Snapshot);

type Labels<'a, const N: usize> = [(&'a str, &'a str); N];

impl Collector for Statistics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        families.build_info()?;
        families.packets(&self.0)?;
        families.outcomes(&self.0)?;
        families.messages(&self.0)?;
        let messages = self.0.messages();
        families.dns(&messages)?;
        families.sizes(&messages)?;
        families.transactions(&self.0)?;
        families.streams(&self.0.streams)?;
        if let Some(statistics) = &self.0.statistics {
            families.statistics(statistics)?;
        }
        if let Some(live) = &self.0.live {
            families.live(live)?;
            families.rings(live)?;
        }
        families.stages(&self.0.stages)?;
        families.files(&self.0.files)?;
        if let Some(tables) = &self.0.tables {
            families.tables(tables)?;
        }
        if let Some(reverse_dns) = &self.0.reverse_dns {
            families.reverse_dns(reverse_dns)?;
        }
        if let Some(caches) = &self.0.caches {
            families.caches(caches)?;
        }
        if let Some(stream) = &self.0.stream {
            families.enriched_stream(stream)?;
        }
        if let Some(viewers) = &self.0.viewers {
            families.viewers(viewers)?;
        }
        Ok(())
    }
}

/// Declares families: name, help, samples.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut Samples<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        samples(&mut Samples(family))
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl FnOnce(&mut Samples<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        samples(&mut Samples(family))
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        unit: &Unit,
        samples: impl FnOnce(&mut Samples<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let family = self
            .0
            .encode_descriptor(name, help, Some(unit), MetricType::Histogram)?;
        samples(&mut Samples(family))
    }

    fn build_info(&mut self) -> fmt::Result {
        let help = "What this xdsc was built from; always 1";
        self.gauge("build_info", help, None, |samples| {
            samples.gauge([("version", env!("CARGO_PKG_VERSION"))], 1.0)
        })
    }

    fn packets(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let help = "Packets seen, by the innermost IP header. Exact";
        self.counter("packets", help, |samples| {
            each_packet_kind(snapshot, |labels, (packets, _)| {
                samples.counter(labels, packets)
            })
        })?;
        let help = "Octets of packets seen, link layer included. Exact";
        self.counter("packet_bytes", help, |samples| {
            each_packet_kind(snapshot, |labels, (_, bytes)| {
                samples.counter(labels, bytes)
            })
        })
    }

    fn outcomes(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let help = "Packets by what they ended as, each as exactly one: the sum is xdsc_packets_total. Exact";
        self.counter("packet_outcomes", help, |samples| {
            each_hook(snapshot, |hook, counters| {
                for outcome in Outcome::ALL {
                    let labels = [("hook", hook.label()), ("outcome", outcome.label())];
                    samples.counter(labels, counters.outcomes(*outcome))?;
                }
                Ok(())
            })
        })?;
        let help = "Packets without DNS that xdsc could read, by protocol. Exact";
        self.counter("not_dns_packets", help, |samples| {
            each_hook(snapshot, |hook, counters| {
                for kind in NotDns::ALL {
                    let labels = [("hook", hook.label()), ("protocol", kind.label())];
                    samples.counter(labels, counters.not_dns_packets(*kind))?;
                }
                Ok(())
            })
        })?;
        let help = "ICMP and ICMPv6 packets by type, of destination unreachable by reason. Exact";
        self.counter("icmp_packets", help, |samples| {
            each_hook(snapshot, |hook, counters| {
                for protocol in [NotDns::Icmp, NotDns::Icmpv6] {
                    for kind in IcmpType::ALL {
                        let labels = [
                            ("hook", hook.label()),
                            ("protocol", protocol.label()),
                            ("type", kind.label()),
                        ];
                        let count = counters.icmp(protocol, *kind);
                        samples.counter_if(is_of_interest(*kind), labels, count)?;
                    }
                }
                Ok(())
            })
        })?;
        let help = "Packets that could not be read, by reason. Exact";
        self.counter("rejected_packets", help, |samples| {
            each_hook(snapshot, |hook, counters| {
                for reason in Reject::ALL {
                    let labels = [("hook", hook.label()), ("reason", reason.label())];
                    samples.counter(labels, counters.rejected_packets(*reason))?;
                }
                Ok(())
            })
        })?;
        let help = "Packets with outcome dns or segment, by what became of their record: the sum is that of both. Exact";
        self.counter("records", help, |samples| {
            each_hook(snapshot, |hook, counters| {
                for delivery in Delivery::ALL {
                    let labels = [("hook", hook.label()), ("outcome", delivery.label())];
                    samples.counter(labels, counters.records(*delivery))?;
                }
                Ok(())
            })
        })?;
        let help = "TCP segments without payload on DNS ports that open or end a connection. Exact";
        self.counter("tcp_events", help, |samples| {
            each_hook(snapshot, |hook, counters| {
                for event in TcpEvent::ALL {
                    let labels = [("hook", hook.label()), ("event", event.label())];
                    samples.counter(labels, counters.tcp_events(*event))?;
                }
                Ok(())
            })
        })?;
        self.handshakes(snapshot)
    }

    fn handshakes(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let help = "Time from a SYN-ACK of the server to the ACK that completes the handshake, without those that were sent twice";
        self.histogram("tcp_handshake_rtt", help, &Unit::Seconds, |samples| {
            // What completes a handshake arrives.
            let counters = &snapshot.hook(Hook::Ingress).packets;
            for family in [Family::Ipv4, Family::Ipv6] {
                let handshakes = counters.handshakes(family);
                let bounds = (0..handshakes.len()).map(handshake_bound);
                let buckets: Vec<_> = bounds.zip(handshakes.iter().copied()).collect();
                let sum = counters.handshake_ns(family) as f64 / 1e9;
                let labels = [("family", family.label())];
                samples.histogram(labels, sum, handshakes.iter().sum(), &buckets)?;
            }
            Ok(())
        })
    }

    fn messages(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let help = "DNS messages. Exact, but for TCP streams that had to be sampled";
        self.counter("dns_messages", help, |samples| {
            each_carrier(snapshot, |labels, (messages, _)| {
                samples.counter(labels, messages)
            })
        })?;
        let help = "Octets of DNS messages, without the length prefix of TCP";
        self.counter("dns_message_bytes", help, |samples| {
            each_carrier(snapshot, |labels, (_, bytes)| {
                samples.counter(labels, bytes)
            })
        })
    }

    fn dns(&mut self, messages: &Counters) -> fmt::Result {
        self.counter("dns_opcode_messages", "DNS messages by OPCODE", |samples| {
            each_kind(|role, qr| {
                (0..16).try_for_each(|opcode| {
                    let count = messages.opcode(role, qr, opcode);
                    let known = role == Role::Server && Opcode(opcode).mnemonic().is_some();
                    samples.counter_if(
                        known,
                        kind_labels(role, qr, "opcode", &Opcode(opcode).to_string()),
                        count,
                    )
                })
            })
        })?;
        let help = "DNS responses by RCODE, with the upper bits of the OPT record where no other record stands before it";
        self.counter("dns_rcode_responses", help, |samples| {
            Role::ALL.iter().try_for_each(|role| {
                (0..RCODES).try_for_each(|slot| {
                    let (label, known) = rcode_label(slot);
                    let labels = [("role", role.label()), ("rcode", label.as_str())];
                    let known = known && *role == Role::Server && slot < 16;
                    samples.counter_if(known, labels, messages.rcode(*role, slot))
                })
            })
        })?;
        let help = "DNS messages by QTYPE of the first question; types above 262 are other, messages without a question none";
        self.counter("dns_qtype_messages", help, |samples| {
            each_kind(|role, qr| {
                (0..Qtype::SLOTS).try_for_each(|slot| {
                    let label = qtype_label(slot);
                    let count = messages.qtype(role, qr, slot);
                    samples.counter_if(false, kind_labels(role, qr, "qtype", &label), count)
                })
            })
        })?;
        let help = "DNS messages with a header bit set, or DO, CO or DE in the OPT record";
        self.counter("dns_flag_messages", help, |samples| {
            each_kind(|role, qr| {
                FLAGS.into_iter().try_for_each(|flag| {
                    let count = messages.flag(role, qr, flag);
                    samples.counter(kind_labels(role, qr, "flag", flag.label), count)
                })
            })
        })?;
        let help = "DNS messages by what is known of their OPT record";
        self.counter("dns_edns_messages", help, |samples| {
            each_kind(|role, qr| {
                EdnsState::ALL.iter().try_for_each(|state| {
                    let count = messages.edns(role, qr, *state);
                    samples.counter(kind_labels(role, qr, "edns", state.label()), count)
                })
            })
        })
    }

    fn sizes(&mut self, messages: &Counters) -> fmt::Result {
        let help = "Sizes of DNS queries, without the length prefix of TCP";
        self.histogram("dns_query_size", help, &Unit::Bytes, |samples| {
            each_size(messages, Qr::Query, &QUERY_BOUNDS, samples)
        })?;
        let help = "Sizes of DNS responses, without the length prefix of TCP";
        self.histogram("dns_response_size", help, &Unit::Bytes, |samples| {
            each_size(messages, Qr::Response, &RESPONSE_BOUNDS, samples)
        })
    }

    fn transactions(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let pairing = &snapshot.pairing;
        let help = "Queries and responses by whether their other half was seen; scaled up from the share of transactions that is paired";
        self.counter("transactions", help, |samples| {
            each_transport(|role, transport| {
                let stats = pairing.of(role, transport);
                for (outcome, count) in [
                    ("answered", stats.answered),
                    ("unanswered", stats.unanswered),
                    ("unsolicited", stats.unsolicited),
                ] {
                    let labels = [
                        ("role", role.label()),
                        ("transport", transport.label()),
                        ("outcome", outcome),
                    ];
                    samples.counter(labels, count)?;
                }
                Ok(())
            })
        })?;
        let help = "Time between a query and its response at the network interface; scaled up from the share of transactions that is paired";
        self.histogram("response_time", help, &Unit::Seconds, |samples| {
            each_transport(|role, transport| {
                let stats = pairing.of(role, transport);
                let bounds = BUCKETS_NS.iter().map(|bound| *bound as f64 / 1e9);
                let buckets: Vec<_> = bounds
                    .chain([f64::INFINITY])
                    .zip(stats.buckets.iter().copied())
                    .collect();
                let labels = [("role", role.label()), ("transport", transport.label())];
                samples.histogram(labels, stats.sum_ns as f64 / 1e9, stats.answered, &buckets)
            })
        })?;
        let help = "One transaction in so many is paired at the moment";
        self.gauge("pairing_interval", help, None, |samples| {
            samples.gauge([], pairing.one_in as f64)
        })?;
        let help = "Transactions that wait for their other half";
        self.gauge("pairing_pending", help, None, |samples| {
            samples.gauge([], pairing.pending as f64)
        })?;
        let help = "Messages that could not wait for their other half, since the table was full";
        self.counter("pairing_overflows", help, |samples| {
            samples.counter([], pairing.overflowed)
        })
    }

    fn streams(&mut self, streams: &StreamStats) -> fmt::Result {
        let help = "DNS messages put together from TCP segments";
        self.counter("stream_messages", help, |samples| {
            samples.counter([], streams.messages)
        })?;
        let help = "Messages put together from TCP segments that could not be read, by reason";
        self.counter("stream_rejected_messages", help, |samples| {
            for (reason, count) in Reject::ALL.iter().zip(streams.rejected) {
                // The reasons before are those of packets.
                let known =
                    reason.index() >= Reject::DnsHeader.index() && *reason != Reject::Snapped;
                samples.counter_if(known, [("reason", reason.label())], count)?;
            }
            Ok(())
        })?;
        let help = "TCP segments that could not be brought into step with their stream";
        self.counter("stream_out_of_step_segments", help, |samples| {
            samples.counter([], streams.out_of_step)
        })?;
        let help = "TCP streams forgotten with an unfinished message";
        self.counter("stream_unfinished", help, |samples| {
            samples.counter([], streams.unfinished)
        })?;
        let help = "TCP streams forgotten early, since a bound was reached";
        self.counter("stream_evictions", help, |samples| {
            samples.counter([], streams.evicted)
        })?;
        let help =
            "TCP segments that could not wait for older ones of other rings, since too many waited";
        self.counter("stream_unordered_segments", help, |samples| {
            samples.counter([], streams.unordered)
        })?;
        let help = "TCP segments lost on the way to the drain thread that has their stream, since it did not take those before";
        self.counter("stream_lost_segments", help, |samples| {
            samples.counter([], streams.lost)
        })?;
        let help = "TCP streams that are being followed";
        self.gauge("streams", help, None, |samples| {
            samples.gauge([], streams.streams as f64)
        })?;
        let help = "Octets kept of unfinished TCP streams";
        self.gauge("stream_memory", help, Some(&Unit::Bytes), |samples| {
            samples.gauge([], streams.memory as f64)
        })
    }

    fn viewers(&mut self, viewers: &Viewers) -> fmt::Result {
        let help = "Those who watch the page at / or the events behind it";
        self.gauge("viewers", help, None, |samples| {
            samples.gauge([], viewers.now as f64)
        })?;
        let help = "The most that may watch at a time";
        self.gauge("max_viewers", help, None, |samples| {
            samples.gauge([], viewers.max as f64)
        })?;
        let help = "Those who watched no more: refused since all places were taken, or too_slow";
        self.counter("lost_viewers", help, |samples| {
            samples.counter([("reason", "refused")], viewers.refused)?;
            samples.counter([("reason", "too_slow")], viewers.dropped)
        })
    }

    fn live(&mut self, live: &LiveState) -> fmt::Result {
        let help = "Name of the server and of its site; always 1";
        self.gauge("node_info", help, None, |samples| {
            samples.gauge(
                [("node", live.node.as_str()), ("site", live.site.as_str())],
                1.0,
            )
        })?;
        let help =
            "What the clock of the server says when it is scraped, in seconds since the Unix epoch";
        self.gauge("time", help, Some(&Unit::Seconds), |samples| {
            samples.gauge([], live.time_s)
        })?;
        let help = "Where and how the kernel programs are attached; always 1";
        self.gauge("attachment_info", help, None, |samples| {
            live.attachments.iter().try_for_each(|place| {
                let labels = [
                    ("interface", place.interface.as_str()),
                    ("hook", place.hook.label()),
                    ("mode", place.mode),
                ];
                samples.gauge(labels, 1.0)
            })
        })?;
        let help = "Runs of a kernel program while the kernel measured them";
        self.counter("probe_runs", help, |samples| {
            live.programs
                .iter()
                .try_for_each(|program| samples.counter([("program", program.name)], program.runs))
        })?;
        let help = "Time in a kernel program in the runs that xdsc_probe_runs_total counts";
        self.counter("probe_run_seconds", help, |samples| {
            live.programs.iter().try_for_each(|program| {
                samples.counter_f64([("program", program.name)], program.seconds)
            })
        })?;
        let help =
            "Times that a ring held a damaged record; what followed it in the batch was skipped";
        self.counter("ring_damaged", help, |samples| {
            samples.counter([], live.damaged_records)
        })?;
        let help = "Longest time on a CPU, within a minute, that a thread took to hand its numbers over, while it read no ring";
        self.gauge("drain_max_pause", help, Some(&Unit::Seconds), |samples| {
            samples.gauge([], live.longest_pause)
        })
    }

    fn rings(&mut self, live: &LiveState) -> fmt::Result {
        let rings: Vec<_> = live
            .rings
            .iter()
            .map(|ring| (ring, ring.cpu.to_string()))
            .collect();
        let labels = |hook: Hook, cpu| [("hook", hook.label()), ("cpu", cpu)];
        let lags = rings.iter();
        let lags: Vec<_> = lags
            .map(|(ring, cpu)| (labels(ring.hook, cpu.as_str()), ring.lag))
            .collect();
        self.lag(&lag::RINGS, &lags)?;
        let help =
            "Records that were lost since a ring was full at the highest sampling level, or in use";
        self.counter("ring_dropped_records", help, |samples| {
            rings.iter().try_for_each(|(ring, cpu)| {
                samples.counter(labels(ring.hook, cpu.as_str()), ring.dropped)
            })
        })?;
        let help = "Share of a ring that was in use when the scrape came, 0 to 1";
        self.gauge("ring_fill_ratio", help, None, |samples| {
            rings.iter().try_for_each(|(ring, cpu)| {
                samples.gauge(labels(ring.hook, cpu.as_str()), ring.fill)
            })
        })?;
        let help = "One record in so many is put into a ring at the moment; 1 is all";
        self.gauge("ring_sampling_interval", help, None, |samples| {
            rings.iter().try_for_each(|(ring, cpu)| {
                samples.gauge(labels(ring.hook, cpu.as_str()), ring.one_in as f64)
            })
        })?;
        let help = "Variance, by sampling, of the number of messages that the records of a ring stand for; a cell of a dataset has that share of it that it has of the messages";
        self.counter("ring_sampling_variance", help, |samples| {
            rings.iter().try_for_each(|(ring, cpu)| {
                samples.counter(labels(ring.hook, cpu.as_str()), ring.sampling_variance)
            })
        })?;
        let help = "Size of a ring's data";
        self.gauge("ring_size", help, Some(&Unit::Bytes), |samples| {
            rings.iter().try_for_each(|(ring, cpu)| {
                samples.gauge(labels(ring.hook, cpu.as_str()), ring.bytes as f64)
            })
        })
    }
}

/// The samples of one family.
struct Samples<'a>(MetricEncoder<'a>);

impl Samples<'_> {
    fn counter<const N: usize>(&mut self, labels: Labels<'_, N>, value: u64) -> fmt::Result {
        if N == 0 {
            return self.0.encode_counter::<NoLabelSet, _, u64>(&value, None);
        }
        self.0
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A counter of a large set: shown when it is known or has counted.
    fn counter_if<const N: usize>(
        &mut self,
        known: bool,
        labels: Labels<'_, N>,
        value: u64,
    ) -> fmt::Result {
        if known || value != 0 {
            self.counter(labels, value)?;
        }
        Ok(())
    }

    fn counter_f64<const N: usize>(&mut self, labels: Labels<'_, N>, value: f64) -> fmt::Result {
        if N == 0 {
            return self.0.encode_counter::<NoLabelSet, _, f64>(&value, None);
        }
        self.0
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn gauge<const N: usize>(&mut self, labels: Labels<'_, N>, value: f64) -> fmt::Result {
        if N == 0 {
            return self.0.encode_gauge(&value);
        }
        self.0.encode_family(&labels)?.encode_gauge(&value)
    }

    fn histogram<const N: usize>(
        &mut self,
        labels: Labels<'_, N>,
        sum: f64,
        count: u64,
        buckets: &[(f64, u64)],
    ) -> fmt::Result {
        if N == 0 {
            return self
                .0
                .encode_histogram::<NoLabelSet>(sum, count, buckets, None);
        }
        self.0
            .encode_family(&labels)?
            .encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }
}

fn each_hook(
    snapshot: &Snapshot,
    mut sample: impl FnMut(Hook, &Counters) -> fmt::Result,
) -> fmt::Result {
    Hook::ALL
        .iter()
        .try_for_each(|hook| sample(*hook, &snapshot.hook(*hook).packets))
}

fn each_packet_kind(
    snapshot: &Snapshot,
    mut sample: impl FnMut(Labels<'static, 3>, (u64, u64)) -> fmt::Result,
) -> fmt::Result {
    each_hook(snapshot, |hook, counters| {
        for family in Family::ALL {
            for protocol in Protocol::ALL {
                let labels = [
                    ("hook", hook.label()),
                    ("family", family.label()),
                    ("protocol", protocol.label()),
                ];
                sample(labels, counters.packets(*family, *protocol))?;
            }
        }
        Ok(())
    })
}

fn each_carrier(
    snapshot: &Snapshot,
    mut sample: impl FnMut(Labels<'static, 5>, (u64, u64)) -> fmt::Result,
) -> fmt::Result {
    Hook::ALL.iter().try_for_each(|hook| {
        let messages = snapshot.hook(*hook).messages();
        each_kind(|role, qr| {
            for family in [Family::Ipv4, Family::Ipv6] {
                for transport in Transport::ALL {
                    let labels = [
                        ("hook", hook.label()),
                        ("role", role.label()),
                        ("family", family.label()),
                        ("transport", transport.label()),
                        ("type", qr.label()),
                    ];
                    sample(labels, messages.messages(role, qr, family, *transport))?;
                }
            }
            Ok(())
        })
    })
}

fn each_kind(mut sample: impl FnMut(Role, Qr) -> fmt::Result) -> fmt::Result {
    Role::ALL
        .iter()
        .try_for_each(|role| Qr::ALL.iter().try_for_each(|qr| sample(*role, *qr)))
}

fn each_transport(mut sample: impl FnMut(Role, Transport) -> fmt::Result) -> fmt::Result {
    Role::ALL.iter().try_for_each(|role| {
        Transport::ALL
            .iter()
            .try_for_each(|transport| sample(*role, *transport))
    })
}

fn kind_labels<'a>(role: Role, qr: Qr, name: &'static str, value: &'a str) -> Labels<'a, 3> {
    [("role", role.label()), ("type", qr.label()), (name, value)]
}

fn each_size(
    messages: &Counters,
    qr: Qr,
    bounds: &[usize],
    samples: &mut Samples<'_>,
) -> fmt::Result {
    each_transport(|role, transport| {
        let bins = messages.sizes(role, qr, transport);
        let count = bins.iter().sum();
        let sum: u64 = [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .map(|family| messages.messages(role, qr, family, transport).1)
            .sum();
        let labels = [("role", role.label()), ("transport", transport.label())];
        samples.histogram(labels, sum as f64, count, &size_buckets(bins, bounds))
    })
}

/// Buckets that end where bins of 16 octets do.
fn size_buckets(bins: &[u64], bounds: &[usize]) -> Vec<(f64, u64)> {
    let mut from = 0;
    let mut buckets = Vec::with_capacity(bounds.len() + 1);
    for bound in bounds {
        let to = (bound + 1) / SIZE_BIN;
        buckets.push((*bound as f64, sum(bins, from..to)));
        from = to;
    }
    buckets.push((f64::INFINITY, sum(bins, from..bins.len())));
    buckets
}

fn sum(bins: &[u64], range: Range<usize>) -> u64 {
    bins.get(range).unwrap_or(&[]).iter().sum()
}

/// Types that tell of reachability are shown even before they count.
const fn is_of_interest(kind: IcmpType) -> bool {
    matches!(
        kind,
        IcmpType::NetUnreachable
            | IcmpType::HostUnreachable
            | IcmpType::PortUnreachable
            | IcmpType::Prohibited
            | IcmpType::PacketTooBig
            | IcmpType::TimeExceeded
            | IcmpType::EchoRequest
            | IcmpType::EchoReply
    )
}

/// The upper bound of a handshakes' bucket, in seconds.
fn handshake_bound(bucket: usize) -> f64 {
    handshake::bound_ns(bucket).map_or(f64::INFINITY, |bound| bound as f64 / 1e9)
}

/// The label of a QTYPE's slot.
#[must_use]
pub fn qtype_label(slot: usize) -> String {
    match slot {
        Qtype::NO_QUESTION_SLOT => "none".to_owned(),
        Qtype::OTHER_SLOT => "other".to_owned(),
        _ => Qtype(slot as u16).to_string(),
    }
}

/// The label of an RCODE's slot, and whether it has a mnemonic.
pub(crate) fn rcode_label(slot: usize) -> (String, bool) {
    if slot == RCODES - 1 {
        return ("other".to_owned(), false);
    }
    let rcode = Rcode(slot as u16);
    (rcode.to_string(), rcode.mnemonic().is_some())
}
