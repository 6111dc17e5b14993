//! The fleet at a glance: is it well, where does traffic go, which node differs.

use super::{
    layout::Section,
    limits::Limit,
    palette::{self, falling},
    panel::{Unit, bars, stat, states, table, time_series},
    query::{alerts, metric, queries, ratio, rcodes, responses},
    schema::{Dashboard, Panel},
};

pub(super) const UID: &str = "xdsc-overview";
/// Nodes are told by both: instances alone say little.
const NODE: &str = "{{site}} {{instance}}";
const BY_NODE: &str = "site, instance";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Overview",
        "All nodes and sites: what is asked, how it is answered, and which node is unlike the others.",
        vec![],
        vec![service(), traffic(), sites(), nodes()],
    )
}

/// The share of paired queries that got no answer.
pub(super) fn unanswered(by: &str) -> String {
    let paired = metric("xdsc_transactions_total").with(r#"role="server""#);
    let asked = paired.clone().with(r#"outcome=~"answered|unanswered""#);
    let lost = paired.with(r#"outcome="unanswered""#);
    ratio(&lost.rate(by), &asked.rate(by))
}

/// The share of responses with an RCODE.
pub(super) fn rcode_share(rcode: &str, by: &str) -> String {
    let one = rcodes().with(&format!(r#"rcode="{rcode}""#));
    ratio(&one.rate(by), &rcodes().rate(by))
}

pub(super) fn tcp_share(by: &str) -> String {
    let tcp = queries().with(r#"transport="tcp""#);
    ratio(&tcp.rate(by), &queries().rate(by))
}

fn ipv6_share(by: &str) -> String {
    let ipv6 = queries().with(r#"family="ipv6""#);
    ratio(&ipv6.rate(by), &queries().rate(by))
}

pub(super) fn response_time(quantile: f64, by: &str) -> String {
    metric("xdsc_response_time_seconds")
        .with(r#"role="server""#)
        .quantile(quantile, by)
}

/// Records that should have been delivered and were not.
pub(super) fn lost(by: &str) -> String {
    metric("xdsc_records_total")
        .with(r#"outcome=~"ring_full|reentered""#)
        .rate(by)
}

fn service() -> Section {
    Section::new("Service")
        .line(4, vec![
            stat("Queries", "DNS queries that arrive at the servers, exact, whatever is sampled.", Unit::Queries)
                .query(&queries().rate(""), "queries"),
            stat("Responses", "DNS responses that leave the servers. Fewer than queries: see Unanswered.", Unit::Messages)
                .query(&responses().rate(""), "responses"),
            stat("Unanswered", "Queries that got no response in time, as a share of those that were watched for one. Above some percent the server is overloaded, or drops on purpose (rate limiting).", Unit::Share)
                .query(&unanswered(""), "unanswered")
                .limit(Limit::Unanswered),
            stat("Response time, 95 %", "From a query's arrival to its response's departure at the network interface: 95 % are at least as fast.", Unit::Seconds)
                .query(&response_time(0.95, ""), "95 %")
                .limit(Limit::ResponseTime),
            stat("SERVFAIL", "Share of responses with RCODE SERVFAIL: the server could not answer.", Unit::Share)
                .query(&rcode_share("SERVFAIL", ""), "SERVFAIL")
                .limit(Limit::Servfail),
            stat("NXDOMAIN", "Share of responses with RCODE NXDOMAIN: the name does not exist. Root servers have much of it; a sudden rise elsewhere is a random-subdomain attack.", Unit::Share)
                .query(&rcode_share("NXDOMAIN", ""), "NXDOMAIN"),
            stat("TCP", "Share of queries over TCP. It rises when responses are truncated, or rate limiting slips.", Unit::Share)
                .query(&tcp_share(""), "TCP")
                .limit(Limit::Tcp),
            stat("Lost records", "Records that rings had no room for: what is told of names and clients misses them, totals do not. It is 0 in health.", Unit::Records)
                .query(&lost(""), "lost")
                .limit(Limit::Never),
        ])
}

fn traffic() -> Section {
    Section::new("Traffic").line(8, flow()).line(8, mix())
}

/// How much there is.
fn flow() -> Vec<Panel> {
    let up = metric("up").sum("");
    let sites = format!("count(count by (site) ({}))", metric("xdsc_build_info"));
    let now_and_before = time_series(
        "Queries now, a day and a week ago",
        "The same hours of yesterday and of a week ago: what is unusual stands out.",
        Unit::Queries,
    )
    .query(&queries().rate(""), "now")
    .query(&queries().rate_before("", "1d"), "a day ago")
    .query(&queries().rate_before("", "1w"), "a week ago");
    let flow = time_series(
        "Queries and responses",
        "What arrives and what leaves; the gap is what stays unanswered.",
        Unit::Queries,
    )
    .query(&queries().rate(""), "queries")
    .query(&responses().rate(""), "responses")
    .coloured(palette::DIRECTIONS);
    vec![
        flow,
        now_and_before,
        stat("Nodes up", "Nodes that Prometheus can scrape.", Unit::Count)
            .query(&up, "up")
            .width(3),
        stat(
            "Sites with nodes",
            "Sites with at least one node.",
            Unit::Count,
        )
        .query(&sites, "sites")
        .width(3),
    ]
}

/// What it is made of.
fn mix() -> Vec<Panel> {
    vec![
        time_series(
            "Responses by RCODE",
            "How queries are answered.",
            Unit::Messages,
        )
        .query(&rcodes().rate("rcode"), "{{rcode}}")
        .stacked()
        .coloured(palette::RCODES),
        time_series(
            "Queries by type",
            "The types that are asked for most in the time shown.",
            Unit::Queries,
        )
        .query(&qtypes().top_rates(10, "qtype"), "{{qtype}}")
        .stacked()
        .coloured(palette::QTYPES),
        time_series(
            "Transport and IP version",
            "Shares of TCP and of IPv6 in all queries.",
            Unit::Share,
        )
        .query(&tcp_share(""), "TCP")
        .query(&ipv6_share(""), "IPv6"),
    ]
}

pub(super) fn qtypes() -> super::query::Selector {
    metric("xdsc_dns_qtype_messages_total").with(r#"role="server",type="query""#)
}

fn sites() -> Section {
    Section::new("Sites")
        .line(8, vec![
            time_series("Queries by site", "Where queries arrive. A site that falls while others rise has lost its route, or its server.", Unit::Queries)
                .query(&queries().rate("site"), "{{site}}")
                .stacked(),
            time_series("Unanswered by site", "Queries without a response in time, as a share.", Unit::Share)
                .query(&unanswered("site"), "{{site}}")
                .limit(Limit::Unanswered),
            time_series("Response time by site, 95 %", "Time between query and response at the network interface.", Unit::Seconds)
                .query(&response_time(0.95, "site"), "{{site}}"),
        ])
        .line(8, vec![site_table().width(16), alert_table()])
}

/// What fires, with what it is about.
fn alert_table() -> Panel {
    table("Alerts", "Alerts of dashboards/prometheus that fire now, with their runbooks in docs/alerts.md. Empty in health.", Unit::Count)
        .column(&alerts().count("alertname, severity, site, instance"), "Alerts")
        .labels(&[("alertname", "Alert"), ("severity", "Severity"), ("site", "Site"), ("instance", "Node")])
        .sorted_by("Alerts")
        .limit(Limit::Never)
        .or_else("none")
}

fn site_table() -> Panel {
    service_columns(
        table("Sites", "The state of each site now.", Unit::Count),
        "site",
    )
    .column(
        &format!("count by (site) ({})", metric("xdsc_build_info")),
        "Nodes",
    )
    .labels(&[("site", "Site")])
    .sorted_by("Queries")
    .link("Site", "This site only", UID, "site")
}

/// The columns that tell how well a group of nodes is.
fn service_columns(table: Panel, by: &str) -> Panel {
    let plain = palette::neutral();
    table
        .column_of(&queries().rate(by), "Queries", Unit::Queries, &plain)
        .column_of(
            &unanswered(by),
            "Unanswered",
            Unit::Share,
            &Limit::Unanswered.steps(),
        )
        .column_of(
            &response_time(0.95, by),
            "Response time, 95 %",
            Unit::Seconds,
            &Limit::ResponseTime.steps(),
        )
        .column_of(
            &rcode_share("SERVFAIL", by),
            "SERVFAIL",
            Unit::Share,
            &Limit::Servfail.steps(),
        )
        .column_of(
            &rcode_share("NXDOMAIN", by),
            "NXDOMAIN",
            Unit::Share,
            &plain,
        )
        .column_of(&tcp_share(by), "TCP", Unit::Share, &Limit::Tcp.steps())
        .column_of(
            &lost(by),
            "Lost records",
            Unit::Records,
            &Limit::Never.steps(),
        )
}

fn nodes() -> Section {
    let busy = format!("({}) > bool 0", queries().rate(BY_NODE));
    let silent = format!(
        "({} == 0) and on (site) ({} > 0)",
        queries().rate(BY_NODE),
        queries().rate("site")
    );
    Section::new("Nodes")
        .line(8, vec![
            time_series("Queries by node", "What each node is asked.", Unit::Queries)
                .query(&queries().rate(BY_NODE), NODE),
            states("Nodes with queries", "Whether a node was asked anything. A silent one among busy siblings has lost its route.", Unit::Plain)
                .query(&busy, NODE)
                .thresholds(falling(0.5, 1.0))
                .told(&[("0", "silent", palette::BAD), ("1", "asked", palette::GOOD)]),
        ])
        .line(9, vec![node_table()])
        .line(9, vec![
            bars("Busiest nodes", "The 30 nodes that are asked most, now.", Unit::Queries)
                .now(&format!("topk(30, {})", queries().rate(BY_NODE)), NODE),
            bars("Quietest nodes", "The 30 nodes that are asked least, now.", Unit::Queries)
                .now(&format!("bottomk(30, {})", queries().rate(BY_NODE)), NODE),
            table("Silent nodes", "Nodes without any query now, while their site has some. Empty in health.", Unit::Queries)
                .column(&silent, "Queries")
                .labels(&[("site", "Site"), ("instance", "Node")])
                .limit(Limit::Never)
                .or_else("none"),
        ])
}

fn node_table() -> Panel {
    let sampling = metric("xdsc_ring_sampling_interval").max(BY_NODE);
    let since = metric("process_start_time_seconds").max(BY_NODE);
    service_columns(
        table(
            "Nodes",
            "The state of each node now, and since when its xdsc runs.",
            Unit::Count,
        ),
        BY_NODE,
    )
    .column_of(
        &sampling,
        "One record in",
        Unit::Count,
        &Limit::Sampling.steps(),
    )
    .column_of(
        &format!("{since} * 1000"),
        "Started",
        Unit::PointInTime,
        &palette::neutral(),
    )
    .labels(&[("site", "Site"), ("instance", "Node")])
    .sorted_by("Queries")
    .link(
        "Node",
        "How xdsc does on this node",
        super::health::UID,
        "instance",
    )
    .link("Site", "This site only", UID, "site")
}
