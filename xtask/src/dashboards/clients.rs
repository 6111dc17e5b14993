//! Who asks: countries, networks, prefixes, and how many they are.

use super::{
    layout::Section,
    palette::{self, rising},
    panel::{Unit, map, stat, table, time_series, top},
    query::{dataset, metric, ratio},
    schema::Dashboard,
};

pub(super) const UID: &str = "xdsc-clients";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Clients",
        "Who asks: countries, autonomous systems, resolvers that are known by name, prefixes. Addresses are shown as far as the configuration of xdsc lets them.",
        vec![],
        vec![
            numbers(),
            countries(),
            systems(),
            networks(),
            prefixes(),
            root_abusers(),
            more(),
        ],
    )
}

fn numbers() -> Section {
    let distinct = |window: &str| {
        metric("xdsc_distinct_clients").with(&format!(r#"window="{window}",family=~"ipv4|ipv6""#))
    };
    let by_family = metric("xdsc_distinct_clients").with(r#"window="minute""#);
    let today = metric("xdsc_distinct_clients").with(r#"window="day""#);
    let subnets = dataset("client_subnet", "client_subnet");
    Section::new("How many")
        .line(7, vec![
            stat("Different clients in a minute", "Different addresses in the last full minute, of all nodes together: a client that asks two nodes counts twice. Estimated.", Unit::Count)
                .query(&distinct("minute").sum(""), "clients")
                .width(4),
            stat("Different clients today", "Different addresses of this day (UTC) so far, of all nodes together. Estimated.", Unit::Count)
                .query(&distinct("day").sum(""), "clients")
                .width(4),
            time_series("Different clients by the minute", "Different addresses in a minute; ipv6_64 are networks of 64 bits. A jump without more resolvers is forged addresses.", Unit::Count)
                .query(&by_family.sum("family"), "{{family}}")
                .coloured(palette::FAMILIES),
            time_series("Different clients of the day", "Different addresses since midnight (UTC).", Unit::Count)
                .query(&today.sum("family"), "{{family}}")
                .coloured(palette::FAMILIES),
        ])
        .line(7, vec![
            time_series("Share of the greatest prefix, and of ten", "How much of the traffic comes from few. Public resolvers make much of it; a single unknown prefix is a scanner or an attack.", Unit::Share)
                .query(&subnets.concentration(1, "client_subnet"), "the greatest")
                .query(&subnets.concentration(10, "client_subnet"), "the ten greatest")
                .thresholds(rising(0.5, 0.8)),
            time_series("Error of these numbers", "Standard deviation of what is estimated, as a share.", Unit::Share)
                .query(&metric("xdsc_distinct_error_ratio").max("of"), "{{of}}"),
        ])
}

fn countries() -> Section {
    let country = dataset("country_code", "country_code");
    // Codes of what no database knows are no countries.
    let known = country.clone().with(r#"country_code!~"other|\\?.""#);
    Section::new("Countries: needs [geoip] databases")
        .line(14, vec![
            map("Queries by country", "Where queries come from, now. Databases tell where addresses are registered, which may be elsewhere.", Unit::Queries,
                &known.rate("country_code"))
                .width(16),
            top("Countries", "Queries in the time shown; ?? are addresses that no database knows.",
                &country.top_totals(250, "country_code"), &[("country_code", "Country")])
                .width(8),
        ])
        .line(9, vec![
            time_series("Queries by country, in time", "The 15 greatest in the time shown.", Unit::Queries)
                .query(&country.top_rates(15, "country_code"), "{{country_code}}")
                .stacked()
                .coloured(palette::NAMES),
            time_series("Queries by continent", "Where queries come from.", Unit::Queries)
                .query(&dataset("continent", "continent").rate("continent"), "{{continent}}")
                .stacked(),
            top("Countries and types", "The greatest combinations in the time shown.",
                &dataset("country_vs_qtype", "qtype").top_totals(50, "country_code, qtype"),
                &[("country_code", "Country"), ("qtype", "Type")]),
        ])
}

fn systems() -> Section {
    let system = dataset("asn", "as_org");
    let failing = dataset("asn_vs_rcode", "asn");
    Section::new("Autonomous systems: needs [geoip] databases").line(
        9,
        vec![
            time_series(
                "Queries by autonomous system",
                "The 15 greatest in the time shown.",
                Unit::Queries,
            )
            .query(&system.top_rates(15, "asn, as_org"), "AS{{asn}} {{as_org}}")
            .stacked(),
            top(
                "Autonomous systems",
                "Queries in the time shown.",
                &system.top_totals(100, "asn, as_org"),
                &[("asn", "AS"), ("as_org", "Organisation")],
            ),
            top(
                "RCODEs by autonomous system",
                "Responses in the time shown.",
                &failing.top_totals(100, "rcode, asn"),
                &[("rcode", "RCODE"), ("asn", "AS")],
            ),
        ],
    )
}

fn networks() -> Section {
    let network = dataset("network", "network");
    Section::new("Known networks, as public resolvers: needs [networks] file").line(
        9,
        vec![
            time_series(
                "Queries by network",
                "Queries of networks that are known by name; none are all others.",
                Unit::Queries,
            )
            .query(&network.top_rates(15, "network"), "{{network}}")
            .stacked(),
            top(
                "Networks",
                "Queries in the time shown.",
                &network.top_totals(100, "network"),
                &[("network", "Network")],
            ),
            top(
                "RCODEs by network",
                "Responses in the time shown.",
                &dataset("network_vs_rcode", "rcode").top_totals(100, "network, rcode"),
                &[("network", "Network"), ("rcode", "RCODE")],
            ),
        ],
    )
}

fn prefixes() -> Section {
    let subnet = dataset("client_subnet", "client_subnet");
    let classes = dataset("client_subnet2", "client_subnet");
    let sound = ratio(
        &classes.clone().with(r#"class="ok""#).rate(""),
        &classes.rate(""),
    );
    let per_class = format!(
        "count by (class) ({} > 0)",
        classes
            .clone()
            .with(r#"client_subnet!="other""#)
            .rate("class, client_subnet")
    );
    Section::new("Prefixes")
        .line(9, vec![
            time_series("Queries by prefix", "The 15 greatest prefixes in the time shown; their length is set in the configuration.", Unit::Queries)
                .query(&subnet.top_rates(15, "client_subnet"), "{{client_subnet}}")
                .stacked()
                .coloured(palette::NAMES),
            top("Busiest prefixes", "Queries in the time shown.", &subnet.top_totals(100, "client_subnet"), &[("client_subnet", "Prefix")]),
            top("RCODEs by prefix", "Responses in the time shown: who gets failures.",
                &dataset("client_addr_vs_rcode", "client_subnet").top_totals(100, "rcode, client_subnet"),
                &[("rcode", "RCODE"), ("client_subnet", "Prefix")]),
        ])
        .line(9, vec![
            top("Kinds of queries by prefix", "The greatest combinations in the time shown: whose resolver is broken.",
                &classes.clone().with(r#"class!="ok""#).top_totals(100, "class, client_subnet"),
                &[("class", "Kind"), ("client_subnet", "Prefix")]),
            time_series("Queries by kind", "All prefixes together.", Unit::Queries)
                .query(&classes.rate("class"), "{{class}}"),
            time_series("Prefixes by kind", "How many prefixes send queries of a kind, of those that have cells.", Unit::Count)
                .query(&per_class, "{{class}}"),
            time_series("Share of sound queries", "Queries with nothing wrong in them.", Unit::Share)
                .query(&sound, "ok"),
        ])
}

fn root_abusers() -> Section {
    Section::new("Who asks for the root servers' IPv6 addresses")
        .line(8, vec![
            table("Prefixes that ask for X.root-servers.net AAAA", "Clients that look for the root servers' IPv6 addresses in numbers have a broken resolver. Seldom asked for but at root servers.", Unit::Count)
                .column(&dataset("ipv6_rsn_abusers", "client_subnet").top_totals(50, "client_subnet"), "Messages")
                .labels(&[("client_subnet", "Prefix")])
                .sorted_by("Messages")
                .or_else("none"),
        ])
}

fn more() -> Section {
    Section::new("Datasets that are off by default: turn them on in statistics.datasets")
        .collapsed()
        .line(
            8,
            vec![
                top(
                    "Autonomous systems by IP version",
                    "As DSC has them. Needs `asn_all`.",
                    &dataset("asn_all", "asn").top_totals(100, "ip_version, asn"),
                    &[("ip_version", "IP version"), ("asn", "AS")],
                ),
                top(
                    "Client subnets of EDNS",
                    "The networks that resolvers say they ask for. Needs `edns_ecs_subnet`.",
                    &dataset("edns_ecs_subnet", "subnet").top_totals(100, "subnet"),
                    &[("subnet", "Network")],
                ),
            ],
        )
}
