//! The rules of Grafana's dashboard-linter, each by its name there.

use serde_json::{Value, json};

use super::{
    dashboards, expressions, list, panels, place,
    promql::{Selector, selectors},
    text,
};

/// Panels that the rules of units and queries are about.
const WITH_DATA: [&str; 7] = [
    "stat",
    "timeseries",
    "table",
    "bargauge",
    "heatmap",
    "geomap",
    "state-timeline",
];
/// Of Grafana's list of units, those that we use.
const UNITS: [&str; 12] = [
    "none",
    "short",
    "percentunit",
    "bytes",
    "Bps",
    "s",
    "pps",
    "reqps",
    "mps",
    "eps",
    "recps",
    "dateTimeFromNow",
];

fn variable<'a>(dashboard: &'a Value, name: &str) -> &'a Value {
    list(&dashboard["templating"], "list")
        .iter()
        .find(|variable| variable["name"] == name)
        .unwrap_or_else(|| panic!("{} has no variable {name}", text(dashboard, "uid")))
}

fn all_selectors() -> Vec<(String, Selector)> {
    let of = |(place, query): (String, String)| {
        let selectors = selectors(&query).into_iter();
        selectors.map(move |selector| (place.clone(), selector))
    };
    expressions().into_iter().flat_map(of).collect()
}

#[test]
fn template_datasource_rule() {
    for dashboard in dashboards() {
        let variable = variable(&dashboard, "datasource");
        assert_eq!(variable["type"], "datasource");
        assert_eq!(variable["query"], "prometheus");
        assert_eq!(variable["label"], "Data source");
    }
}

#[test]
fn template_job_rule_and_template_instance_rule() {
    for dashboard in dashboards() {
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let variable = variable(&dashboard, name);
            assert_eq!(variable["datasource"]["uid"], "${datasource}");
            assert_eq!(variable["type"], "query");
            assert_eq!(variable["label"], label);
            assert_eq!(variable["multi"], true);
            assert_eq!(variable["includeAll"], true);
            assert_eq!(variable["allValue"], ".+");
        }
    }
}

#[test]
fn template_label_promql_rule() {
    for dashboard in dashboards() {
        for variable in list(&dashboard["templating"], "list") {
            if variable["type"] != "query" {
                continue;
            }
            let query = text(&variable["query"], "query");
            let inner = query.strip_prefix("label_values(").expect(query);
            let (selector, label) = inner.rsplit_once(", ").expect(query);
            assert_eq!(label, format!("{})", text(variable, "name")));
            let is_of_one = selector.starts_with("xdsc_") || selector.starts_with("{__name__=~");
            assert!(is_of_one, "{query}");
        }
    }
}

#[test]
fn template_on_time_change_reload_rule() {
    for dashboard in dashboards() {
        for variable in list(&dashboard["templating"], "list") {
            let expected = if variable["type"] == "query" { 2 } else { 1 };
            assert_eq!(variable["refresh"], expected, "{variable}");
        }
    }
}

#[test]
fn template_uneditable_rule() {
    for dashboard in dashboards() {
        assert_eq!(dashboard["editable"], false);
    }
}

#[test]
fn panel_datasource_rule() {
    let chosen = json!({"type": "prometheus", "uid": "${datasource}"});
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let targets = list(panel, "targets").iter();
            for one in targets.chain([panel]) {
                assert_eq!(one["datasource"], chosen, "{}", place(&dashboard, panel));
            }
        }
        for mark in list(&dashboard["annotations"], "list") {
            assert_eq!(mark["datasource"], chosen);
        }
    }
}

#[test]
fn panel_title_description_rule() {
    for dashboard in dashboards() {
        assert!(text(&dashboard, "description").len() > 20);
        for panel in panels(&dashboard) {
            let place = place(&dashboard, panel);
            assert!(!text(panel, "title").is_empty(), "{place}");
            if panel["type"] == "text" {
                continue;
            }
            let description = text(panel, "description");
            assert!(description.len() > 10, "{place}");
            assert!(description.ends_with('.'), "{place}: {description}");
        }
    }
}

#[test]
fn panel_units_rule() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let place = place(&dashboard, panel);
            let config = &panel["fieldConfig"];
            assert!(
                UNITS.contains(&text(&config["defaults"], "unit")),
                "{place}"
            );
            let properties = list(config, "overrides").iter();
            for property in properties.flat_map(|told| list(told, "properties")) {
                let is_unit = property["id"] == "unit";
                assert!(
                    !is_unit || UNITS.contains(&text(property, "value")),
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn panel_no_targets_rule() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let kind = text(panel, "type");
            let place = place(&dashboard, panel);
            assert!(
                kind == "text" || WITH_DATA.contains(&kind),
                "{place}: {kind}"
            );
            assert_eq!(list(panel, "targets").is_empty(), kind == "text", "{place}");
        }
    }
}

#[test]
fn target_rate_interval_rule() {
    for (place, selector) in all_selectors() {
        let range = selector.range.as_deref();
        match selector.function.as_str() {
            "rate" => assert_eq!(range, Some("$__rate_interval"), "{place}"),
            // In the whole time shown, or in a cell of a heatmap.
            "increase" => assert!(
                matches!(range, Some("$__range" | "$__rate_interval")),
                "{place}"
            ),
            _ => assert_eq!(range, None, "{place}"),
        }
    }
}

#[test]
fn target_job_rule_and_target_instance_rule() {
    let all = all_selectors();
    assert!(all.len() > 400, "{}", all.len());
    for (place, selector) in all {
        if selector.metric == "ALERTS" {
            // Some are of a job as a whole.
            assert!(selector.has("job", "=~", "$job|"), "{place}");
            continue;
        }
        for (label, value) in [
            ("job", "$job"),
            ("site", "$site"),
            ("instance", "$instance"),
        ] {
            assert!(selector.has(label, "=~", value), "{place}: {selector:?}");
        }
    }
}

#[test]
fn target_counter_agg_rule() {
    for (place, selector) in all_selectors() {
        let suffixes = ["_total", "_bucket", "_count", "_sum"];
        let is_counter = suffixes
            .iter()
            .any(|suffix| selector.metric.ends_with(suffix));
        let is_rate = matches!(selector.function.as_str(), "rate" | "increase");
        assert_eq!(is_counter, is_rate, "{place}: {}", selector.metric);
    }
}

/// Beyond the linter: what a dataset's retired cells had leaps from place to place.
#[test]
fn datasets_are_read_without_what_is_retired() {
    for (place, selector) in all_selectors() {
        if selector.metric.starts_with("xdsc_dataset_") && has_cells(&selector.metric) {
            let is_kept_out = selector
                .matchers
                .iter()
                .any(|(_, operator, value)| operator == "!=" && value == "retired");
            assert!(is_kept_out, "{place}: {}", selector.metric);
        }
    }
}

/// The families of datasets, not those about them.
fn has_cells(family: &str) -> bool {
    let about = ["churn", "overflow", "uncounted", "error_bound"];
    !about
        .iter()
        .any(|word| family.starts_with(&format!("xdsc_dataset_{word}_")))
}
