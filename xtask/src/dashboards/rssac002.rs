//! The measurements of RSSAC002, live: what the files of a day will say.

use super::{
    layout::Section,
    limits::Limit,
    palette::{self, rising},
    panel::{Unit, bars, heatmap, stat, text, time_series},
    query::{metric, queries, ratio, rcodes, responses},
    schema::Dashboard,
};

pub(super) const UID: &str = "xdsc-rssac002";

const NOTE: &str = "\
The numbers of RSSAC002 as they come: what is published is in the files that xdsc writes of each UTC day \
(`[rssac002]`), exact over restarts, and `xdsc rssac002 merge` puts those of several nodes together. \
Different sources of several nodes are not their sum: here a source that asks two nodes counts twice, in the \
merged files it counts once. `load-time` and `zone-size` are not of packets: the zone's publisher knows them.";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "RSSAC002",
        "Traffic volume, sizes, RCODEs and sources, as root server operators publish them.",
        vec![],
        vec![volume(), sizes(), rcode_volume(), sources(), files()],
    )
}

fn volume() -> Section {
    let missing = format!("{} - {}", queries().rate(""), responses().rate(""));
    Section::new("traffic-volume")
        .line(
            8,
            vec![
                time_series(
                    "Queries received",
                    "By transport and IP version: dns-udp-queries-received-ipv4 and its like.",
                    Unit::Queries,
                )
                .query(
                    &queries().rate("transport, family"),
                    "{{transport}} {{family}}",
                )
                .stacked(),
                time_series(
                    "Responses sent",
                    "By transport and IP version: dns-udp-responses-sent-ipv4 and its like.",
                    Unit::Messages,
                )
                .query(
                    &responses().rate("transport, family"),
                    "{{transport}} {{family}}",
                )
                .stacked(),
                time_series(
                    "Queries without responses",
                    "Queries received less responses sent: what was dropped, or limited.",
                    Unit::Queries,
                )
                .query(&missing, "difference"),
            ],
        )
        .line(
            4,
            vec![
                text("What this is", NOTE).width(12),
                stat(
                    "Queries in the time shown",
                    "Choose a UTC day to see that day's.",
                    Unit::Count,
                )
                .now(&queries().total(""), "queries"),
                stat("TCP", "Share of queries over TCP.", Unit::Share)
                    .query(&super::overview::tcp_share(""), "TCP")
                    .limit(Limit::Tcp),
                stat(
                    "Responses to queries",
                    "Responses sent for each query received.",
                    Unit::Share,
                )
                .query(
                    &ratio(&responses().rate(""), &queries().rate("")),
                    "responses",
                ),
            ],
        )
}

fn sizes() -> Section {
    let of = |family: &str, transport: &str| {
        metric(family)
            .with(&format!(r#"role="server",transport="{transport}""#))
            .heatmap()
    };
    let panels = [
        ("UDP request sizes", "xdsc_dns_query_size_bytes", "udp"),
        ("TCP request sizes", "xdsc_dns_query_size_bytes", "tcp"),
        ("UDP response sizes", "xdsc_dns_response_size_bytes", "udp"),
        ("TCP response sizes", "xdsc_dns_response_size_bytes", "tcp"),
    ]
    .map(|(title, family, transport)| {
        let description = "Sizes of DNS messages without the length prefix of TCP. The files have bins of 16 octets; these are wider.";
        heatmap(title, description, Unit::Octets, &of(family, transport))
    });
    Section::new("traffic-sizes").line(8, panels.into())
}

fn rcode_volume() -> Section {
    Section::new("rcode-volume").line(
        8,
        vec![
            time_series(
                "Responses sent by RCODE",
                "Responses by RCODE, with the upper bits of the OPT record.",
                Unit::Messages,
            )
            .query(&rcodes().rate("rcode"), "{{rcode}}")
            .stacked()
            .coloured(palette::RCODES),
            bars(
                "Responses sent in the time shown",
                "By RCODE. Choose a UTC day to see that day's.",
                Unit::Count,
            )
            .now(&rcodes().total("rcode"), "{{rcode}}"),
        ],
    )
}

fn sources() -> Section {
    let today = metric("xdsc_distinct_clients").with(r#"window="day""#);
    Section::new("unique-sources").line(8, vec![
        time_series("Sources of the day", "Different sources since midnight (UTC): ipv4, ipv6, and IPv6 aggregated to 64 bits. Nodes added up. Estimated.", Unit::Count)
            .query(&today.sum("family"), "{{family}}")
            .coloured(palette::FAMILIES),
        time_series("Sources by node", "Different sources since midnight (UTC) at each node.", Unit::Count)
            .query(&today.with(r#"family=~"ipv4|ipv6""#).sum("site, instance"), "{{site}} {{instance}}"),
    ])
}

fn files() -> Section {
    let age = format!(
        "time() - ({} > 0)",
        metric("xdsc_rssac002_last_write_timestamp_seconds")
    );
    let errors = metric("xdsc_rssac002_write_errors_total");
    Section::new("Files of xdsc").line(
        7,
        vec![
            time_series(
                "Since the day was written last",
                "It is written every minute.",
                Unit::Seconds,
            )
            .query(&age, "{{site}} {{instance}}")
            .thresholds(rising(180.0, 900.0)),
            time_series(
                "Errors of writing",
                "Times that a day could not be written; the log says why.",
                Unit::Events,
            )
            .query(&errors.rate("site, instance"), "{{site}} {{instance}}")
            .limit(Limit::Never),
        ],
    )
}
