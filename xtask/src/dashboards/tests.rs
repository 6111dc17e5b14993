//! What holds for all dashboards. They are read as what they are written as: the
//! JSON, by someone who knows nothing of the builder.

mod families;
mod linter;
mod promql;
mod thresholds;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::predecessors::PROGRAMS;

/// The dashboards, by what is written into their files.
fn dashboards() -> Vec<Value> {
    let files = super::files().expect("they can be written");
    let dashboards = files.iter().filter(|(path, _)| path.ends_with(".json"));
    dashboards
        .map(|(_, text)| serde_json::from_str(text).expect("JSON"))
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Rows, and the panels of collapsed ones, too.
fn items(dashboard: &Value) -> Vec<&Value> {
    let of = |item| std::iter::once(item).chain(list(item, "panels"));
    list(dashboard, "panels").iter().flat_map(of).collect()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut panels = items(dashboard);
    panels.retain(|item| item["type"] != "row");
    panels
}

/// Where a panel is, for those who read a failure.
fn place(dashboard: &Value, panel: &Value) -> String {
    format!("{}: {}", text(dashboard, "uid"), text(panel, "title"))
}

/// Each query with its panel's place.
fn expressions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            for target in list(panel, "targets") {
                let expression = text(target, "expr").to_owned();
                all.push((place(&dashboard, panel), expression));
            }
        }
        for mark in list(&dashboard["annotations"], "list") {
            let place = format!("{}: {}", text(&dashboard, "uid"), text(mark, "name"));
            all.push((place, text(mark, "expr").to_owned()));
        }
    }
    all
}

#[test]
fn the_files_are_up_to_date() {
    super::check().expect("what is written is what is committed");
}

#[test]
fn identifiers_are_unique() {
    let dashboards = dashboards();
    let uids: BTreeSet<_> = dashboards
        .iter()
        .map(|dashboard| text(dashboard, "uid"))
        .collect();
    assert_eq!(uids.len(), dashboards.len());
    for dashboard in &dashboards {
        let uid = text(dashboard, "uid");
        assert!(uid.len() <= 40, "Grafana takes 40 characters: {uid}");
        let items = items(dashboard);
        let ids: BTreeSet<_> = items.iter().map(|item| item["id"].as_u64()).collect();
        assert_eq!(ids.len(), items.len(), "{uid}");
        assert!(!ids.contains(&None), "{uid}");
        for panel in panels(dashboard) {
            let targets = list(panel, "targets");
            let refs: BTreeSet<_> = targets.iter().map(|target| text(target, "refId")).collect();
            assert_eq!(refs.len(), targets.len(), "{}", place(dashboard, panel));
        }
    }
}

#[test]
fn titles_are_unique_on_a_dashboard() {
    for dashboard in dashboards() {
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            assert!(
                titles.insert(text(panel, "title")),
                "{}",
                place(&dashboard, panel)
            );
        }
    }
}

/// Covers the grid of panels from the place below a heading; what is covered twice
/// or not at all is an error.
fn assert_covered(panels: &[&Value], heading: &str) {
    let mut cells = BTreeMap::new();
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| {
            let place = panel["gridPos"][key].as_u64();
            place.unwrap_or_else(|| panic!("{key} of {panel}"))
        });
        assert!(w > 0 && h > 0 && x + w <= 24, "{heading}: {panel}");
        for column in x..x + w {
            for line in y..y + h {
                let before = cells.insert((line, column), text(panel, "title"));
                assert_eq!(before, None, "{heading}: {} lies on it", panel["title"]);
            }
        }
    }
    let lines: BTreeSet<_> = cells.keys().map(|(line, _)| *line).collect();
    let (first, last) = (lines.first(), lines.last());
    let height = last.zip(first).map_or(0, |(last, first)| last - first + 1);
    assert_eq!(
        lines.len() as u64,
        height,
        "{heading}: lines without panels"
    );
    assert_eq!(cells.len() as u64, 24 * height, "{heading}: a gap");
}

#[test]
fn panels_fill_the_grid() {
    for dashboard in dashboards() {
        let shown: Vec<_> = list(&dashboard, "panels").iter().collect();
        assert_covered(&shown, text(&dashboard, "uid"));
        for row in shown.iter().filter(|item| item["type"] == "row") {
            let hidden: Vec<_> = list(row, "panels").iter().collect();
            assert_eq!(row["collapsed"] == true, !hidden.is_empty(), "{row}");
            assert_covered(&hidden, text(row, "title"));
        }
    }
}

#[test]
fn panels_are_wide_enough_to_be_read() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let width = panel["gridPos"]["w"].as_u64().expect("a width");
            let least = match text(panel, "type") {
                "stat" => 3,
                _ => 4,
            };
            assert!(width >= least, "{}", place(&dashboard, panel));
        }
    }
}

#[test]
fn dashboards_lead_to_each_other_with_time_and_variables() {
    for dashboard in dashboards() {
        let [link] = list(&dashboard, "links") else {
            panic!("{dashboard}");
        };
        assert_eq!(link["type"], "dashboards");
        assert_eq!(
            (&link["keepTime"], &link["includeVars"]),
            (&true.into(), &true.into())
        );
        let tags = list(link, "tags");
        assert!(!tags.is_empty());
        assert!(
            tags.iter()
                .all(|tag| list(&dashboard, "tags").contains(tag))
        );
    }
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let dashboards = dashboards();
    let variables: BTreeMap<_, Vec<_>> = dashboards
        .iter()
        .map(|dashboard| {
            let list = list(&dashboard["templating"], "list");
            let names = list.iter().map(|variable| text(variable, "name"));
            (text(dashboard, "uid"), names.collect())
        })
        .collect();
    let mut links = 0;
    for dashboard in &dashboards {
        let json = dashboard.to_string();
        for url in json.split("\"/d/").skip(1) {
            let (uid, rest) = url.split_once("?var-").expect("a variable");
            let (variable, _) = rest.split_once('=').expect("a value");
            let there = variables.get(uid).unwrap_or_else(|| panic!("no {uid}"));
            assert!(there.contains(&variable), "no {variable} on {uid}");
            links += 1;
        }
    }
    assert!(links >= 5, "{links}");
}

#[test]
fn every_panel_has_thresholds_from_the_lowest_value_on() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let place = place(&dashboard, panel);
            let steps = list(&panel["fieldConfig"]["defaults"]["thresholds"], "steps");
            let values: Vec<_> = steps.iter().map(|step| step["value"].as_f64()).collect();
            assert_eq!(values.first(), Some(&None), "{place}");
            assert!(values.is_sorted_by(|a, b| a < b), "{place}: {values:?}");
        }
    }
}

#[test]
fn a_value_has_the_same_colour_everywhere() {
    let mut colours: BTreeMap<String, String> = BTreeMap::new();
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            for told in list(&panel["fieldConfig"], "overrides") {
                let name = text(&told["matcher"], "options");
                for property in list(told, "properties") {
                    if property["id"] != "color" {
                        continue;
                    }
                    let colour = text(&property["value"], "fixedColor").to_owned();
                    let before = colours.insert(name.to_owned(), colour.clone());
                    let place = place(&dashboard, panel);
                    assert!(
                        before.is_none_or(|before| before == colour),
                        "{place}: {name}"
                    );
                }
            }
        }
    }
    assert!(colours.contains_key("SERVFAIL"), "{colours:?}");
}

#[test]
fn what_others_show_has_its_panel() {
    let dashboards = super::dashboards();
    let mut shown = BTreeSet::new();
    for dashboard in &dashboards {
        let panels = super::page::panels(dashboard);
        shown.extend(panels.map(|panel| (dashboard.uid.as_str(), panel.title.as_str())));
    }
    for program in PROGRAMS {
        for theirs in program.panels {
            let place = format!("{}: {}", program.name, theirs.name);
            assert!(!theirs.ours.is_empty(), "{place}");
            for ours in theirs.ours {
                assert!(shown.contains(ours), "{place}: there is no {ours:?}");
            }
        }
    }
}
