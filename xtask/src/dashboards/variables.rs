//! What a user chooses on a dashboard, and the marks on its time axis.
//!
//! `job` and `instance` are Prometheus's own labels; `site` is set where targets
//! are configured. A fleet without sites has no such label, so that all sites are
//! `.*`, which matches its absence.

use super::{
    query::metric,
    schema::{Annotation, Annotations, Chosen, DataSource, Variable, VariableQuery},
};

/// The variables of every dashboard, each of which narrows those after it.
pub(super) fn of_all() -> Vec<Variable> {
    vec![
        Variable {
            kind: "datasource",
            name: "datasource",
            label: "Data source",
            description: "The Prometheus that scrapes xdsc",
            datasource: None,
            query: VariableQuery::Plugin("prometheus"),
            refresh: 1,
            sort: 0,
            multi: false,
            include_all: false,
            all_value: None,
            current: None,
            hide: 0,
        },
        labels(
            ("job", "Job", "The scrape job of xdsc"),
            ".+",
            "label_values(xdsc_build_info, job)",
        ),
        labels(
            ("site", "Site", "Sites, where targets have this label"),
            ".*",
            r#"label_values(xdsc_build_info{job=~"$job"}, site)"#,
        ),
        labels(
            ("instance", "Instance", "Nodes that run xdsc"),
            ".+",
            r#"label_values(xdsc_build_info{job=~"$job",site=~"$site"}, instance)"#,
        ),
    ]
}

/// The zones that are served, or that something is the matter with.
pub(super) fn zone() -> Variable {
    labels(
        (
            "zone",
            "Zone",
            "Zones that xdsc has a list of, or sees random names in",
        ),
        ".*",
        r#"label_values({__name__=~"xdsc_dataset_zone_messages_total|xdsc_random_subdomain_names",job=~"$job",site=~"$site",instance=~"$instance"}, zone)"#,
    )
}

pub(super) fn customer() -> Variable {
    let query = metric("xdsc_dataset_customer_messages_total").with(r#"customer!="retired""#);
    labels(
        ("customer", "Customer", "Customers that xdsc has a table of"),
        ".*",
        &format!("label_values({query}, customer)"),
    )
}

fn labels(
    (name, label, description): (&'static str, &'static str, &'static str),
    all: &'static str,
    query: &str,
) -> Variable {
    Variable {
        kind: "query",
        name,
        label,
        description,
        datasource: Some(DataSource::chosen()),
        query: VariableQuery::Prometheus {
            query: query.to_owned(),
            ref_id: "PrometheusVariableQueryEditor-VariableQuery",
        },
        // When the time changes.
        refresh: 2,
        // By the alphabet.
        sort: 1,
        multi: true,
        include_all: true,
        all_value: Some(all),
        current: Some(Chosen {
            text: vec!["All"],
            value: vec!["$__all"],
        }),
        hide: 0,
    }
}

/// Restarts: the time at which a process says that it was started, in ms.
pub(super) fn annotations() -> Annotations {
    let started = metric("process_start_time_seconds");
    Annotations {
        list: vec![Annotation {
            name: "Restarts of xdsc".to_owned(),
            datasource: DataSource::chosen(),
            enable: true,
            hide: false,
            icon_color: "purple".to_owned(),
            expr: format!("{started} * 1000"),
            title_format: "xdsc was started".to_owned(),
            text_format: "{{site}} {{instance}}".to_owned(),
            use_value_for_time: true,
        }],
    }
}
