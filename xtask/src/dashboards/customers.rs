//! What each customer is asked for: for those who host zones, or answer clients,
//! of others.

use super::{
    layout::Section,
    limits::Limit,
    palette,
    panel::{Unit, stat, table, time_series, top},
    query::{Selector, dataset, metric, ratio},
    schema::{Dashboard, Panel},
    variables,
};

pub(super) const UID: &str = "xdsc-customers";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Per customer",
        "Queries, octets, RCODEs and names by customer. Needs a table of customers ([customers]).",
        vec![variables::customer()],
        vec![all(), each()],
    )
}

fn chosen(dataset: Selector) -> Selector {
    dataset.with(r#"customer=~"$customer""#)
}

fn asked() -> Selector {
    chosen(dataset("customer", "customer"))
}

fn octets() -> Selector {
    chosen(metric("xdsc_dataset_customer_bytes_total").with(r#"customer!="retired""#))
}

fn answered() -> Selector {
    chosen(dataset("customer_vs_rcode", "rcode"))
}

/// The share of a customer's responses with an RCODE.
fn share(rcode: &str) -> String {
    let one = answered().with(&format!(r#"rcode="{rcode}""#));
    ratio(&one.total("customer"), &answered().total("customer"))
}

fn all() -> Section {
    Section::new("Customers")
        .line(4, numbers())
        .line(10, customer_table())
}

/// All that are chosen, in four numbers.
fn numbers() -> Vec<Panel> {
    let assigned = format!(
        "1 - ({})",
        ratio(
            &dataset("customer", "customer")
                .with(r#"customer="unassigned""#)
                .rate(""),
            &dataset("customer", "customer").rate(""),
        )
    );
    let count = format!(
        "count({} > 0)",
        asked()
            .with(r#"customer!~"other|unassigned""#)
            .rate("customer")
    );
    vec![
        stat(
            "Queries",
            "Queries of the customers that are chosen.",
            Unit::Queries,
        )
        .query(&asked().rate(""), "queries"),
        stat(
            "Octets",
            "Octets of their queries and responses.",
            Unit::OctetRate,
        )
        .query(&octets().rate(""), "octets"),
        stat(
            "Customers with queries",
            "Customers that were asked for anything.",
            Unit::Count,
        )
        .query(&count, "customers"),
        stat(
            "Assigned",
            "Share of all queries that belong to a customer.",
            Unit::Share,
        )
        .query(&assigned, "assigned"),
    ]
}

/// Each of them.
fn customer_table() -> Vec<Panel> {
    vec![
        table(
            "Customers",
            "What each customer had in the time shown.",
            Unit::Count,
        )
        .column_of(
            &asked().total("customer"),
            "Queries",
            Unit::Count,
            &palette::neutral(),
        )
        .column_of(
            &octets().total("customer"),
            "Octets",
            Unit::Octets,
            &palette::neutral(),
        )
        .column_of(
            &share("NXDOMAIN"),
            "NXDOMAIN",
            Unit::Share,
            &palette::rising(0.5, 0.9),
        )
        .column_of(
            &share("SERVFAIL"),
            "SERVFAIL",
            Unit::Share,
            &Limit::Servfail.steps(),
        )
        .labels(&[("customer", "Customer")])
        .sorted_by("Queries")
        .link("Customer", "This customer only", UID, "customer"),
    ]
}

fn each() -> Section {
    let names = chosen(dataset("customer_vs_qname", "qname"));
    Section::new("In time")
        .line(
            9,
            vec![
                time_series(
                    "Queries by customer",
                    "The 15 greatest in the time shown.",
                    Unit::Queries,
                )
                .query(&asked().top_rates(15, "customer"), "{{customer}}")
                .stacked()
                .coloured(palette::NAMES),
                time_series(
                    "Octets by customer",
                    "Octets of queries and responses.",
                    Unit::OctetRate,
                )
                .query(&octets().top_rates(15, "customer"), "{{customer}}")
                .stacked()
                .coloured(palette::NAMES),
            ],
        )
        .line(
            9,
            vec![
                time_series(
                    "Responses by RCODE",
                    "Responses of the customers that are chosen.",
                    Unit::Messages,
                )
                .query(&answered().rate("rcode"), "{{rcode}}")
                .stacked()
                .coloured(palette::RCODES),
                top(
                    "RCODEs by customer",
                    "Responses in the time shown.",
                    &answered().top_totals(100, "customer, rcode"),
                    &[("customer", "Customer"), ("rcode", "RCODE")],
                ),
                top(
                    "Names by customer",
                    "The names that are asked for most in the time shown.",
                    &names.top_totals(100, "customer, qname"),
                    &[("customer", "Customer"), ("qname", "Name")],
                ),
            ],
        )
}
