//! What the dashboards of DSC, Hedgehog, DNS-STATS Visualizer and pktvisor show,
//! and which of our panels shows it. A test sees to it that the panels exist.

use super::{attack, clients, health, overview, queries, responses, rssac002};

/// The panels of another program.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) panels: &'static [Theirs],
}

/// A panel of theirs.
pub(super) struct Theirs {
    pub(super) name: &'static str,
    /// Dashboards and titles of ours.
    pub(super) ours: &'static [(&'static str, &'static str)],
    /// What is not the same.
    pub(super) note: &'static str,
}

const fn same(name: &'static str, ours: &'static [(&'static str, &'static str)]) -> Theirs {
    Theirs {
        name,
        ours,
        note: "",
    }
}

const fn alike(
    name: &'static str,
    ours: &'static [(&'static str, &'static str)],
    note: &'static str,
) -> Theirs {
    Theirs { name, ours, note }
}

pub(super) const PROGRAMS: &[Program] = &[
    DSC_STATISTICS,
    DSC_LOCATIONS,
    DSC_BASIC,
    DSC_CLIENT_SUBNET,
    DSC_EXTENDED,
    HEDGEHOG,
    VISUALIZER,
    PKTVISOR,
];

const DSC_STATISTICS: Program = Program {
    name: "DSC: Statistics",
    panels: &[
        alike(
            "Packets captured, received, dropped by the kernel",
            &[
                (health::UID, "Packets by outcome"),
                (health::UID, "Records by outcome"),
                (health::UID, "Records dropped"),
            ],
            "no libpcap: packets are counted in the kernel and none is dropped; records may be",
        ),
        alike(
            "Filtered and received, share",
            &[(health::UID, "Packets by outcome")],
            "outcome `not_dns` is what a filter would have left out",
        ),
        same(
            "Queries per second",
            &[(overview::UID, "Queries and responses")],
        ),
        same(
            "Responses per second",
            &[(overview::UID, "Queries and responses")],
        ),
        same(
            "Queries and responses, share",
            &[(attack::UID, "Responses per query")],
        ),
        same(
            "Query failure rate",
            &[(responses::UID, "Query failure rate")],
        ),
        same("RCODEs", &[(responses::UID, "RCODEs, shares")]),
        same(
            "Response time, logarithmic",
            &[
                (responses::UID, "Response time, distribution"),
                (responses::UID, "Response time, quantiles"),
            ],
        ),
        same(
            "DO bit and its share",
            &[
                (queries::UID, "RD and DO"),
                (queries::UID, "Flags of queries, shares"),
            ],
        ),
        same(
            "RD bit and its share",
            &[
                (queries::UID, "RD and DO"),
                (queries::UID, "Flags of queries, shares"),
            ],
        ),
    ],
};

const DSC_LOCATIONS: Program = Program {
    name: "DSC: Locations and Queries",
    panels: &[
        same(
            "Queries by country",
            &[(clients::UID, "Queries by country")],
        ),
        alike(
            "Queries by authority (RIR)",
            &[
                (clients::UID, "Queries by continent"),
                (clients::UID, "Autonomous systems"),
            ],
            "the registry of an address is not looked up; continents and systems are",
        ),
        same("Query classifications", &[(queries::UID, "Classification")]),
        same(
            "QTYPE and TLD, top 20",
            &[(queries::UID, "Types and top-level domains")],
        ),
        same(
            "RCODE per IP or network, top 20",
            &[(clients::UID, "RCODEs by prefix")],
        ),
        same(
            "RCODE per second level, top 20",
            &[(responses::UID, "RCODEs by second-level domain")],
        ),
        same(
            "RCODE per third level, top 20",
            &[(responses::UID, "RCODEs by third-level domain")],
        ),
    ],
};

const DSC_BASIC: Program = Program {
    name: "DSC: Basic",
    panels: &[
        alike(
            "Packets per second by interface",
            &[(health::UID, "Packets by direction and protocol")],
            "by direction and node: all interfaces of a node count together",
        ),
        same(
            "Queries per second by node",
            &[(overview::UID, "Queries by node")],
        ),
        same("By QTYPE", &[(queries::UID, "Queries by type")]),
        same("By RCODE", &[(responses::UID, "Responses by RCODE")]),
        same("By OPCODE", &[(queries::UID, "Messages by OPCODE")]),
    ],
};

const DSC_CLIENT_SUBNET: Program = Program {
    name: "DSC: Client Subnet",
    panels: &[
        same(
            "client_subnet, sum and mean",
            &[
                (clients::UID, "Busiest prefixes"),
                (clients::UID, "Queries by prefix"),
            ],
        ),
        same(
            "client_subnet2, sum and mean",
            &[(clients::UID, "Kinds of queries by prefix")],
        ),
        same(
            "client_subnet2, trace",
            &[(clients::UID, "Queries by kind")],
        ),
        same(
            "client_subnet2, count",
            &[(clients::UID, "Prefixes by kind")],
        ),
        same("By country", &[(clients::UID, "Countries")]),
        alike(
            "By authority",
            &[(clients::UID, "Autonomous systems")],
            "as above",
        ),
    ],
};

const DSC_EXTENDED: Program = Program {
    name: "DSC: Extended",
    panels: &[
        same(
            "qtype_vs_all_tld",
            &[(queries::UID, "Types and top-level domains")],
        ),
        same(
            "direction_vs_ipproto, received and sent",
            &[(health::UID, "Packets by direction and protocol")],
        ),
        same(
            "transport_vs_qtype",
            &[(queries::UID, "Queries by transport and type")],
        ),
        same("idn_qname", &[(queries::UID, "Internationalized names")]),
        same("rd_bit", &[(queries::UID, "RD and DO")]),
        same("do_bit", &[(queries::UID, "RD and DO")]),
        same("edns_version", &[(queries::UID, "EDNS versions")]),
        same(
            "qtype_vs_qnamelen",
            &[
                (queries::UID, "Length of names"),
                (queries::UID, "Types and lengths of names"),
            ],
        ),
        alike(
            "rcode_vs_replylen",
            &[
                (responses::UID, "Sizes of responses"),
                (responses::UID, "RCODEs and sizes of responses"),
            ],
            "by RCODE where the dataset is turned on",
        ),
        same(
            "client_addr_vs_rcode_accum",
            &[(clients::UID, "RCODEs by prefix")],
        ),
        same(
            "ipv6_rsn_abusers_accum",
            &[(
                clients::UID,
                "Prefixes that ask for X.root-servers.net AAAA",
            )],
        ),
        same("chaos_types_and_names", &[(queries::UID, "CHAOS queries")]),
        same(
            "client_port_range",
            &[(queries::UID, "Source ports of queries")],
        ),
        same("edns_bufsiz", &[(queries::UID, "EDNS buffer sizes")]),
        same("priming_queries", &[(queries::UID, "Priming queries")]),
        same(
            "priming_responses",
            &[(responses::UID, "Responses to priming queries")],
        ),
        same("qr_aa_bits", &[(responses::UID, "QR and AA by direction")]),
        same(
            "dns_ip_version_vs_qtype",
            &[(queries::UID, "Queries by IP version and type")],
        ),
    ],
};

const HEDGEHOG: Program = Program {
    name: "Hedgehog",
    panels: &[
        alike(
            "By node or region",
            &[
                (overview::UID, "Queries by node"),
                (overview::UID, "Queries by site"),
            ],
            "regions are sites, or what else targets are labelled with",
        ),
        same("CHAOS", &[(queries::UID, "CHAOS queries")]),
        same("DO", &[(queries::UID, "RD and DO")]),
        same("EDNS version", &[(queries::UID, "EDNS versions")]),
        same(
            "IDN",
            &[
                (queries::UID, "Internationalized names"),
                (queries::UID, "Internationalized names by top-level domain"),
            ],
        ),
        same(
            "OPCODE other than QUERY",
            &[(queries::UID, "Messages by OPCODE")],
        ),
        same("RD", &[(queries::UID, "RD and DO")]),
        same("QTYPE", &[(queries::UID, "Queries by type")]),
        same("DNSSEC QTYPEs", &[(queries::UID, "DNSSEC types")]),
        same(
            "Popular names",
            &[
                (queries::UID, "Names"),
                (queries::UID, "Names that say something"),
            ],
        ),
        same(
            "QTYPE and TLD",
            &[(queries::UID, "Types and top-level domains")],
        ),
        same("Length of QNAME", &[(queries::UID, "Length of names")]),
        same("RCODE", &[(responses::UID, "Responses by RCODE")]),
        same(
            "Length of replies, below and from 1000",
            &[
                (responses::UID, "Responses below and from 1024 octets"),
                (responses::UID, "Sizes of responses"),
            ],
        ),
        same("IP version", &[(queries::UID, "Queries by IP version")]),
        same(
            "IP version and QTYPE",
            &[(queries::UID, "Queries by IP version and type")],
        ),
        same(
            "Received packets by IP protocol",
            &[(health::UID, "Packets by direction and protocol")],
        ),
        same("Transport", &[(queries::UID, "Queries by transport")]),
        alike(
            "Statistics of pcap",
            &[(health::UID, "Records by outcome")],
            "as above",
        ),
        same("Busiest subnets", &[(clients::UID, "Busiest prefixes")]),
        same("RCODE by subnet", &[(clients::UID, "RCODEs by prefix")]),
        same(
            "Root abusers",
            &[(
                clients::UID,
                "Prefixes that ask for X.root-servers.net AAAA",
            )],
        ),
        same(
            "Classification: accumulated, count, trace",
            &[
                (clients::UID, "Kinds of queries by prefix"),
                (clients::UID, "Prefixes by kind"),
                (clients::UID, "Queries by kind"),
            ],
        ),
        same(
            "RSSAC: rcode volume",
            &[(rssac002::UID, "Responses sent by RCODE")],
        ),
        same(
            "RSSAC: traffic sizes, small and big",
            &[
                (rssac002::UID, "UDP request sizes"),
                (rssac002::UID, "UDP response sizes"),
                (rssac002::UID, "TCP request sizes"),
                (rssac002::UID, "TCP response sizes"),
            ],
        ),
        same(
            "RSSAC: traffic volume",
            &[
                (rssac002::UID, "Queries received"),
                (rssac002::UID, "Responses sent"),
            ],
        ),
        same(
            "RSSAC: unique sources",
            &[(rssac002::UID, "Sources of the day")],
        ),
        same(
            "RSSAC: queries less responses",
            &[(rssac002::UID, "Queries without responses")],
        ),
    ],
};

const VISUALIZER: Program = Program {
    name: "DNS-STATS Visualizer, beyond Hedgehog",
    panels: &[
        same(
            "Busiest client ASNs",
            &[(clients::UID, "Autonomous systems")],
        ),
        same(
            "RCODE by ASN",
            &[(clients::UID, "RCODEs by autonomous system")],
        ),
        alike(
            "RCODE by AS subnet",
            &[(clients::UID, "RCODEs by prefix")],
            "prefixes of one length, as configured",
        ),
        alike(
            "DNSKEY queries by ASN",
            &[
                (queries::UID, "DNSSEC types"),
                (clients::UID, "Countries and types"),
            ],
            "types by country; by system with a `[[dataset]]` of `asn` and `qtype`",
        ),
        alike(
            "Client location by city and country",
            &[(clients::UID, "Queries by country")],
            "countries only: cities are less than databases know",
        ),
        same(
            "Queries by server address and transport",
            &[(queries::UID, "Queries by server address")],
        ),
        same(
            "Active nodes without traffic",
            &[
                (overview::UID, "Silent nodes"),
                (overview::UID, "Nodes with queries"),
            ],
        ),
        same(
            "30 highest and lowest nodes",
            &[
                (overview::UID, "Busiest nodes"),
                (overview::UID, "Quietest nodes"),
            ],
        ),
        alike(
            "Undelegated TLDs by QTYPE",
            &[
                (queries::UID, "Top-level domains that do not exist"),
                (queries::UID, "Types and top-level domains"),
            ],
            "types beside, not crossed",
        ),
        same(
            "RSSAC",
            &[
                (rssac002::UID, "Queries received"),
                (rssac002::UID, "Sources of the day"),
            ],
        ),
    ],
};

const PKTVISOR: Program = Program {
    name: "pktvisor",
    panels: &[
        same(
            "Packets in and out",
            &[(health::UID, "Packets by direction and protocol")],
        ),
        same("L3 protocols", &[(health::UID, "Packets by IP version")]),
        same(
            "L4 protocols",
            &[(health::UID, "Packets by direction and protocol")],
        ),
        same("Top IPv4, top IPv6", &[(clients::UID, "Busiest prefixes")]),
        same("Top locations", &[(clients::UID, "Countries")]),
        same("Top ASNs", &[(clients::UID, "Autonomous systems")]),
        same(
            "Cardinality of addresses",
            &[(clients::UID, "Different clients by the minute")],
        ),
        same(
            "DNS: queries and replies",
            &[(overview::UID, "Queries and responses")],
        ),
        same(
            "DNS: UDP and TCP, IPv4 and IPv6",
            &[
                (queries::UID, "Queries by transport"),
                (queries::UID, "Queries by IP version"),
            ],
        ),
        same("DNS: RCODEs", &[(responses::UID, "Responses by RCODE")]),
        same("DNS: top QTYPEs", &[(queries::UID, "Queries by type")]),
        same(
            "DNS: top names of two and three labels",
            &[
                (queries::UID, "Second-level domains, greatest"),
                (queries::UID, "Third-level domains"),
            ],
        ),
        same(
            "DNS: top NXDOMAIN, REFUSED, SERVFAIL",
            &[
                (responses::UID, "RCODEs by second-level domain"),
                (responses::UID, "Names with SERVFAIL"),
            ],
        ),
        alike(
            "DNS: cardinality of names",
            &[(queries::UID, "Different names by zone")],
            "by zone of the list",
        ),
        alike(
            "DNS: top UDP ports",
            &[(queries::UID, "Source ports of queries")],
            "in bins: single ports of clients say nothing",
        ),
        same(
            "DNS: transactions and time-outs",
            &[(responses::UID, "Queries and their other half")],
        ),
        same(
            "DNS: transaction times in and out",
            &[(responses::UID, "Response time, quantiles")],
        ),
        alike(
            "DNS: slowest names",
            &[(responses::UID, "Response time, distribution")],
            "single slow ones are in `xdsc tail`",
        ),
        same(
            "DNS: top client subnets of EDNS",
            &[(clients::UID, "Client subnets of EDNS")],
        ),
    ],
};
