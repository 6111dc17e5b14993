//! The families that dashboards ask for are those that xdsc exports, and the other
//! way round. docs/METRICS.md says which they are: it is made from what is encoded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{
    dashboards, list, panels, place,
    promql::{Selector, selectors},
    text,
};
use crate::{dashboards::unused::UNUSED, workspace};

/// What Prometheus says of its targets.
const OF_PROMETHEUS: [&str; 4] = [
    "ALERTS",
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
];
/// Labels that targets have.
const OF_TARGETS: [&str; 3] = ["job", "site", "instance"];

/// Names as they are scraped, and their labels.
fn exported() -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(workspace::root().join("docs/METRICS.md")).expect("METRICS.md");
    let (_, families) = page.split_once("\n## Families\n").expect("families");
    let (families, _) = families.split_once("\n## ").expect("an end");
    let mut exported = BTreeMap::new();
    for row in families.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let name = cells[0].trim_start_matches("| ").trim_matches('`');
        let labels = cells[2]
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned());
        exported.insert(
            name.to_owned(),
            labels.filter(|label| !label.is_empty()).collect(),
        );
    }
    assert!(exported.len() > 100, "{}", exported.len());
    exported
}

/// The family of a series of a histogram.
fn family<'a>(exported: &BTreeMap<String, Vec<String>>, metric: &'a str) -> &'a str {
    let suffixes = ["_bucket", "_sum", "_count"];
    let mut families = suffixes
        .iter()
        .filter_map(|suffix| metric.strip_suffix(suffix));
    families
        .find(|family| exported.contains_key(*family))
        .unwrap_or(metric)
}

/// The selectors of a panel.
fn of_panel(panel: &serde_json::Value) -> Vec<Selector> {
    let targets = list(panel, "targets").iter();
    targets
        .flat_map(|target| selectors(text(target, "expr")))
        .collect()
}

#[test]
fn what_is_asked_for_is_exported_or_said_to_need_a_setting() {
    let exported = exported();
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let place = place(&dashboard, panel);
            for selector in of_panel(panel) {
                let family = family(&exported, &selector.metric);
                if exported.contains_key(family) || OF_PROMETHEUS.contains(&family) {
                    continue;
                }
                // The tests of `integration-tests` ask a daemon that counts them all.
                let dataset = family
                    .strip_prefix("xdsc_dataset_")
                    .and_then(|rest| rest.strip_suffix("_messages_total"))
                    .unwrap_or_else(|| panic!("{place}: there is no {family}"));
                let description = text(panel, "description");
                let is_told = description
                    .split_once("Needs ")
                    .is_some_and(|(_, needed)| needed.contains(&format!("`{dataset}`")));
                assert!(is_told, "{place} does not say that it needs `{dataset}`");
            }
        }
    }
}

#[test]
fn labels_that_are_asked_for_exist() {
    let exported = exported();
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            for selector in of_panel(panel) {
                assert_labels(&exported, &selector, &place(&dashboard, panel));
            }
        }
    }
}

fn assert_labels(exported: &BTreeMap<String, Vec<String>>, selector: &Selector, place: &str) {
    let family = family(exported, &selector.metric);
    let Some(labels) = exported.get(family) else {
        return;
    };
    let is_histogram = family != selector.metric;
    let matched = selector.matchers.iter().map(|(label, ..)| label);
    for label in matched.chain(&selector.by) {
        let label = label.as_str();
        let exists = OF_TARGETS.contains(&label)
            || labels.iter().any(|known| known == label)
            // A label of ours that the target has as well.
            || (label == "exported_site" && labels.iter().any(|known| known == "site"))
            || (label == "le" && is_histogram);
        assert!(exists, "{place}: {family} has no {label}");
    }
}

/// What rules and alerts say, where there are any.
fn rules() -> String {
    let folder = workspace::root().join("dashboards/prometheus");
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.map(|file| fs::read_to_string(file.path()).unwrap_or_default());
    texts.collect()
}

#[test]
fn what_is_exported_is_used_or_left_out_for_a_reason() {
    let exported = exported();
    let mut used = BTreeSet::new();
    for dashboard in dashboards() {
        let marks = list(&dashboard["annotations"], "list").iter();
        let marks = marks.flat_map(|mark| selectors(text(mark, "expr")));
        let all = panels(&dashboard)
            .into_iter()
            .flat_map(of_panel)
            .chain(marks);
        used.extend(all.map(|selector| family(&exported, &selector.metric).to_owned()));
    }
    let rules = rules();
    let is_in_rules = |family: &str| {
        let mut words = rules.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == family)
    };
    let unused: BTreeSet<_> = UNUSED.iter().map(|(family, _)| *family).collect();
    let mut forgotten = Vec::new();
    for family in exported.keys() {
        let is_used = used.contains(family) || is_in_rules(family);
        if !is_used && !unused.contains(family.as_str()) {
            forgotten.push(family);
        }
    }
    assert!(
        forgotten.is_empty(),
        "neither used nor said why not: {forgotten:#?}"
    );
    for family in unused {
        assert!(exported.contains_key(family), "there is no {family}");
        assert!(!used.contains(family), "{family} is used");
    }
}
