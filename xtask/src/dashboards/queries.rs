//! What is asked: types, names, flags, sizes, and by which ways.

use super::{
    layout::Section,
    overview::qtypes,
    palette::{self, rising},
    panel::{Unit, bars, heatmap, time_series, top},
    query::{Selector, dataset, metric, queries, ratio, ratio_of_all},
    schema::{Dashboard, Panel},
    variables,
};

pub(super) const UID: &str = "xdsc-queries";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Queries",
        "What the servers are asked: types, names, sizes, EDNS, transports, and what kind of traffic it is.",
        vec![variables::zone()],
        vec![
            ways(),
            types(),
            names(),
            zones(),
            kinds(),
            flags(),
            sizes(),
            special(),
            more(),
        ],
    )
}

/// Areas of the values of a dataset.
fn areas(title: &str, description: &str, of: &Selector, label: &str) -> Panel {
    time_series(title, description, Unit::Queries)
        .query(&of.top_rates(15, label), &format!("{{{{{label}}}}}"))
        .stacked()
        .coloured(palette::NAMES)
}

fn ways() -> Section {
    let octets = metric("xdsc_dns_message_bytes_total").with(r#"role="server""#);
    let ip_versions = dataset("dns_ip_version_vs_qtype", "qtype");
    Section::new("Ways")
        .line(8, vec![
            time_series("Queries by transport", "DNS queries over UDP and over TCP. Exact.", Unit::Queries)
                .query(&queries().rate("transport"), "{{transport}}")
                .stacked()
                .coloured(palette::TRANSPORTS),
            time_series("Queries by IP version", "DNS queries over IPv4 and over IPv6. Exact.", Unit::Queries)
                .query(&queries().rate("family"), "{{family}}")
                .stacked()
                .coloured(palette::FAMILIES),
            time_series("Octets of queries and responses", "Octets of DNS messages, without what carries them.", Unit::OctetRate)
                .query(&octets.clone().with(r#"type="query""#).rate(""), "queries")
                .query(&octets.with(r#"type="response""#).rate(""), "responses")
                .coloured(palette::DIRECTIONS)
                .downwards("responses"),
        ])
        .line(8, vec![
            time_series("Queries by IP version and type", "The greatest combinations of IP version and QTYPE.", Unit::Queries)
                .query(&ip_versions.top_rates(12, "ip_version, qtype"), "{{ip_version}} {{qtype}}")
                .stacked(),
            time_series("Queries by transport and type", "The greatest combinations of transport and QTYPE.", Unit::Queries)
                .query(&dataset("transport_vs_qtype", "qtype").top_rates(12, "transport, qtype"), "{{transport}} {{qtype}}")
                .stacked(),
            time_series("Messages by OPCODE", "Queries other than QUERY are NOTIFY and UPDATE between servers, or somebody who tries things.", Unit::Queries)
                .query(&metric("xdsc_dns_opcode_messages_total").with(r#"role="server",type="query""#).rate("opcode"), "{{opcode}}"),
        ])
}

fn types() -> Section {
    let dnssec = qtypes().with(r#"qtype=~"DS|DNSKEY|RRSIG|NSEC|NSEC3|NSEC3PARAM|CDS|CDNSKEY""#);
    Section::new("Types")
        .line(9, vec![
            time_series("Queries by type", "The 15 types that are asked for most in the time shown.", Unit::Queries)
                .query(&qtypes().top_rates(15, "qtype"), "{{qtype}}")
                .stacked()
                .coloured(palette::QTYPES),
            time_series("Queries by type, shares", "The same as shares of each other.", Unit::Queries)
                .query(&qtypes().top_rates(15, "qtype"), "{{qtype}}")
                .shares()
                .coloured(palette::QTYPES),
        ])
        .line(8, vec![
            time_series("DNSSEC types", "Queries for the types that validators need.", Unit::Queries)
                .query(&dnssec.rate("qtype"), "{{qtype}}")
                .coloured(palette::QTYPES),
            top("Types and top-level domains", "The greatest combinations in the time shown, of the popular types as DSC has them. Without what has no cell of its own.",
                &dataset("qtype_vs_tld", "tld").top_totals(50, "qtype, tld"),
                &[("qtype", "Type"), ("tld", "Top-level domain")]),
        ])
}

fn names() -> Section {
    Section::new("Names")
        .line(9, vec![
            areas("Top-level domains", "The 15 that are asked for most in the time shown; all without a cell of their own are other.", &dataset("tld", "tld"), "tld"),
            areas("Second-level domains", "The 15 that are asked for most in the time shown.", &dataset("second_ld", "second_ld"), "second_ld"),
        ])
        .line(9, vec![
            top("Names", "The names that are asked for most in the time shown. Names of a zone that is flooded with random ones stand together as *.zone.",
                &dataset("qname", "qname").top_totals(50, "qname"), &[("qname", "Name")]),
            top("Second-level domains, greatest", "The domains that are asked for most in the time shown.",
                &dataset("second_ld", "second_ld").top_totals(50, "second_ld"), &[("second_ld", "Domain")]),
            top("Top-level domains, greatest", "The top-level domains that are asked for most in the time shown.",
                &dataset("tld", "tld").top_totals(50, "tld"), &[("tld", "Top-level domain")]),
        ])
        .line(8, vec![
            time_series("Names that say something", "localhost should never leave a host; names below root-servers.net are those of resolvers that look for the root.", Unit::Queries)
                .query(&dataset("certain_qnames_vs_qtype", "qtype").rate("certain_qnames"), "{{certain_qnames}}"),
            time_series("Internationalized names", "Queries for names whose first label is encoded (xn--).", Unit::Queries)
                .query(&dataset("idn_qname", "idn_qname").rate("idn_qname"), "{{idn_qname}}"),
            top("Internationalized names by top-level domain", "Where internationalized names are asked for most in the time shown.",
                &dataset("idn_vs_tld", "tld").top_totals(50, "tld"), &[("tld", "Top-level domain")]),
        ])
        .line(8, vec![
            bars("Length of names", "Octets of the names that are asked for, as text; the 25 most frequent lengths. Long ones in numbers may be a tunnel.", Unit::Queries)
                .now(&dataset("qtype_vs_qnamelen", "qname_len").top_rates(25, "qname_len"), "{{qname_len}}"),
            top("Types and lengths of names", "The greatest combinations in the time shown.",
                &dataset("qtype_vs_qnamelen", "qname_len").top_totals(50, "qtype, qname_len"),
                &[("qtype", "Type"), ("qname_len", "Length")]),
            bars("Labels of names", "How many labels names have.", Unit::Queries)
                .now(&dataset("label_count", "label_count").rate("label_count"), "{{label_count}}"),
        ])
}

fn zones() -> Section {
    let zone = dataset("zone", "zone").with(r#"zone=~"$zone""#);
    Section::new("Zones that are served")
        .line(9, vec![
            areas("Queries by zone", "The 15 zones that are asked for most; none are names in no zone of the list. It takes a list of zones (`statistics.zones`).", &zone, "zone"),
            top("Zones", "Queries for each zone in the time shown.", &zone.top_totals(100, "zone"), &[("zone", "Zone")])
                .link("Zone", "Attacks on this zone", super::attack::UID, "zone"),
            time_series("Different names by zone", "Different names that were asked for in a minute, of the zones with the most. Estimated.", Unit::Count)
                .query(&metric("xdsc_zone_distinct_names").with(r#"zone=~"$zone""#).max("zone"), "{{zone}}"),
        ])
}

fn kinds() -> Section {
    let classes = dataset("query_classification", "class");
    Section::new("Kinds of queries")
        .line(8, vec![
            areas("Classification", "Queries that no resolver in its right mind sends to an authoritative server: for addresses as names, private addresses, names that do not exist by design. `ok` are all others.", &classes, "class"),
            time_series("Classification without ok", "The same, without the sound ones.", Unit::Queries)
                .query(&classes.with(r#"class!="ok""#).rate("class"), "{{class}}")
                .stacked(),
            top("CHAOS queries", "Types and names in class CH: who asks for versions and identities.",
                &dataset("chaos_types_and_names", "qname").top_totals(50, "qtype, qname"),
                &[("qtype", "Type"), ("qname", "Name")]),
        ])
}

fn flags() -> Section {
    let flags = metric("xdsc_dns_flag_messages_total").with(r#"role="server",type="query""#);
    let shares = ratio_of_all(
        &flags.with(r#"flag=~"RD|DO|CD|AD|TC""#).rate("flag"),
        &queries().rate(""),
    );
    let edns = metric("xdsc_dns_edns_messages_total").with(r#"role="server",type="query""#);
    let with_edns = ratio(
        &edns.clone().with(r#"edns="present""#).rate(""),
        &edns.rate(""),
    );
    Section::new("Flags and EDNS")
        .line(8, vec![
            time_series("Flags of queries, shares", "RD wants recursion, which authoritative servers do not do; DO wants DNSSEC; CD and AD are those of validators.", Unit::Share)
                .query(&shares, "{{flag}}"),
            time_series("EDNS in queries", "Whether queries have an OPT record.", Unit::Queries)
                .query(&edns.rate("edns"), "{{edns}}")
                .stacked(),
            time_series("Share with EDNS", "Queries with an OPT record, as a share of all.", Unit::Share)
                .query(&with_edns, "EDNS"),
        ])
        .line(8, vec![
            areas("EDNS versions", "The version that queries say; there is but 0.", &dataset("edns_version", "edns_version"), "edns_version"),
            areas("EDNS buffer sizes", "The UDP payload size that queries offer, in bins of 512. 1232 is what is recommended.", &dataset("edns_bufsiz", "edns_bufsiz"), "edns_bufsiz"),
            time_series("RD and DO", "Queries with RD set, and with DO set.", Unit::Queries)
                .query(&metric("xdsc_dns_flag_messages_total").with(r#"role="server",type="query",flag=~"RD|DO""#).rate("flag"), "{{flag}}"),
        ])
}

fn sizes() -> Section {
    let sizes = metric("xdsc_dns_query_size_bytes").with(r#"role="server""#);
    Section::new("Sizes").line(
        8,
        vec![
            heatmap(
                "Sizes of queries",
                "Sizes of DNS queries without the length prefix of TCP.",
                Unit::Octets,
                &sizes.heatmap(),
            ),
            time_series(
                "Sizes of queries, quantiles",
                "Half, 95 % and 99 % of queries are at most as long.",
                Unit::Octets,
            )
            .query(&sizes.quantile(0.5, ""), "50 %")
            .query(&sizes.quantile(0.95, ""), "95 %")
            .query(&sizes.quantile(0.99, ""), "99 %")
            .coloured(palette::QUANTILES),
        ],
    )
}

fn special() -> Section {
    let ports = dataset("client_port_range", "port_range");
    let low = ratio(
        &ports.clone().with(r#"port_range="0-1023""#).rate(""),
        &ports.rate(""),
    );
    Section::new("Ports and priming")
        .line(8, vec![
            areas("Source ports of queries", "Ports in bins of 1024. Random ports fill all bins alike.", &ports, "port_range"),
            time_series("Source ports below 1024", "A share above some percent is a resolver that does not choose ports at random, or a reflection attack.", Unit::Share)
                .query(&low, "below 1024")
                .thresholds(rising(0.05, 0.2)),
            time_series("Priming queries", "Queries for the root's name servers, by transport and buffer size (RFC 8109).", Unit::Queries)
                .query(&dataset("priming_queries", "edns_bufsiz").rate("transport, edns_bufsiz"), "{{transport}} {{edns_bufsiz}}"),
        ])
}

fn more() -> Section {
    Section::new("Datasets that are off by default: turn them on in statistics.datasets")
        .collapsed()
        .line(8, vec![
            areas("States of top-level domains", "Whether the top-level domain is delegated, set aside, or neither. Needs `tld_state`.", &dataset("tld_state", "state"), "state"),
            top("Top-level domains that do not exist", "Names that leak into the DNS. Needs `unknown_tld`.",
                &dataset("unknown_tld", "tld").top_totals(50, "tld"), &[("tld", "Top-level domain")]),
            top("Third-level domains", "The greatest in the time shown. Needs `third_ld`.",
                &dataset("third_ld", "third_ld").top_totals(50, "third_ld"), &[("third_ld", "Domain")]),
        ])
        .line(8, vec![
            top("EDNS options", "Which options queries have. Needs `edns_options`.",
                &dataset("edns_options", "options").top_totals(50, "options"), &[("options", "Options")]),
            time_series("Cookies, NSID and client subnet", "Queries with these options. Needs `edns_cookie`, `edns_nsid`, `edns_ecs`.", Unit::Queries)
                .query(&dataset("edns_cookie", "cookie").with(r#"cookie="yes""#).rate(""), "cookie")
                .query(&dataset("edns_nsid", "nsid").with(r#"nsid="yes""#).rate(""), "NSID")
                .query(&dataset("edns_ecs", "ecs").with(r#"ecs="yes""#).rate(""), "client subnet"),
            bars("Hop limits", "TTL or hop limit of queries as they arrive: how far away clients are, and which ones are forged. Needs `hop_limit`.", Unit::Queries)
                .now(&dataset("hop_limit", "hop_limit").top_rates(25, "hop_limit"), "{{hop_limit}}"),
        ])
        .line(8, vec![
            areas("Classification as DSC has it", "The classes with DSC's own rules, its defects included. Needs `dsc_classification`.", &dataset("dsc_classification", "class"), "class"),
            areas("Encryption", "Whether queries came encrypted: never, in what xdsc reads. Needs `encryption`.", &dataset("encryption", "encryption"), "encryption"),
            time_series("Queries by server address", "Which of the server's addresses is asked, and how. Needs `server_vs_transport`.", Unit::Queries)
                .query(&dataset("server_vs_transport", "transport").rate("server, transport"), "{{server}} {{transport}}")
                .stacked(),
        ])
}
