//! What an operator looks at when something is wrong: what has changed, who it
//! comes from, and what kind of attack it is.

use super::{
    layout::Section,
    limits::Limit,
    overview::{qtypes, rcode_share, tcp_share, unanswered},
    palette::{self, rising},
    panel::{Unit, bars, stat, table, text, time_series, top},
    query::{Selector, dataset, metric, queries, ratio, responses},
    schema::{Dashboard, Panel},
    variables,
};

pub(super) const UID: &str = "xdsc-attack";

/// What to make of the panels.
const GUIDE: &str = "\
- **Random subdomains**: more NXDOMAIN, different names per zone rise, the zone is listed below.
- **Reflection**: amplification and ANY rise, few prefixes ask for large answers, ICMP *port unreachable* comes back.
- **Flood of forged addresses**: different clients jump, hop limits and ports look alike.
- **One client**: concentration rises, evenness falls, its prefix is among the movers.
- **Malformed packets**: rejected packets by reason.";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Attack",
        "What has changed, who it comes from, and what kind of attack it is.",
        vec![variables::zone()],
        vec![
            signals(),
            movers(),
            random_subdomains(),
            reflection(),
            concentration(),
            malformed(),
        ],
    )
}

/// Octets of responses for each octet of queries, over UDP.
fn amplification(by: &str) -> String {
    let octets = metric("xdsc_dns_message_bytes_total").with(r#"role="server",transport="udp""#);
    let [asked, answered] =
        ["query", "response"].map(|kind| octets.clone().with(&format!(r#"type="{kind}""#)));
    ratio(&answered.rate(by), &asked.rate(by))
}

/// Different names per minute in zones with random ones.
fn random_names() -> Selector {
    metric("xdsc_random_subdomain_names").with(r#"zone=~"$zone""#)
}

fn signals() -> Section {
    let before = format!(
        "{} / ({} / $__range_s > 0)",
        queries().rate(""),
        queries().total("")
    );
    let rejected = metric("xdsc_rejected_packets_total").with(r#"hook="ingress""#);
    Section::new("Signals")
        .line(5, vec![
            text("How to read this", GUIDE).width(6),
            stat("Queries, times the usual", "The rate of now by that of the whole time shown: choose one that begins before the attack.", Unit::Plain)
                .query(&before, "times")
                .limit(Limit::Spike),
            stat("Zones with random names", "Zones in which so many names are asked for once that they are counted together.", Unit::Count)
                .query(&metric("xdsc_random_subdomain_zones").max(""), "zones")
                .limit(Limit::Never),
            stat("Amplification", "Octets of responses for each octet of queries, over UDP. Above 10, the server is worth abusing as a reflector.", Unit::Plain)
                .query(&amplification(""), "times")
                .limit(Limit::Amplification),
            stat("NXDOMAIN", "Share of responses with RCODE NXDOMAIN.", Unit::Share)
                .query(&rcode_share("NXDOMAIN", ""), "NXDOMAIN"),
            stat("Malformed", "Packets that arrive and cannot be read.", Unit::Packets)
                .query(&rejected.rate(""), "rejected")
                .thresholds(rising(10.0, 1000.0)),
            stat("Unanswered", "Share of queries without a response in time.", Unit::Share)
                .query(&unanswered(""), "unanswered")
                .limit(Limit::Unanswered),
        ])
}

/// A table of what has changed most.
fn moved(title: &str, of: &Selector, labels: &[(&str, &str)]) -> Panel {
    let by: Vec<_> = labels.iter().map(|(label, _)| *label).collect();
    let description = "What has grown most: the rate of now without that of the whole time shown.";
    table(title, description, Unit::Queries)
        .column(&of.movers(15, &by.join(", ")), "Growth")
        .labels(labels)
        .sorted_by("Growth")
        .thresholds(rising(100.0, 10_000.0))
}

fn movers() -> Section {
    Section::new("Top movers")
        .line(
            8,
            vec![
                moved("Names", &dataset("qname", "qname"), &[("qname", "Name")]),
                moved(
                    "Second-level domains",
                    &dataset("second_ld", "second_ld"),
                    &[("second_ld", "Domain")],
                ),
                moved(
                    "Prefixes",
                    &dataset("client_subnet", "client_subnet"),
                    &[("client_subnet", "Prefix")],
                ),
            ],
        )
        .line(
            8,
            vec![
                moved("Types", &qtypes(), &[("qtype", "Type")]),
                moved(
                    "Autonomous systems",
                    &dataset("asn", "as_org"),
                    &[("asn", "AS"), ("as_org", "Organisation")],
                ),
                moved(
                    "Countries",
                    &dataset("country_code", "country_code"),
                    &[("country_code", "Country")],
                ),
                moved(
                    "Zones",
                    &dataset("zone", "zone").with(r#"zone=~"$zone""#),
                    &[("zone", "Zone")],
                ),
            ],
        )
}

fn random_subdomains() -> Section {
    let zones = dataset("zone", "zone").with(r#"zone=~"$zone""#);
    let missing = dataset("zone_vs_rcode", "rcode").with(r#"zone=~"$zone",rcode="NXDOMAIN""#);
    let folded = dataset("qname", "qname").with(r#"qname=~"\\*\\..*""#);
    Section::new("Random subdomains")
        .line(8, vec![
            time_series("Random names by zone", "Different names per minute that were asked for about once, by the zone in which they are. Estimated.", Unit::Count)
                .query(&random_names().sum("zone"), "{{zone}}")
                .limit(Limit::RandomNames),
            top("Names that stand together", "Queries for random names in the time shown, by their zone. Empty in health.",
                &folded.top_totals(50, "qname"), &[("qname", "Names")])
                .or_else("none"),
            time_series("Zones with random names by node", "How many zones each node counts together.", Unit::Count)
                .query(&metric("xdsc_random_subdomain_zones").max("site, instance"), "{{site}} {{instance}}"),
        ])
        .line(8, vec![
            time_series("Different names by zone", "Different names in a minute, of the zones of the list with the most.", Unit::Count)
                .query(&metric("xdsc_zone_distinct_names").with(r#"zone=~"$zone""#).max("zone"), "{{zone}}"),
            time_series("NXDOMAIN by zone", "Share of responses of a zone that say that there is no such name.", Unit::Share)
                .query(&ratio(&missing.rate("zone"), &dataset("zone_vs_rcode", "rcode").with(r#"zone=~"$zone""#).rate("zone")), "{{zone}}"),
            time_series("Queries by zone", "Queries for each zone of the list.", Unit::Queries)
                .query(&zones.top_rates(15, "zone"), "{{zone}}"),
        ])
}

fn reflection() -> Section {
    let any = qtypes().with(r#"qtype=~"ANY|TXT|DNSKEY|RRSIG""#);
    let icmp = metric("xdsc_icmp_packets_total")
        .with(r#"hook="ingress",type=~".*unreachable|prohibited|time_exceeded""#);
    let unsolicited = metric("xdsc_transactions_total").with(r#"outcome="unsolicited""#);
    let own = metric("xdsc_dns_messages_total").with(r#"role="client""#);
    Section::new("Reflection")
        .line(8, vec![
            time_series("Amplification by node", "Octets of responses for each octet of queries, over UDP.", Unit::Plain)
                .query(&amplification("site, instance"), "{{site}} {{instance}}")
                .limit(Limit::Amplification),
            time_series("Types with large answers", "Queries for the types that reflectors are abused with.", Unit::Queries)
                .query(&any.rate("qtype"), "{{qtype}}")
                .coloured(palette::QTYPES),
            time_series("ICMP errors that come back", "Victims that did not ask say that nobody listens there.", Unit::Packets)
                .query(&icmp.rate("type"), "{{type}}"),
        ])
        .line(8, vec![
            time_series("Responses that nobody asked for", "Responses without a query, by who should have asked. Those with role client that arrive are a reflection attack on this host.", Unit::Messages)
                .query(&unsolicited.rate("role, transport"), "{{role}} {{transport}}"),
            time_series("Messages of this host as a client", "What this host asks others, or is told without asking.", Unit::Messages)
                .query(&own.rate("hook, type"), "{{hook}} {{type}}"),
            time_series("Responses per query", "Above 1, responses leave that nobody asked for; far below, queries are dropped.", Unit::Plain)
                .query(&ratio(&responses().rate(""), &queries().rate("")), "responses per query"),
            time_series("TCP, share of queries", "Rate limiting that truncates makes honest clients come over TCP.", Unit::Share)
                .query(&tcp_share(""), "TCP")
                .limit(Limit::Tcp),
        ])
}

fn concentration() -> Section {
    let subnets = dataset("client_subnet", "client_subnet");
    let names = dataset("second_ld", "second_ld");
    let sources = metric("xdsc_distinct_clients").with(r#"window="minute""#);
    Section::new("Concentration and entropy")
        .line(8, vec![
            time_series("Share of the greatest prefixes", "How much of the queries comes from few prefixes.", Unit::Share)
                .query(&subnets.concentration(1, "client_subnet"), "the greatest")
                .query(&subnets.concentration(10, "client_subnet"), "the ten greatest")
                .thresholds(rising(0.5, 0.8)),
            time_series("Evenness", "Entropy of queries by prefix, domain and type, as a share of the greatest that there can be: 1 is all alike, 0 all of one. A sudden change says that the traffic is another.", Unit::Share)
                .query(&subnets.evenness("client_subnet"), "prefixes")
                .query(&names.evenness("second_ld"), "domains")
                .query(&qtypes().evenness("qtype"), "types"),
            time_series("Different clients in a minute", "A jump without a reason is forged addresses. Estimated.", Unit::Count)
                .query(&sources.sum("family"), "{{family}}")
                .coloured(palette::FAMILIES),
        ])
}

fn malformed() -> Section {
    let rejected = metric("xdsc_rejected_packets_total").with(r#"hook="ingress""#);
    let streams = metric("xdsc_stream_rejected_messages_total");
    let events = metric("xdsc_tcp_events_total").with(r#"hook="ingress""#);
    let fragments =
        metric("xdsc_packet_outcomes_total").with(r#"hook="ingress",outcome=~"fragment|rejected""#);
    let protocols = metric("xdsc_not_dns_packets_total").with(r#"hook="ingress""#);
    Section::new("Malformed and foreign packets")
        .line(8, vec![
            time_series("Malformed packets by reason", "Packets that arrive and cannot be read, by the first thing that is wrong.", Unit::Packets)
                .query(&format!("{} > 0", rejected.rate("reason")), "{{reason}}")
                .stacked(),
            time_series("Malformed messages over TCP", "Messages put together from segments that cannot be read, by the first thing that is wrong.", Unit::Messages)
                .query(&streams.rate("reason"), "{{reason}}"),
            time_series("Fragments and rejected packets", "Fragments in numbers are a flood, or responses of others that are too large.", Unit::Packets)
                .query(&fragments.rate("outcome"), "{{outcome}}")
                .coloured(palette::OUTCOMES),
        ])
        .line(8, vec![
            time_series("TCP connections opened and ended", "SYNs without FINs are a flood; RSTs are refused or given up.", Unit::Events)
                .query(&events.rate("event"), "{{event}}"),
            time_series("Packets that are no DNS", "What else arrives at the interface, by protocol.", Unit::Packets)
                .query(&protocols.rate("protocol"), "{{protocol}}"),
            bars("ICMP by type", "ICMP packets that arrive, now.", Unit::Packets)
                .now(&metric("xdsc_icmp_packets_total").with(r#"hook="ingress""#).rate("type"), "{{type}}"),
        ])
}
