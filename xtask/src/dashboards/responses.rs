//! How queries are answered: RCODEs, times, sizes, truncation, and what is not
//! answered at all.

use super::{
    layout::Section,
    limits::Limit,
    overview::{rcode_share, response_time, unanswered},
    palette::{self, rising},
    panel::{Unit, heatmap, stat, time_series, top},
    query::{Selector, dataset, metric, ratio, ratio_of_all, rcodes, responses},
    schema::{Dashboard, Panel},
    variables,
};

pub(super) const UID: &str = "xdsc-responses";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Responses",
        "What the servers answer, how fast, how large, and what they leave unanswered.",
        vec![variables::zone()],
        vec![
            summary(),
            rcode_section(),
            times(),
            transactions(),
            sizes(),
            failures(),
            flags(),
            more(),
        ],
    )
}

fn times_of() -> Selector {
    metric("xdsc_response_time_seconds").with(r#"role="server""#)
}

/// The share of responses with TC, of those over UDP: over TCP there is none.
pub(super) fn truncated() -> String {
    let flags = metric("xdsc_dns_flag_messages_total").with(r#"role="server",type="response""#);
    let udp = responses().with(r#"transport="udp""#);
    ratio(&flags.with(r#"flag="TC""#).rate(""), &udp.rate(""))
}

fn summary() -> Section {
    let successful = ratio(
        &rcodes().with(r#"rcode=~"NOERROR|NXDOMAIN""#).rate(""),
        &rcodes().rate(""),
    );
    Section::new("Summary")
        .line(4, vec![
            stat("Responses", "DNS responses that leave the servers. Exact.", Unit::Messages)
                .query(&responses().rate(""), "responses"),
            stat("Sound", "Responses that say what is or that there is nothing: NOERROR or NXDOMAIN.", Unit::Share)
                .query(&successful, "sound"),
            stat("Failures", "Share of responses with RCODE SERVFAIL.", Unit::Share)
                .query(&rcode_share("SERVFAIL", ""), "SERVFAIL")
                .limit(Limit::Servfail),
            stat("Refused", "Share of responses with RCODE REFUSED: asked for zones that are not served here.", Unit::Share)
                .query(&rcode_share("REFUSED", ""), "REFUSED")
                .thresholds(rising(0.05, 0.2)),
            stat("Unanswered", "Queries that got no response in time, as a share of those that were watched for one.", Unit::Share)
                .query(&unanswered(""), "unanswered")
                .limit(Limit::Unanswered),
            stat("Truncated", "Responses over UDP that did not fit (TC): each makes its client come back over TCP.", Unit::Share)
                .query(&truncated(), "TC")
                .thresholds(rising(0.02, 0.1)),
            stat("Median time", "Half of the responses leave within this time after their query.", Unit::Seconds)
                .query(&response_time(0.5, ""), "50 %")
                .thresholds(rising(0.005, 0.05)),
            stat("99 % within", "Only one response in a hundred takes longer.", Unit::Seconds)
                .query(&response_time(0.99, ""), "99 %")
                .thresholds(rising(0.05, 0.5)),
        ])
}

fn rcode_section() -> Section {
    Section::new("RCODEs")
        .line(9, rcodes_of_all())
        .line(9, rcodes_of_names())
}

/// All responses.
fn rcodes_of_all() -> Vec<Panel> {
    let failing = rcodes().with(r#"rcode!~"NOERROR|NXDOMAIN""#);
    vec![
        time_series(
            "Responses by RCODE",
            "How queries are answered. Exact.",
            Unit::Messages,
        )
        .query(&rcodes().rate("rcode"), "{{rcode}}")
        .stacked()
        .coloured(palette::RCODES),
        time_series(
            "RCODEs, shares",
            "The same as shares of each other.",
            Unit::Messages,
        )
        .query(&rcodes().rate("rcode"), "{{rcode}}")
        .shares()
        .coloured(palette::RCODES),
        time_series(
            "Query failure rate",
            "Responses that are neither NOERROR nor NXDOMAIN, as shares of all.",
            Unit::Share,
        )
        .query(
            &ratio_of_all(&failing.rate("rcode"), &rcodes().rate("")),
            "{{rcode}}",
        )
        .coloured(palette::RCODES)
        .limit(Limit::Servfail),
    ]
}

/// By what was asked for.
fn rcodes_of_names() -> Vec<Panel> {
    vec![
        time_series(
            "RCODEs by zone",
            "The greatest combinations of zones of the list and RCODEs.",
            Unit::Messages,
        )
        .query(
            &dataset("zone_vs_rcode", "rcode")
                .with(r#"zone=~"$zone""#)
                .top_rates(15, "zone, rcode"),
            "{{zone}} {{rcode}}",
        ),
        top(
            "RCODEs by second-level domain",
            "The greatest combinations in the time shown.",
            &dataset("second_ld_vs_rcode", "second_ld").top_totals(50, "rcode, second_ld"),
            &[("rcode", "RCODE"), ("second_ld", "Domain")],
        ),
        top(
            "RCODEs by third-level domain",
            "The greatest combinations in the time shown.",
            &dataset("third_ld_vs_rcode", "third_ld").top_totals(50, "rcode, third_ld"),
            &[("rcode", "RCODE"), ("third_ld", "Domain")],
        ),
    ]
}

fn times() -> Section {
    let mean = format!(
        "{} / ({} > 0)",
        metric("xdsc_response_time_seconds_sum")
            .with(r#"role="server""#)
            .rate(""),
        metric("xdsc_response_time_seconds_count")
            .with(r#"role="server""#)
            .rate("")
    );
    let handshake = metric("xdsc_tcp_handshake_rtt_seconds");
    Section::new("Response time")
        .line(9, vec![
            heatmap("Response time, distribution", "Time between a query and its response at the network interface: that of the server, without the network.", Unit::Seconds, &times_of().heatmap()),
            time_series("Response time, quantiles", "So many responses leave within the time.", Unit::Seconds)
                .query(&response_time(0.5, ""), "50 %")
                .query(&response_time(0.9, ""), "90 %")
                .query(&response_time(0.99, ""), "99 %")
                .query(&mean, "mean")
                .coloured(palette::QUANTILES),
        ])
        .line(8, vec![
            time_series("Response time by transport, 95 %", "Over TCP it is the time from the last segment of the query.", Unit::Seconds)
                .query(&response_time(0.95, "transport"), "{{transport}}")
                .coloured(palette::TRANSPORTS),
            time_series("Response time by node, 95 %", "A node that is slower than its siblings.", Unit::Seconds)
                .query(&response_time(0.95, "site, instance"), "{{site}} {{instance}}"),
            time_series("TCP handshakes, round trip", "From SYN-ACK to ACK: how far away clients are over TCP.", Unit::Seconds)
                .query(&handshake.quantile(0.5, "family"), "{{family}} 50 %")
                .query(&handshake.quantile(0.95, "family"), "{{family}} 95 %"),
        ])
}

fn transactions() -> Section {
    let pairs = metric("xdsc_transactions_total").with(r#"role="server""#);
    let unsolicited = pairs.clone().with(r#"outcome="unsolicited""#);
    Section::new("Queries without responses, and responses without queries")
        .line(8, vec![
            time_series("Queries and their other half", "Queries that were answered or not, and responses that nobody asked for; scaled up from the share that is paired.", Unit::Queries)
                .query(&pairs.rate("outcome"), "{{outcome}}")
                .coloured(palette::OUTCOMES),
            time_series("Unanswered by transport", "Queries without a response in time, as a share. Rate limiting shows over UDP only.", Unit::Share)
                .query(&unanswered("transport"), "{{transport}}")
                .coloured(palette::TRANSPORTS)
                .limit(Limit::Unanswered),
            time_series("Unsolicited responses", "Responses that leave without a query: those to queries that xdsc did not see, or forged ones.", Unit::Messages)
                .query(&unsolicited.rate("transport"), "{{transport}}")
                .coloured(palette::TRANSPORTS),
        ])
}

fn sizes() -> Section {
    let sizes = metric("xdsc_dns_response_size_bytes").with(r#"role="server""#);
    let all = metric("xdsc_dns_response_size_bytes_count").with(r#"role="server""#);
    let large = format!("{} - {}", all.rate(""), sizes.up_to("1023.0"));
    Section::new("Sizes and truncation")
        .line(
            9,
            vec![
                heatmap(
                    "Sizes of responses",
                    "Sizes of DNS responses without the length prefix of TCP.",
                    Unit::Octets,
                    &sizes.heatmap(),
                ),
                time_series(
                    "Sizes of responses, quantiles",
                    "Above 1232 octets responses may be fragmented on their way.",
                    Unit::Octets,
                )
                .query(&sizes.quantile(0.5, "transport"), "{{transport}} 50 %")
                .query(&sizes.quantile(0.95, "transport"), "{{transport}} 95 %")
                .query(&sizes.quantile(0.99, "transport"), "{{transport}} 99 %")
                .thresholds(rising(1232.0, 1472.0)),
            ],
        )
        .line(
            8,
            vec![
                time_series(
                    "Truncated responses",
                    "Responses over UDP with TC set, as a share.",
                    Unit::Share,
                )
                .query(&truncated(), "TC")
                .thresholds(rising(0.02, 0.1)),
                time_series(
                    "Responses below and from 1024 octets",
                    "Most clients take less than 1232 octets over UDP.",
                    Unit::Messages,
                )
                .query(&sizes.up_to("1023.0"), "below 1024")
                .query(&large, "1024 and more")
                .stacked(),
                time_series(
                    "Responses to priming queries",
                    "Sizes of responses that name the root's servers.",
                    Unit::Messages,
                )
                .query(
                    &dataset("priming_responses", "reply_len").top_rates(10, "reply_len"),
                    "{{reply_len}} octets",
                ),
            ],
        )
}

fn failures() -> Section {
    Section::new("Names that fail")
        .line(9, vec![
            top("Names with SERVFAIL", "Names that the server could not answer for, in the time shown.",
                &dataset("servfail_qname", "qname").top_totals(50, "qname"), &[("qname", "Name")]),
            top("Names with AD", "Names whose responses say that they were validated: those of a resolver. Empty for an authoritative server.",
                &dataset("ad_qname", "qname").top_totals(50, "qname"), &[("qname", "Name")])
                .or_else("none"),
        ])
}

fn flags() -> Section {
    let flags = metric("xdsc_dns_flag_messages_total").with(r#"role="server",type="response""#);
    let edns = metric("xdsc_dns_edns_messages_total").with(r#"role="server",type="response""#);
    Section::new("Flags")
        .line(8, vec![
            time_series("Flags of responses, shares", "AA: with authority. RA: recursion is offered, which an authoritative server should not.", Unit::Share)
                .query(&ratio_of_all(&flags.with(r#"flag=~"AA|TC|RD|RA|AD|DO""#).rate("flag"), &responses().rate("")), "{{flag}}"),
            time_series("QR and AA by direction", "Responses that arrive (recv, qr=1) where only queries should: reflection that is aimed at this server.", Unit::Messages)
                .query(&dataset("qr_aa_flags", "qr_aa").rate("direction, qr_aa"), "{{direction}} {{qr_aa}}"),
            time_series("EDNS in responses", "Whether an OPT record was found. `unreached` stands behind other records, and was not looked for.", Unit::Messages)
                .query(&edns.rate("edns"), "{{edns}}")
                .stacked(),
        ])
}

fn more() -> Section {
    Section::new("Datasets that are off by default: turn them on in statistics.datasets")
        .collapsed()
        .line(8, vec![sizes_by_rcode(), extended_errors()])
}

fn sizes_by_rcode() -> Panel {
    top(
        "RCODEs and sizes of responses",
        "The greatest combinations in the time shown. Needs `rcode_vs_replylen`.",
        &dataset("rcode_vs_replylen", "reply_len").top_totals(50, "rcode, reply_len"),
        &[("rcode", "RCODE"), ("reply_len", "Octets")],
    )
}

fn extended_errors() -> Panel {
    time_series(
        "Extended errors",
        "What responses say beyond their RCODE (RFC 8914). Needs `ede_code`.",
        Unit::Messages,
    )
    .query(&dataset("ede_code", "code").rate("code"), "{{code}}")
}
